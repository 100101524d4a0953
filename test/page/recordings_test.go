package page

import (
	"sync/atomic"
	"testing"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/test/browser"
)

// A ladder whose rungs cannot be looked at hides nothing else that was found.
func TestLadderThatCannotBeShown(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	h := ordinary()
	ladder := h.found[1]
	ladder.Name, ladder.Stream, ladder.Group, ladder.Duration = "show-1", "show", []string{"show_high-1"}, 0
	h.found[1] = ladder
	page := open(t, b, h.serve(t), "#/recordings", desktop)
	page.until("all are listed", `document.querySelectorAll("#found li").length === 3`)
	page.until("it is said of the ladder", `[...document.querySelectorAll("#found li")].filter((e) => e.textContent.includes("cannot be shown: there is none")).length === 1`)
	if n := is[int](page, `document.querySelectorAll("#found button:enabled").length`); n != 9 {
		t.Errorf("%d buttons can be used", n)
	}
	if said := is[string](page, `document.getElementById("search-says").textContent`); said[0] != '3' {
		t.Errorf("the search says %q", said)
	}
}

// Of two searches the later one counts, whichever is answered first; a recording's buttons are for what was found last.
func TestLaterSearchCounts(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	h := ordinary()
	var searches atomic.Int32
	hold := make(chan struct{})
	longer := h.found[0]
	longer.Duration = 500
	h.searched = func() []api.Recording {
		switch searches.Add(1) {
		case 1:
			return h.found[:1]
		case 2:
			<-hold
			return h.found
		}
		return []api.Recording{longer}
	}
	page := open(t, b, h.serve(t), "#/recordings", desktop)
	page.until("the first search is answered", `document.querySelectorAll("#found li").length === 1`)
	page.until("the slow answer has gone", `(window.answers = 0, fetch = ((f) => async (...a) => { const r = await f(...a); if (String(a[0]).startsWith("/v1/recordings")) answers++; return r; })(fetch), true)`)
	page.click("#day-before")
	page.until("it is looked for", `document.getElementById("search-go").disabled`)
	for searches.Load() < 2 {
		page.until("the server is asked", "true")
	}
	page.click("#day-after")
	page.until("the later search is answered", `answers === 1 && document.querySelector("#found .when").textContent.includes("0:08:20")`)
	close(hold)
	page.until("the slow one is answered too", "answers === 2")
	if n := is[int](page, `new Promise((done) => setTimeout(() => done(document.querySelectorAll("#found li").length), 100))`); n != 1 {
		t.Errorf("the earlier search shows its %d recordings", n)
	}
	page.click("#found .acts button")
	page.until("what was found last is replayed", `document.getElementById("replay-when").textContent.includes("0:08:20")`)
}
