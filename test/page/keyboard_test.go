package page

import (
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/test/browser"
)

// Everything can be done without a mouse, and where one is can be seen.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	h := ordinary()
	page := open(t, b, h.serve(t), "", desktop)
	page.until("the streams are listed", `document.querySelectorAll("#streams button").length === 5 && document.querySelectorAll("#strip [role=option]").length === 20`)
	focus := func() string {
		return is[string](page, `((e) => e.id || e.textContent.trim() || e.getAttribute("aria-label") || e.tagName)(document.activeElement)`)
	}
	// tabTo goes on by Tab until the focus is where it is wanted.
	tabTo := func(key, what string) {
		t.Helper()
		var seen []string
		for range 60 {
			page.press(key)
			at := focus()
			if ring := is[string](page, `((s) => s.outlineStyle + " " + s.outlineWidth)(getComputedStyle(document.activeElement))`); at != "BODY" && at != "video" && (strings.HasPrefix(ring, "none") || strings.HasSuffix(ring, " 0px")) {
				t.Errorf("the focus on %q is not seen: %s", at, ring)
			}
			if strings.Contains(at, what) {
				return
			}
			seen = append(seen, at)
		}
		t.Fatalf("Tab does not come to %s: %q", what, seen)
	}

	tabTo("Tab", "alarm-toggle")
	page.press("Enter")
	page.until("the warnings are open", `!document.getElementById("alarm-list").hidden && document.getElementById("alarm-list").textContent.includes("look at its policy")`)
	page.press("Enter")
	tabTo("Tab", "live/yard")
	page.press("Enter")
	page.until("the other stream is shown", `document.getElementById("title").textContent === "live/yard"`)
	at := is[string](page, `document.getElementById("facts").textContent`)
	page.until("the page goes on", `document.getElementById("facts").textContent !== `+quoted(at))
	if got := focus(); !strings.Contains(got, "live/yard") {
		t.Errorf("an update takes the focus to %q", got)
	}

	tabTo("Tab", "Segments")
	page.press("ArrowLeft", "ArrowLeft")
	page.until("a segment is told of", `document.querySelector("#strip .about").textContent.startsWith("Segment 118,") && document.querySelector("#strip [aria-selected=true]")`)

	tabTo("Tab", "disconnect")
	page.press("Enter")
	page.until("it asks first", `document.getElementById("confirm").open && document.activeElement.id === "confirm-no"`)
	page.press("Escape")
	page.until("nothing is done", `!document.getElementById("confirm").open && document.activeElement.id === "disconnect"`)
	if h.gone.Load() != 0 {
		t.Error("a publisher was disconnected without a yes")
	}
	page.press("Enter")
	page.until("it asks again", `document.getElementById("confirm").open`)
	tabTo("Tab", "confirm-yes")
	page.press("Enter")
	page.until("it is done", `document.getElementById("said").textContent.includes("done")`)
	if h.gone.Load() != 1 {
		t.Error("the publisher was not disconnected")
	}

	tabTo("Shift+Tab", "to-recordings")
	page.press("Enter")
	page.until("the recordings are found", `document.querySelectorAll("#found li").length === 3`)
	tabTo("Tab", "Replay")
	page.press("Enter")
	page.until("the recording is shown", `document.activeElement.id === "replay-title"`)
	tabTo("Tab", "Begin of the clip")
	before := is[string](page, `document.getElementById("clip-length").textContent`)
	page.press("ArrowRight", "Shift+ArrowRight", "Home", "ArrowRight")
	if now := is[string](page, `document.activeElement.getAttribute("aria-valuetext")`); now != "0:00:01 of 0:01:40" {
		t.Errorf("the clip begins at %s", now)
	}
	tabTo("Tab", "End of the clip")
	page.press("End")
	if after := is[string](page, `document.getElementById("clip-length").textContent`); after == before || !strings.Contains(after, "0:00:01 – 0:01:40") {
		t.Errorf("the clip is %s", after)
	}
}
