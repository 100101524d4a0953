package page

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/test/browser"
)

// quoted is a text as JSON.
func quoted(s string) string {
	b, _ := json.Marshal(s) // of a string it never fails
	return string(b)
}

// Whatever others call what they send shows as text, on every view.
func TestNamesAreText(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	h := everywhere()
	page := open(t, b, h.serve(t), "", desktop)
	page.until("the streams are listed", `document.querySelectorAll("#streams button").length === 5`)
	page.until("the detail is shown", `document.querySelectorAll("#strip [role=option]").length === 20 && document.querySelector("#facts dd")`)
	page.click("#alarm-toggle")
	page.shot("hostile", desktop, phone)
	text := `document.body.innerText`
	shown := is[string](page, text)
	page.click("#to-events")
	page.until("the events are listed", `document.querySelectorAll("#events-list li").length > 1`)
	shown += is[string](page, text)
	page.click("#to-recordings")
	page.until("the recordings are found", `document.querySelectorAll("#found li").length === 3`)
	page.click("#found .acts button:nth-child(3)")
	page.until("a verification is shown", `document.querySelector("#found .says.bad")`)
	page.click("#found .acts button")
	shown += is[string](page, text)
	for _, what := range []string{"show_high", "ladder", "remote", "codecs", "problem", "reason", "why", "store", "error", "subject", "text", "do", "stream", "damage", "key", "detail", "version", "app"} {
		if !strings.Contains(shown, what+`<img src=x onerror="pwned=1">`) {
			t.Errorf("%s is not shown as it is called", what)
		}
	}
	if strings.ContainsRune(shown, '\u202e') {
		t.Error("a name turns the text after it around")
	}
	if is[bool](page, `"pwned" in window || document.querySelector("img[src=x]") !== null || document.querySelectorAll("script:not([src])").length > 0`) {
		t.Error("a name was taken for markup")
	}
	if f := is[[]string](page, "seen.forbidden"); len(f) > 0 {
		t.Errorf("the page's own policy forbids %v", f)
	}
}
