package api

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestEvents(t *testing.T) {
	h := newHouse()
	server := httptest.NewServer(open(h))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", "7")
	r.Header.Set("Accept", "text/event-stream")
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	go func() {
		h.feed <- Event{ID: "evt_1", Type: "stream.started", Body: []byte(`{"id":"evt_1"}`)}
	}()
	lines := bufio.NewScanner(res.Body)
	for _, want := range []string{
		": events", "", "event: lost", `data: {"lost": 2}`, "", "id: since-7", "event: stream.ended", "data: {}", "",
		"id: evt_1", "event: stream.started", `data: {"id":"evt_1"}`, "",
	} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("%q, wanted %q", lines.Text(), want)
		}
	}
	cancel()
}

// Listeners are bounded, and one that leaves makes room.
func TestListenersAreBounded(t *testing.T) {
	a := open(newHouse())
	server := httptest.NewServer(a)
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listen := func() int {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != 200 {
			defer res.Body.Close()
			problem(t, res)
		}
		return res.StatusCode
	}
	for range maxListeners {
		if status := listen(); status != 200 {
			t.Fatalf("%d", status)
		}
	}
	if status := listen(); status != 503 {
		t.Errorf("one too many is %d", status)
	}
	cancel()
	left := time.After(10 * time.Second)
	for range maxListeners { // all places are free again
		select {
		case a.listeners <- struct{}{}:
		case <-left:
			t.Fatal("a listener that left keeps its place")
		}
	}
	for range maxListeners {
		<-a.listeners
	}
}
