package segmenter

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// What is on the air goes on as it began; what begins afterwards has the new settings.
func TestReconfigureCountsForTheNextRecording(t *testing.T) {
	r := newRig(t, AppOptions{SegmentDuration: 2 * time.Second, EndGrace: time.Second})
	e := r.mustPublish("cam")
	e.run(10 * time.Second)
	before := r.snapshot()
	r.reg.Reconfigure(map[string]AppOptions{"live": {SegmentDuration: 4 * time.Second, EndGrace: time.Second}, "new": {}})
	e.run(10 * time.Second)
	after := r.snapshot()
	if after.Recording != before.Recording || after.TargetDuration != before.TargetDuration || after.Next() < before.Next()+4 {
		t.Errorf("target %d and %d rows became %d and %d", before.TargetDuration, before.Next(), after.TargetDuration, after.Next())
	}
	if s, err := r.reg.Publish(t.Context(), ingest.Announce{App: "new", Stream: "cam", Cancel: func(error) {}}); err != nil {
		t.Errorf("an app that came: %v", err)
	} else {
		s.Close(ingest.ErrUnpublished)
	}
	e.s.Close(ingest.ErrUnpublished)
	r.now = r.now.Add(2 * time.Second)
	r.reg.Expire(r.now)
	e = r.mustPublish("cam")
	e.run(10 * time.Second)
	if s := r.snapshot(); s.Recording == before.Recording || s.TargetDuration != 4 {
		t.Errorf("the next recording has target %d", s.TargetDuration)
	}
	// An app that goes refuses whoever comes, and leaves alone who is there.
	r.reg.Reconfigure(map[string]AppOptions{"new": {}})
	var refusal *ingest.Refusal
	if _, err := r.publish("other", "me"); !errors.As(err, &refusal) || refusal.Kind != ingest.UnknownApp {
		t.Errorf("an app that went: %v", err)
	}
	rows := r.snapshot().Next()
	e.run(10 * time.Second)
	if r.snapshot().Next() <= rows {
		t.Error("its publisher does not go on")
	}
}

// A ladder on the air is not touched by another definition of it; the next show has that one.
func TestReconfigureOfALadder(t *testing.T) {
	l := newLadder(t)
	l.run(10 * time.Second)
	began := l.rung("show_480p").Recording
	two := map[string]AppOptions{"live": {Groups: map[string][]string{"show": ladderRungs[:2], "fresh": {"a", "b"}, "late": {"show_480p"}}}}
	for range 20 {
		l.reg.Reconfigure(two)
		l.run(time.Second)
	}
	l.aligned()
	l.equal()
	if n := len(l.master().Variants); n != 3 || l.rung("show_480p").Recording != began {
		t.Errorf("the show goes on with %d variants", n)
	}
	var refusal *ingest.Refusal
	for _, name := range []string{"fresh", "show"} {
		if _, err := l.publish(name, "me"); !errors.As(err, &refusal) || refusal.Kind != ingest.BadName {
			t.Errorf("%s is a ladder's name: %v", name, err)
		}
	}
	for _, name := range ladderRungs {
		l.drop(name)
	}
	for range 10 {
		l.now = l.now.Add(time.Minute)
		l.reg.Expire(l.now)
	}
	for _, name := range ladderRungs {
		l.connect(name)
	}
	l.run(10 * time.Second)
	if n := len(l.master().Variants); n != 2 {
		t.Errorf("the next show has %d variants", n)
	}
	if _, err := l.publish("late", "me"); !errors.As(err, &refusal) || refusal.Kind != ingest.BadName {
		t.Errorf("a ladder that waited for its rung: %v", err)
	}
}

// A stream that is published keeps its name from a ladder until it has ended.
func TestReconfigureSparesAPublishedName(t *testing.T) {
	r := newRig(t, AppOptions{EndGrace: time.Second})
	e := r.mustPublish("cam")
	e.run(5 * time.Second)
	r.reg.Reconfigure(map[string]AppOptions{"live": {Groups: map[string][]string{"cam": {"a", "b"}}}})
	e.run(5 * time.Second)
	if s := r.snapshot(); s.State != Live || len(s.Rows) == 0 {
		t.Errorf("it is %v", s.State)
	}
	e.s.Close(ingest.ErrUnpublished)
	r.now = r.now.Add(2 * time.Second)
	r.reg.Expire(r.now)
	r.reg.Expire(r.now)
	if _, err := r.publish("cam", "me"); err == nil {
		t.Error("then it is the ladder's")
	}
}

// Reconfigured from all sides while rungs come and go: no ladder is lost to those who tick it. The race detector looks on.
func TestReconfigureWhileRungsCome(t *testing.T) {
	r := newRig(t, AppOptions{Groups: map[string][]string{Wildcard: {"*_a", "*_b"}}})
	options := []map[string]AppOptions{
		{"live": {Groups: map[string][]string{Wildcard: {"*_a", "*_b"}}, EndGrace: time.Second}},
		{"live": {Groups: map[string][]string{Wildcard: {"*_a", "*_b"}}, EndGrace: 2 * time.Second}},
		{"live": {Groups: map[string][]string{Wildcard: {"*_a", "*_b", "*_c"}}}},
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				r.reg.Reconfigure(options[i%len(options)])
				r.reg.Publisher(Key{"live", "x_a"})
			}
		}
	})
	for range 20 {
		var both []*encoder
		for _, name := range []string{"x_a", "x_b"} {
			both = append(both, r.mustPublish(name))
		}
		for range 100 {
			for _, e := range both {
				e.step()
			}
		}
		for _, name := range []string{"x_a", "x_b"} {
			tl := r.reg.Timeline("live", name)
			ladder := r.reg.Timeline("live", "x")
			if tl == nil || ladder == nil || tl.Recording() != ladder.Recording() {
				t.Fatalf("%s is in no ladder", name)
			}
			if !slices.ContainsFunc(r.reg.ladders.all(), func(l *presentation) bool { return l.show != nil && l.show.t == ladder }) {
				t.Fatal("nobody ticks the ladder")
			}
		}
		for _, e := range both {
			e.s.Close(ingest.ErrUnpublished)
		}
		for range 10 {
			r.now = r.now.Add(time.Minute)
			r.reg.Expire(r.now)
		}
	}
	close(stop)
	wg.Wait()
}
