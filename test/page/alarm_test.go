package page

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/test/browser"
)

// A warning is one line while its figures run, and stays where it is read when another comes and goes.
func TestWarningIsOneLine(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	h := ordinary()
	var asked atomic.Int32
	h.warned = func() (list []api.Warning) {
		n := asked.Add(1)
		for _, kind := range []string{"disk", "rung"} {
			list = append(list, api.Warning{Grave: true, Subject: "archive", Kind: kind, Text: fmt.Sprintf("%s, for %d s", kind, n), Do: "read the log"})
		}
		if n%2 == 0 {
			list = append([]api.Warning{{Grave: true, Subject: "live/door", Kind: "frames", Text: fmt.Sprintf("%d frames are of no use", n), Do: "change the encoder"}}, list...)
		}
		return list
	}
	page := open(t, b, h.serve(t), "", desktop)
	page.until("there is a warning", `document.querySelectorAll("#alarm-list li").length >= 2`)
	page.click("#alarm-toggle")
	const disk = `[...document.querySelectorAll("#alarm-list li")].find((e) => e.textContent.includes("disk")).textContent`
	page.until("all have come", `document.getElementById("alarm-list").textContent.includes("of no use")`)
	for range 3 {
		before := is[string](page, disk)
		page.until("the figures run", disk+` !== `+quoted(before))
	}
	if n := is[int](page, `document.querySelectorAll("#alarm-list li").length`); n != 3 {
		t.Errorf("three warnings are %d lines", n)
	}
}
