package page

import (
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/test/browser"
)

// The servers of a cluster are shown beside the streams, with room for all columns; without a cluster there is nothing.
func TestNodes(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	page := open(t, b, ordinary().serve(t), "", desktop)
	page.until("the page shows streams", `document.querySelectorAll("#streams li").length > 0`)
	if !is[bool](page, `document.getElementById("nodes").hidden`) {
		t.Error("servers are shown where there is no cluster")
	}
	h := ordinary()
	h.overview.Nodes = []api.Node{
		{Node: "a", Version: "v1.2.3", Self: true, Reachable: true, Streams: 3, Standbys: 2, Silent: 1},
		{Node: "b", Version: "v1.2.3", Problem: "no server answers there"},
		{Node: "c", Version: "v1.2.3", Reachable: true, Ahead: -3},
		{Node: "d", Version: "v1.2.4", Reachable: true, Draining: true},
	}
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	h.overview.Streams = append(h.overview.Streams, admin.Stream{App: "live", Name: "second", State: "standby", Standby: &admin.Standby{State: "silent", Node: "c", SilentSince: &since}})
	page = open(t, b, h.serve(t), "", desktop)
	page.until("the page shows servers", `document.querySelectorAll("#nodes-rows tr").length == 4`)
	got := is[string](page, `[...document.querySelectorAll("#nodes-rows tr")].map((r) => [...r.children].map((c) => c.textContent).join(",")).join(";")`)
	if want := "a (this one),up,3 + 2 standing by, 1 of them silent,v1.2.3;b,not reached,–,v1.2.3;c,clock -3.0 s,0,v1.2.3;d,draining,0,v1.2.4"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	if !is[bool](page, `document.getElementById("nodes").getBoundingClientRect().right <= document.getElementById("list").getBoundingClientRect().right + 1`) {
		t.Error("the table is wider than its place")
	}
	if list := is[string](page, `document.getElementById("streams").textContent`); !strings.Contains(list, "stands by for c, silent since 03:04:05") {
		t.Errorf("the list does not say that one is silent: %s", list)
	}
	if problem := is[string](page, `document.querySelector("#nodes-rows tr:nth-child(2) td").title`); !strings.Contains(problem, "no server") {
		t.Errorf("%q", problem)
	}
}
