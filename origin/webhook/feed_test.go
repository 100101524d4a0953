package webhook

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A subscriber gets events from its call on. A slow one loses the oldest, is told how many, and holds up nobody.
func TestSubscribe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := New(Options{Now: time.Now, Transport: &receiver{t: t}})
		h.Emit(DiskLow, Disk{})
		ctx, cancel := context.WithCancel(t.Context())
		slow, fast := h.Subscribe(ctx, ""), h.Subscribe(ctx, "")
		seen := make(chan Event, 1000)
		go func() {
			for e, lost := range fast {
				if lost > 0 {
					t.Errorf("%d lost", lost)
				}
				seen <- e
			}
			close(seen)
		}()
		const n = feedBuffer + 44
		for range n {
			h.Emit(StreamStarted, Stream{})
			synctest.Wait()
		}
		if len(seen) != n {
			t.Errorf("%d of %d events", len(seen), n)
		}
		got, lostAll := 0, 0
		for e, lost := range slow {
			if got == 0 && lost != 44 || got > 0 && lost != 0 || e.Type != StreamStarted {
				t.Errorf("event %d, %s: %d lost before it", got, e.Type, lost)
			}
			lostAll += lost
			if got++; got == feedBuffer {
				break
			}
		}
		if lostAll != 44 {
			t.Errorf("%d lost", lostAll)
		}
		cancel()
		synctest.Wait()
		for range seen { // it is closed
		}
		if h.feed.watched() {
			t.Error("a subscriber that left is still there")
		}
		h.Subscribe(ctx, "")
		synctest.Wait()
		if h.feed.watched() {
			t.Error("a subscriber whose context ended before it read is still there")
		}
	})
}

// A returning subscriber names the last event it had, and gets those since.
func TestSubscribeAfter(t *testing.T) {
	h := New(Options{Now: time.Now, Transport: &receiver{t: t}})
	for range feedRecent + 50 {
		h.Emit(StreamStarted, Stream{})
	}
	h.Emit(SegmentUploaded, Segment{})
	if n := len(h.feed.recent); n != feedRecent {
		t.Fatalf("%d events are kept", n)
	}
	from := h.feed.recent[feedRecent-3].ID
	got := 0
	for e := range h.Subscribe(t.Context(), from) {
		if e.ID != h.feed.recent[feedRecent-2+got].ID {
			t.Errorf("event %d is %s", got, e.ID)
		}
		if got++; got == 2 {
			break
		}
	}
}

// Without targets and subscribers, a frequent event costs nothing.
func TestNobodyListens(t *testing.T) {
	h := New(Options{Now: time.Now, Transport: &receiver{t: t}})
	var d Data = Segment{}
	if n := testing.AllocsPerRun(100, func() { h.Emit(SegmentUploaded, d) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
