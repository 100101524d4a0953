package segmenter

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// reliefRig is a rig whose segments may take window bytes, and limit with all that is read or written beside it.
func reliefRig(t *testing.T, window, limit int64) *rig {
	r := newRig(t, AppOptions{})
	r.reg = NewRegistry(Options{Apps: map[string]AppOptions{"live": {}}, Now: func() time.Time { return r.now }, Memory: window, MaxMemory: limit})
	return r
}

// shelve says that another shelf has all of a stream's segments.
func (r *rig) shelve(stream string) {
	if tl := r.reg.Timeline("live", stream); tl != nil {
		for _, s := range tl.Snapshot().Segments {
			s.Shelve()
		}
	}
}

// TestSlowReadersOfWhatLeftTheWindow holds that viewers who are still at segments of an hour ago are asked to give up when memory is
// short, and that nobody else is.
func TestSlowReadersOfWhatLeftTheWindow(t *testing.T) {
	r := reliefRig(t, 500_000, 10_000_000)
	e := r.mustPublish("cam")
	var held []*Segment
	for range 120 {
		e.run(time.Second)
		r.shelve("cam")
		r.reg.Expire(r.now)
		if tl := r.reg.Timeline("live", "cam"); tl != nil {
			if s := tl.Snapshot().Segments; len(s) > 0 && (len(held) == 0 || held[len(held)-1] != s[len(s)-1]) && s[len(s)-1].Retain() {
				held = append(held, s[len(s)-1])
			}
		}
	}
	if !held[0].Revoked() {
		t.Error("the oldest is not asked for")
	}
	if held[len(held)-1].Revoked() {
		t.Error("the newest is in the window")
	}
	for _, s := range held {
		if s.Revoked() {
			s.Release()
		}
	}
	r.reg.Expire(r.now)
	if n := len(r.reg.relief.read); n != 0 {
		t.Errorf("%d are still kept", n)
	}
	if _, err := r.publish("other", ""); err != nil {
		t.Errorf("a publisher is refused though there is room: %v", err)
	}
}

// TestTheNewestPublisherGoes holds that streams which nothing else keeps end, the newest first, before the server does.
func TestTheNewestPublisherGoes(t *testing.T) {
	const limit = 8_000_000
	r := reliefRig(t, limit/2, limit)
	var all []*encoder
	for i := range 4 {
		all = append(all, r.mustPublish(fmt.Sprintf("cam%d", i)))
		r.now = r.now.Add(time.Millisecond)
	}
	ended := func(e *encoder) bool { return e.s.(*session).closed != nil }
	var late error
	for range 60 * 25 {
		for _, e := range all {
			if !ended(e) {
				e.step()
				e.n++
			}
		}
		if r.reg.short() && late == nil {
			_, late = r.publish("late", "")
		}
		if n := r.reg.o.Pool.InUse(); n > limit+1_000_000 {
			t.Fatalf("%d bytes in use", n)
		}
	}
	if ended(all[0]) || !ended(all[3]) {
		t.Errorf("the first has ended: %v, the last: %v", ended(all[0]), ended(all[3]))
	}
	var refusal *ingest.Refusal
	if err := all[3].s.(*session).closed; !errors.As(err, &refusal) || refusal.Kind != ingest.Overloaded {
		t.Errorf("it was told %v", err)
	}
	if !errors.As(late, &refusal) || refusal.Kind != ingest.Overloaded {
		t.Errorf("another one is told %v", late)
	}
	if n := r.reg.Stats().RefusedMemory.Load(); n < 2 {
		t.Errorf("%d counted", n)
	}
}

// TestPublishersGoOneAfterAnother holds that one publisher who goes is given time to leave its memory before the next has to.
func TestPublishersGoOneAfterAnother(t *testing.T) {
	const limit = 8_000_000
	r := reliefRig(t, limit/2, limit)
	var all []*encoder
	for i := range 4 {
		all = append(all, r.mustPublish(fmt.Sprintf("cam%d", i)))
		all[i].run(2 * time.Second)
	}
	r.reg.o.MaxMemory = 1 // nothing that is given back is enough
	gone := func() (n int) {
		for _, e := range all {
			if e.s.(*session).closed != nil {
				n++
			}
		}
		return n
	}
	for range 10 {
		r.reg.Expire(r.now)
		r.now = r.now.Add(50 * time.Millisecond)
	}
	if n := gone(); n != 1 {
		t.Errorf("%d went within half a second", n)
	}
	r.now = r.now.Add(reliefPause)
	r.reg.Expire(r.now)
	if n := gone(); n != 2 {
		t.Errorf("%d are gone a second later", n)
	}
}

// TestTheOnlyPublisherStays holds that a show which is too large for the memory there is loses the oldest of its window and goes on.
func TestTheOnlyPublisherStays(t *testing.T) {
	const limit = 2_000_000
	r := reliefRig(t, limit/2, limit)
	r.mustPublish("cam").run(90 * time.Second) // an error ends the test
	s := r.snapshot()
	if n := r.reg.o.Pool.InUse(); n > limit {
		t.Errorf("%d bytes in use", n)
	}
	if s.State != Live || len(s.Segments) < 2 {
		t.Errorf("it is %v, with %d segments in memory", s.State, len(s.Segments))
	}
}

// derived publishes a rung that the server makes of show_source.
func (r *rig) derived(stream string) *encoder {
	r.t.Helper()
	s, err := r.reg.Publish(r.t.Context(), ingest.Announce{App: "live", Stream: stream, Protocol: "ladder", Identity: "me", Cancel: func(error) {}, Derived: true})
	if err != nil {
		r.t.Fatal(err)
	}
	return newEncoder(r, s)
}

// TestDerivedRungsAreNoPublishers holds that rungs which the server makes itself neither go for want of memory while their source stays, nor
// make a source one of several.
func TestDerivedRungsAreNoPublishers(t *testing.T) {
	const limit = 8_000_000
	r := newRig(t, AppOptions{})
	r.reg = NewRegistry(Options{Apps: map[string]AppOptions{"live": {Groups: map[string][]string{"show": {"show_source", "show_low"}}}},
		Now: func() time.Time { return r.now }, Memory: limit / 2, MaxMemory: limit})
	ended := func(e *encoder) bool { return e.s.(*session).closed != nil }
	feed := func(d time.Duration, all ...*encoder) {
		for range int(d.Seconds() * 25) {
			now := r.now
			for _, e := range all {
				if r.now = now; !ended(e) {
					e.step()
					e.n++
				}
			}
			r.now = now.Add(time.Second / 25)
			r.reg.Expire(r.now)
		}
	}
	source := r.mustPublish("show_source")
	r.now = r.now.Add(time.Millisecond)
	low := r.derived("show_low")
	feed(20*time.Second, source, low)
	r.reg.o.MaxMemory = 1
	feed(5*time.Second, source, low)
	if ended(source) || ended(low) {
		t.Fatalf("the source of the only show has ended: %v, its rung: %v", ended(source), ended(low))
	}
	for _, name := range []string{"show_source", "show_low"} {
		if n := len(r.reg.Timeline("live", name).Snapshot().Segments); n > 2 {
			t.Errorf("%d segments of %s are in memory", n, name)
		}
	}
	r.reg.o.MaxMemory = limit
	other := r.mustPublish("cam") // first on the air counts, not the rung
	feed(2*time.Second, source, low, other)
	r.reg.o.MaxMemory = 1
	feed(200*time.Millisecond, source, low, other)
	if !ended(other) || ended(source) || ended(low) {
		t.Errorf("ended: the newest %v, the source %v, its rung %v", ended(other), ended(source), ended(low))
	}
}

// TestTwoLookAtOnce holds that two who call Expire at the same time, as the watchdog of a service manager does beside the
// server's own clock, do not each take a decision.
func TestTwoLookAtOnce(t *testing.T) {
	const limit = 2_000_000
	r := reliefRig(t, limit/2, limit)
	r.mustPublish("cam").run(30 * time.Second)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for range 100 {
				r.reg.Expire(r.now)
			}
		})
	}
	both.Wait()
}

// TestRestoredAudioGivesItsOwnMemoryBack holds that the audio-only variant of a ladder that was taken up after a restart gives back
// what it has itself, once.
func TestRestoredAudioGivesItsOwnMemoryBack(t *testing.T) {
	r := reliefRig(t, 500_000, 1_000_000)
	tl := &Timeline{key: Key{"live", "show" + AudioSuffix}, id: NewRecordingID(r.now)}
	o := AppOptions{}.withDefaults()
	rec := newRecording(tl, r.reg, &o, r.now)
	rec.rows.table.adopt(0, []Row{{Start: r.now, Duration: Clock, Size: 188}})
	rec.rows.newest(make([]byte, 188))
	rec.rows.snapshot()
	c := companionOf(tl, r.reg)
	if !tl.letGo(0) || len(c.rows.table.segments) != 0 || r.reg.MemoryInUse() != 0 {
		t.Errorf("%d segments, %d bytes are left", len(c.rows.table.segments), r.reg.MemoryInUse())
	}
	if len(tl.Snapshot().Segments) != 0 {
		t.Error("the snapshot is another's")
	}
	if c.rows.evict(len(c.rows.table.segments)); r.reg.Stats().MemoryBytes.Load() != 0 {
		t.Errorf("%d bytes are counted", r.reg.Stats().MemoryBytes.Load())
	}
}
