package segmenter

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/grid"
)

// rung is one rung of a ladder, and the policy by which its recording is cut. Guarded by presentation.mu, and so is its
// place on the grid.
type rung struct {
	l      *presentation
	stream string
	place  *grid.Rung
	c      *recording  // its part of the ladder's recording; nil before its first keyframe
	comes  bool        // it was given the ladder's id for a recording that has not entered yet: the ladder does not end meanwhile
	gone   atomic.Bool // it stands outside: the recording is to leave

	frame int64 // how long a frame of it lasts, ticks; 0: not known
	usual int64 // how long its segments are, ticks; 0: not known

	dependent bool // it listed a segment that is not independent
	restored  bool // it was taken up after a restart
}

// Next implements cut.Policy.
func (m *rung) Next(u *cut.Unit, open *cut.Segment) (s cut.Segment, ok bool) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	if open != nil {
		s, ok = m.l.grid.Cut(m.place, u, open)
	} else {
		s, ok = m.l.grid.Begin(m.place, u, m.c.rows.next(), m.c.changes())
	}
	m.l.heed()
	return s, ok
}

// spot returns the place of a segment that came whole and begins with u; false: it has none. See grid.Place.
func (m *rung) spot(u *cut.Unit, broken, fresh bool) (s cut.Segment, ok bool) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	s, ok = m.l.grid.Place(m.place, u, m.c.rows.next(), broken, fresh)
	m.l.heed()
	return s, ok
}

// Fix implements cut.Policy: the target duration of all rungs, settled by the first that lists a segment.
func (m *rung) Fix(duration int64) int {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.l.grid.Fix(duration)
}

// before is what the ladder's recording has had so far: its target duration in seconds, 0 where none is settled, and whether
// this rung has listed something in it.
func (m *rung) before() (target int, listed bool) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	_, listed = m.place.Last()
	return m.l.grid.Target(), listed
}

// declare sets a discontinuity in all rungs, at the first number that none has begun.
func (m *rung) declare() {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.l.grid.Declare(m.c.cutter.Newest().Number)
}

// breakAtOnce makes a boundary with a discontinuity at a picture, for all rungs, where none of them is past it; else one is
// declared.
func (m *rung) breakAtOnce(u *cut.Unit) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	if m.c.cutter.IsOpen() {
		m.l.grid.BreakAtOnce(m.place, u, m.c.cutter.Newest().Number)
	}
}

// breakAt reports whether a number begins with a discontinuity.
func (m *rung) breakAt(number uint64) bool {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.l.grid.Breaks(number)
}

// whole reports whether a segment of some duration fills its place on the grid, to within a frame.
func (m *rung) whole(length int64) bool {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.l.grid.Whole(length)
}

// gap is the row of a number whose bytes a rung does not have.
func (m *rung) gap(number uint64, after time.Time) Row {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	e := Row{Sequence: number, Gap: true}
	e.Start, e.Duration, e.Discontinuity = m.l.grid.Gap(number, after)
	return e
}

// wall is the PROGRAM-DATE-TIME of a number, as all rungs have it.
func (m *rung) wall(number uint64, own time.Time) time.Time {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.l.grid.Wall(number, own)
}

// published notes that a rung listed a row.
func (m *rung) published(e *Row, arrival time.Time) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.dependent = m.dependent || !e.Independent && !e.Gap
	m.l.grid.List(m.place, e.Sequence, arrival)
	m.l.render()
}

// begins notes that viewers are shown a first segment of the rung, or of what is made from it; nil is no rung.
func (m *rung) begins() {
	if m == nil {
		return
	}
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	if m.l.fed() || !m.l.grid.Restored() { // else it waits for a publisher, as after any start
		m.l.render()
	}
}

// pace takes note of how long a frame and a segment of the rung last, ticks, and returns that of the ladder's slowest, and of another rung.
func (m *rung) pace(frame, usual int64) (slowest, others int64) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.frame, m.usual = frame, usual
	for _, o := range m.l.rungs {
		if o.place.Out() == "" {
			frame, others = max(frame, o.frame), max(others, o.usual)
		}
	}
	return frame, others
}

// reset makes the rung ready for the ladder's next recording.
func (m *rung) reset() {
	m.c, m.comes, m.frame, m.usual, m.dependent, m.restored = nil, false, 0, 0, false, false
	m.gone.Store(false)
}

// enter and leave note a rung's publisher coming and going.
func (m *rung) enter(c *recording) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.c, m.comes = c, false
	m.place.Enter(&c.solo)
}

func (m *rung) leave(until time.Time) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.place.Leave(until)
}

// keeps reports whether a rung whose own grace is over stays open because the ladder goes on.
func (m *rung) keeps(now time.Time) bool {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.place.Out() == "" && m.l.grid.GoesOn(now)
}

// recording is the id that a rung's new timeline begins with; false where the rung stands outside. The ladder's own
// timeline begins with the first of them, named later than all in after.
func (m *rung) recording(first time.Time, after RecordingID) (RecordingID, bool) {
	l := m.l
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case m.place.Out() != "":
		return "", false
	case l.show == nil:
		l.start(newRecordingID(first, max(after, l.newest)))
	case l.show.t.id <= after:
		return "", false
	case l.grid.Restored() && !m.restored:
		// It may have stood outside and ended before the restart: then it has used numbers that nobody knows any more.
		return "", false
	}
	m.comes = true
	return l.show.t.id, true
}

// problem says why the rung stands outside, as an operator reads it; empty: it does not.
func (m *rung) problem() string {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.place.Out()
}

// restore takes a rung's recovered recording into the ladder.
func (m *rung) restore(c *recording, rec Recovered, ended bool) bool {
	l := m.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if ended || l.show != nil && l.show.t.id != rec.Recording {
		return false
	}
	if l.show == nil {
		l.start(rec.Recording)
	}
	m.c, m.restored = c, true
	m.dependent = slices.ContainsFunc(rec.Rows, func(e Row) bool { return !e.Independent && !e.Gap })
	m.place.Restore(rec.Next, c.ends)
	l.grid.Restore(rec.TargetDuration)
	return true
}

// keepsUp reports whether the rung has listed so lately that its ladder's live playlist names it.
func (m *rung) keepsUp(last, newest uint64) bool { return last+3 >= newest && !m.lost() }

// lost reports whether all that the rung listed lately are gaps.
func (m *rung) lost() bool {
	s := m.c.t.Snapshot().Whole()
	n := len(s.Rows)
	return n >= 2 && !slices.ContainsFunc(s.Rows[n-2:], func(e Row) bool { return !e.Gap })
}

// rungLog is the sink of a rung, and of the audio-only variant that is made from one: a log in which the numbers are those
// of the whole ladder.
//
// A rung that loses its publisher in the middle of a segment has a part of a number that the other rungs have whole. Listed,
// it would say another duration of that number than they do, and its viewers would see a hole; as a gap it sends them to
// another rung. Where all rungs were cut off together, though, that part is the end of a stretch, and worth having. So it
// is held back until it is known which it was: the ladder went on past the number, or not.
type rungLog struct {
	*log
	rung  *rung
	quiet bool // the ladder is not told: it is the audio-only variant
	held  *finished
}

// open implements sink.
func (l *rungLog) open(number uint64) {
	if l.held != nil && l.held.Number >= number {
		l.settle(false) // the encoder sends this number anew, from its beginning
	}
	if len(l.table.rows) > 0 && !l.writing { // else the one before is still to come
		l.fill(number)
	}
	l.log.open(number)
}

// list implements sink.
func (l *rungLog) list(f *finished) bool {
	f.Wall = l.rung.wall(f.Number, f.Wall)
	if f.cutOff && !l.rung.whole(f.end-f.Start) {
		l.closed(f.Number)
		held := *f
		l.held = &held
		return false // maybe: what follows says so itself
	}
	return l.append(f)
}

func (l *rungLog) append(f *finished) bool {
	if len(l.table.rows) > 0 {
		l.fill(f.Number)
	}
	ok := l.log.list(f)
	l.told()
	return ok
}

// told tells the ladder of the newest row.
func (l *rungLog) told() {
	if n := len(l.table.rows); n > 0 && !l.quiet {
		l.rung.published(&l.table.rows[n-1], l.lastFrame)
	}
}

// fill lists gaps for the numbers up to one that do not exist, as a lost or lagging rung leaves them.
func (l *rungLog) fill(upTo uint64) {
	if l.table.next() >= upTo {
		return
	}
	l.miss(upTo)
	if l.held != nil && l.held.Number < upTo {
		l.settle(l.rung.breakAt(l.held.Number + 1))
	}
	for l.table.next() < upTo {
		l.gap(l.rung.gap(l.table.next(), l.table.end()))
	}
	if l.target > 0 {
		l.changed()
		l.told()
	}
}

// settle lists what is held back, or gives it up; fill then declares the number a gap.
func (l *rungLog) settle(list bool) {
	f := l.held
	if f == nil {
		return
	}
	l.held = nil
	if list {
		l.append(f)
		return
	}
	l.discard(f)
}
