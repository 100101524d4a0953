package segmenter

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestLadderWaitsForWhoComes: between being given the ladder's recording and having one of its own a rung has not entered yet.
// A tick that falls there finds nobody, and must not end the ladder for that.
func TestLadderWaitsForWhoComes(t *testing.T) {
	r := newRig(t, ladderOptions())
	m := r.reg.ladders.rung(Key{"live", ladderRungs[0]})
	id, ok := m.recording(r.now, "")
	if !ok {
		t.Fatal("no place in the ladder")
	}
	m.l.tick(r.now)
	m.l.mu.Lock()
	if m.l.show == nil || m.l.show.t.id != id {
		t.Error("the ladder ended")
	}
	m.l.mu.Unlock()
	e := r.mustPublish(ladderRungs[0])
	e.run(10 * time.Second)
	if s := r.reg.Timeline("live", ladderRungs[0]).Snapshot(); s.Recording != id || len(s.Rows) == 0 {
		t.Errorf("recording %s with %d rows, the ladder's is %s", s.Recording, len(s.Rows), id)
	}
	// And it ends when nobody is there any more.
	e.s.Close(nil)
	r.now = r.now.Add(time.Hour)
	r.reg.Expire(r.now) // the rung
	r.reg.Expire(r.now) // and then the ladder
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	if m.l.show != nil {
		t.Error("the ladder goes on without anybody")
	}
}

// A ladder ends as a whole, and its rungs not without it.
func TestLadderIsEndedAsAWhole(t *testing.T) {
	l := newLadder(t)
	l.run(12 * time.Second)
	first := l.reg.Timeline("live", "show").Snapshot().Recording
	why := errors.New("over")
	if ended, err := l.reg.End(Key{"live", "show_720p"}, why); !errors.Is(err, ErrRung) || ended != "" || !strings.Contains(err.Error(), "live/show instead") {
		t.Errorf("a rung was ended: %q, %v", ended, err)
	}
	if ended, err := l.reg.End(Key{"live", "show"}, why); err != nil || ended != first {
		t.Errorf("%q ended, wanted %q: %v", ended, first, err)
	}
	for _, name := range append([]string{"show"}, ladderRungs...) {
		if s := l.reg.Timeline("live", name).Snapshot(); s.State != Ended {
			t.Errorf("%s is %v", name, s.State)
		}
	}
	for _, name := range ladderRungs {
		l.connect(name)
	}
	l.run(12 * time.Second)
	if s := l.reg.Timeline("live", "show").Snapshot(); s.Recording == first || s.State != Live {
		t.Errorf("what came later is %v in %s", s.State, s.Recording)
	}
	if n := l.reg.Disconnect(Key{"live", "show"}, why); n != len(ladderRungs) {
		t.Errorf("%d rungs were sent away", n)
	}
}
