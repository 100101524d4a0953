package segmenter

import (
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
