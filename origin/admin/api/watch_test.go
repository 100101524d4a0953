package api

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// glances counts how often it is asked.
type glances struct {
	*house
	overviews, details atomic.Int64
}

func (g *glances) Overview() Overview {
	g.overviews.Add(1)
	return Overview{Ready: true, Streams: g.Streams(), Ladders: g.Ladders()}
}

func (g *glances) Detail(app, stream string) (Detail, bool) {
	g.details.Add(1)
	return Detail{App: app, Name: stream, Segments: []Segment{{Sequence: 7, Memory: true}}}, stream == "cam"
}

// watchOne reads what a page is sent until it has had n messages of a type, and returns all of it.
func watchOne(t *testing.T, server *httptest.Server, query, typ string, n int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/watch"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	var all strings.Builder
	lines := bufio.NewScanner(res.Body)
	for n > 0 && lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if lines.Text() == "event: "+typ {
			n--
		}
	}
	if n > 0 {
		t.Fatalf("it ends with %v after %s", lines.Err(), all.String())
	}
	return all.String()
}

// All pages are shown the same rendering. That nothing is rendered while nobody watches follows from there being no goroutine then.
func TestWatch(t *testing.T) {
	g := &glances{house: newHouse()}
	server := httptest.NewServer(New(Options{Streams: g, Overviews: g, Hooks: g}))
	defer server.Close()
	const pages = 6
	done := make(chan string, pages)
	for range pages {
		go func() { done <- watchOne(t, server, "?app=live&stream=cam", "detail", 3) }()
	}
	for range pages {
		all := <-done
		for _, want := range []string{"event: overview\ndata: {", `"ladders":[{"app":"live","name":"ladder"`, `"rungs":[{"stream":"cam","state":"in"`, "id: since-*\nevent: stream.ended\n", `"name":"cam"`} {
			if !strings.Contains(all, want) {
				t.Errorf("%s is not in\n%s", want, all)
			}
		}
		if i := strings.Index(all, "event: "); !strings.HasPrefix(all[i:], "event: overview") {
			t.Errorf("it begins with %s", all[:80])
		}
	}
	if n := g.details.Load(); n >= 2*pages {
		t.Errorf("%d pages had a detail rendered %d times for three seconds", pages, n)
	}
	if all := watchOne(t, server, "?app=live&stream=gone", "overview", 2); strings.Contains(all, "event: detail") {
		t.Errorf("a stream that is not there has a detail: %s", all)
	}
}

func TestOverview(t *testing.T) {
	g := &glances{house: newHouse()}
	a := New(Options{Streams: g, Overviews: g, Hooks: g})
	for target, want := range map[string]struct {
		status int
		says   string
	}{
		"/v1/overview":                 {200, `"stores":[]`},
		"/v1/streams/live/cam/detail":  {200, `"sequence":7`},
		"/v1/streams/live/gone/detail": {404, "there is no stream live/gone now"},
		"/v1/watch?stream=cam&nothing": {422, ""},
	} {
		res := ask(a, "GET", target, "")
		if said := body(t, res); res.StatusCode != want.status || !strings.Contains(said, want.says) {
			t.Errorf("%s: %d %s", target, res.StatusCode, said)
		}
	}
	for _, target := range []string{"/v1/overview", "/v1/streams/live/cam/detail", "/v1/watch"} {
		if res := ask(New(Options{}), "GET", target, ""); res.StatusCode != 501 {
			t.Errorf("%s of a server without overview: %d", target, res.StatusCode)
		}
	}
	if o := a.overview(); o.Streams[0].Name != "cam" || o.Streams[0].Tracks == nil || o.Warnings == nil {
		t.Errorf("%+v", o)
	}
}
