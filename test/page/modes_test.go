package page

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/browser"
)

// Where a recording has low latency a stream can be played plain, with it, or both, by keyboard, and what is chosen stays while others are
// looked at; where it has none there is nothing to choose.
func TestModesAreChosen(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	h := ordinary()
	for i := range h.overview.Streams {
		if s := &h.overview.Streams[i]; s.Name != "door" {
			s.PlayLowLatency = "live/streams/" + s.Name + "_ll.m3u8"
		}
	}
	page := open(t, b, h.serve(t), "", desktop)
	page.until("the streams are listed", `document.querySelectorAll("#streams button").length === 5`)
	page.click(`#streams [data-key="live/yard"] button`)
	const pressed = `[...document.querySelectorAll("#modes button")].filter((b) => b.ariaPressed === "true").map((b) => b.id).join()`
	page.until("it is played plain unless something else is chosen", `!document.getElementById("modes").hidden && document.getElementById("screen-low").hidden && `+pressed+` === "mode-plain"`)
	if is[bool](page, `!document.getElementById("encoder").hidden || !document.getElementById("seen-low").hidden`) {
		t.Error("what is no demo has its clock")
	}
	if url := is[string](page, `document.getElementById("play-low").value`); url != "http://127.0.0.1:1/live/streams/yard_ll.m3u8" {
		t.Errorf("the URL for players is %q", url)
	}
	page.must(page.page.Eval(`document.getElementById("mode-plain").focus()`, nil))
	page.press("Tab", "Enter")
	page.until("low latency is played", `document.getElementById("screen-plain").hidden && !document.getElementById("screen-low").hidden && `+pressed+` === "mode-low"`)
	page.press("Tab", "Enter")
	page.until("both are played", `!document.getElementById("screen-plain").hidden && !document.getElementById("screen-low").hidden && `+pressed+` === "mode-both"`)
	page.click(`#streams [data-key="live/door"] button`)
	page.until("the other stream has nothing to choose", `document.getElementById("title").textContent === "live/door" && document.getElementById("modes").hidden && document.getElementById("screen-low").hidden && document.getElementById("play-low-row").hidden`)
	page.click(`#streams [data-key="live/yard"] button`)
	page.until("what was chosen has stayed", pressed+` === "mode-both"`)
	page.shot("modes", desktop, phone)
	withoutScript(t, b)
}

// withoutScript checks that where hls.js does not load, the browser plays with what it has itself, and the page says that this is not low
// latency, and why.
func withoutScript(t *testing.T, b *browser.Browser) {
	t.Helper()
	h := ordinary()
	for i := range h.overview.Streams {
		s := &h.overview.Streams[i]
		s.State, s.PlayLowLatency = "live", "live/streams/"+s.Name+"_ll.m3u8"
	}
	h.script = "http://127.0.0.1:1/hls.js"
	opened, err := b.OpenAs("http://"+h.serve(t)+"/", desktop, watched+`HTMLMediaElement.prototype.canPlayType = () => "maybe";`)
	page := &tab{t, b, opened}
	page.must(err)
	page.until("the streams are listed", `document.querySelectorAll("#streams button").length === 5`)
	page.click(`#streams [data-key="live/yard"] button`)
	page.click("#mode-both")
	page.until("it says what is missing", `document.getElementById("engine-low").textContent === "no low latency: hls.js did not load" && document.getElementById("engine-low").title.includes("127.0.0.1:1")`)
	if engine := is[string](page, `document.getElementById("engine").textContent`); engine != "played by the browser" {
		t.Errorf("the plain one is %q", engine)
	}
	page.shot("without-script", desktop, phone)
}
