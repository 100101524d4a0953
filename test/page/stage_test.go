package page

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/test/browser"
)

// A button that copies says that it did, and has its own label again after that, however often it is clicked. Once the stage is left there is
// nothing to stop, with each overview anew.
func TestStageIsUsedAndLeft(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	h := ordinary()
	var asked atomic.Int32
	h.warned = func() []api.Warning {
		return []api.Warning{{Subject: "live/door", Kind: "clock", Text: fmt.Sprintf("the %d. overview", asked.Add(1)), Do: "wait"}}
	}
	page := open(t, b, h.serve(t), "", desktop)
	page.until("a stream is shown", `!document.getElementById("stage").hidden`)
	const button = `document.querySelector("[data-copy]")`
	label := is[string](page, button+".textContent")
	page.until("its timers are counted", `(window.over = 0, setTimeout = ((f) => (act, ms) => f(() => { act(); if (ms === 1200) over++; }, ms))(setTimeout), true)`)
	is[bool](page, "("+button+".click(), true)")
	page.until("it says that it did", button+".textContent !== "+quoted(label))
	is[bool](page, "("+button+".click(), true)")
	page.until("both clicks are over", "over === 2")
	if now := is[string](page, button+".textContent"); now != label {
		t.Errorf("%q is called %q", label, now)
	}

	page.click("#to-events")
	page.until("the stage is left", `document.getElementById("live").hidden && document.getElementById("stage").hidden`)
	page.until("it is counted what is loaded", `(window.loads = 0, HTMLMediaElement.prototype.load = ((f) => function () { loads++; return f.call(this); })(HTMLMediaElement.prototype.load), true)`)
	const text = `document.getElementById("alarm-text").textContent`
	for range 2 {
		before := is[string](page, text)
		page.until("another overview comes", text+` !== `+quoted(before))
	}
	if n := is[int](page, "loads"); n != 0 {
		t.Errorf("nothing was loaded %d times", n)
	}
}
