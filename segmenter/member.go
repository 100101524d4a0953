package segmenter

import (
	"slices"
	"time"
)

// member is one rung's place in its group. Guarded by group.mu.
type member struct {
	g      *group
	stream string
	t      *Timeline // its part of the group's recording; nil before its first keyframe
	on     bool      // a publisher is there
	until  time.Time // while none is: when its grace is over
	out    string    // why it stands outside; empty: it does not
	since  time.Time // when it began to wait for a place; zero: it has one
	last   uint64    // the newest number it listed
	listed bool
	seen   time.Time // the newest keyframe
}

// waitForPlace is how long a rung may be without a place on the grid before it is left outside.
const waitForPlace = 15 * time.Second

// place finds the number that begins at a keyframe of a rung without an open segment; false where the frame has to be
// dropped and the next keyframe asked about. next is the rung's first free number, changed says that its configuration
// differs from what it listed before. The first rung of all begins the recording.
func (m *member) place(at, frame int64, arrival time.Time, next uint64, changed bool) (number uint64, wall time.Time, ok bool) {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	m.seen = arrival
	number, ok = g.find(m, at, frame, arrival)
	if ok && changed && !g.grid.breaksIn(next, number) {
		// A discontinuity stands in all rungs or in none: it is set at a number that no rung has begun.
		g.grid.breaks[g.grid.newest+1] = true
		ok = false
	}
	if !ok || number < next {
		g.waiting(m, arrival)
		return 0, time.Time{}, false
	}
	m.since = time.Time{}
	return number, g.grid.bound(number).wall, true
}

// cut tells whether a keyframe of a rung with an open segment begins a number, and which.
func (m *member) cut(at, start, frame int64, arrival time.Time) (number uint64, wall time.Time, ok bool) {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	m.seen = arrival
	if !g.grid.any {
		return 0, time.Time{}, false
	}
	g.grid.learn(at - start)
	number, ok = g.grid.number(at, frame*3/2, arrival)
	if !ok {
		return 0, time.Time{}, false
	}
	return number, g.grid.bound(number).wall, true
}

// missed tells whether a rung's open segment, begun at start, should have been cut by now.
func (m *member) missed(at, start, frame int64) bool {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	step := g.grid.step
	if step == 0 {
		step = ticks(g.o.MaxTargetDuration)
	}
	if at-start <= step+2*frame {
		return false
	}
	if m.out == "" {
		g.exclude(m, "it has no keyframe where the other rungs have theirs: set the same fixed keyframe interval for all")
	}
	return true
}

// breakAt tells whether a number begins with a discontinuity.
func (m *member) breakAt(number uint64) bool {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	return m.g.grid.breaks[number]
}

// gap is the row of a number whose bytes a rung does not have.
func (m *member) gap(number uint64, after time.Time) Entry {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	e := Entry{Sequence: number, Start: after, Duration: max(g.grid.step, 1), Gap: true, Discontinuity: g.grid.breaks[number]}
	if b := g.grid.bound(number); b != nil {
		e.Start = b.wall
		if next := g.grid.bound(number + 1); next != nil && !g.grid.breaks[number+1] {
			e.Duration = next.at - b.at
		}
	}
	return e
}

// fix is the target duration of all rungs, settled by the first that lists a segment.
func (m *member) fix(own int) int {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.target == 0 {
		g.target = own
		if g.grid.step > 0 {
			g.target = max(1, roundSeconds(g.grid.step))
		}
	}
	return g.target
}

// published notes that a rung listed a segment.
func (m *member) published(number uint64, arrival time.Time) {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	m.last, m.listed = max(m.last, number), true
	if b := g.grid.bound(number); b != nil && b.listed.IsZero() {
		b.listed = arrival
	}
	for n := range g.grid.breaks {
		if n+gridMemory < g.grid.newest {
			delete(g.grid.breaks, n)
		}
	}
	g.render()
}

// enter and leave note a rung's publisher coming and going.
func (m *member) enter(t *Timeline) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	m.t, m.on, m.since = t, true, time.Time{}
}

func (m *member) leave(until time.Time) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	m.on, m.until = false, until
}

// keeps tells whether a rung whose own grace is over stays open because the ladder goes on.
func (m *member) keeps(now time.Time) bool {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	return m.out == "" && m.g.goesOn(now)
}

// recording is the id that a rung's new timeline begins with; false where the rung stands outside. The group's own
// timeline begins with the first of them, named later than all in after.
func (m *member) recording(first time.Time, after RecordingID) (RecordingID, bool) {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case m.out != "":
		return "", false
	case g.t == nil:
		g.start(newRecordingID(first, after))
	case g.t.id <= after:
		return "", false
	}
	return g.t.id, true
}

// outside tells whether the rung is left to itself.
func (m *member) outside() bool {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	return m.out != ""
}

// restore takes a rung's recovered recording into the ladder.
func (m *member) restore(t *Timeline, rec Recovered, until time.Time, ended bool) bool {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if ended || g.t != nil && g.t.id != rec.Recording {
		return false
	}
	if g.t == nil {
		g.start(rec.Recording)
	}
	m.t, m.until, m.last, m.listed = t, until, max(rec.Next, 1)-1, rec.Next > 0
	g.target = max(g.target, rec.TargetDuration)
	return true
}

// lost tells whether all that the rung listed lately are gaps.
func (m *member) lost() bool {
	s := m.t.Snapshot()
	n := len(s.Entries)
	return n >= 2 && !slices.ContainsFunc(s.Entries[n-2:], func(e Entry) bool { return !e.Gap })
}
