package segmenter

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// rung is one rung's place in its ladder, and the policy by which its recording is cut. Guarded by presentation.mu.
type rung struct {
	l      *presentation
	stream string
	c      *recording // its part of the ladder's recording; nil before its first keyframe
	on     bool       // a publisher is there
	until  time.Time  // while none is: when its grace is over
	out    string     // why it stands outside; empty: it does not
	gone   atomic.Bool
	since  time.Time // when it began to wait for a place; zero: it has one

	begun     uint64 // the newest number it began
	last      uint64 // the newest number it listed
	listed    bool
	dependent bool // it listed a segment that is not independent
	restored  bool // it was taken up after a restart

	pace pace
}

// waitForPlace is how long a rung may be without a place on the grid before it is left outside.
const waitForPlace = 15 * time.Second

// lateKeys is how many keyframes in a row come late before a rung is left outside for it: a stall passes.
const lateKeys = 3

// lagSlack is by how much a lag has to fall from keyframe to keyframe to count as one that passes.
const lagSlack = 100 * time.Millisecond

// next implements policy.
func (m *rung) Next(u *cut.Unit, open *cut.Segment) (cut.Segment, bool) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	if m.out != "" {
		return cut.Segment{}, false
	}
	m.note(u)
	if open == nil {
		if u.Video && !u.Access && !u.Resumes {
			return cut.Segment{}, false
		}
		return m.place(u)
	}
	return m.cut(u, open)
}

// note remembers what a picture says of the rung's pace, and teaches the grid.
func (m *rung) note(u *cut.Unit) {
	if !u.Video {
		return
	}
	p := &m.pace
	p.at = u.At
	if u.Resumes {
		p.keys, p.steady = p.keys[:0], false
	}
	if !u.Access {
		return
	}
	p.key(u.At, tolerance(u))
	m.l.learn(m, tolerance(u))
}

// tolerance is how far keyframes of one instant may be apart in two rungs, ticks.
func tolerance(u *cut.Unit) int64 { return u.Duration * 3 / 2 }

// place finds the number that begins at a keyframe of a rung without an open segment; false where the frame has to be
// dropped and the next keyframe asked about. The first rung of all begins the recording.
func (m *rung) place(u *cut.Unit) (cut.Segment, bool) {
	g := &m.l.grid
	next, before := m.c.rows.next(), g.newest
	changed := len(m.c.rows.table.rows) > 0 && !m.c.gapsBreak() && !m.c.lists()
	b := m.l.find(m, u)
	if b != nil && changed && !g.breaksIn(next, b.number) {
		// A discontinuity stands in all rungs or in none: it is set at a number that no rung has begun.
		if b.number > before {
			g.mark(b.number)
		} else {
			g.mark(g.newest + 1)
			b = nil
		}
	}
	if b != nil {
		m.lag(u, b)
	}
	if b == nil || b.number < next || m.pace.late > 0 && !m.listed {
		if m.out == "" {
			m.l.waiting(m, u.Frame.Arrival)
		}
		return cut.Segment{}, false
	}
	m.since, m.pace.fits = time.Time{}, u.Frame.Arrival
	return m.segment(b, u, u.Video && !u.Access), true
}

func (m *rung) segment(b *bound, u *cut.Unit, keyless bool) cut.Segment {
	m.begun = b.number
	return cut.Segment{
		Number: b.number, Start: u.At, Boundary: u.Boundary, Wall: b.wall, Discontinuity: m.l.grid.breaks[b.number], Keyless: keyless,
	}
}

// cut finds the number that begins where a rung has an open segment.
func (m *rung) cut(u *cut.Unit, open *cut.Segment) (cut.Segment, bool) {
	g := &m.l.grid
	if !g.any {
		return cut.Segment{}, false
	}
	m.l.observe(u)
	b := g.find(u.At, tolerance(u))
	if b != nil && b.number > open.Number && (u.Access && !u.Silent || !u.Video && !u.Silent || b.keyless) {
		m.lag(u, b)
		m.pace.fits = u.Frame.Arrival
		return m.segment(b, u, u.Video && !u.Access), true
	}
	if u.Silent { // the picture stands still: follow the others
		if b = g.bound(open.Number + 1); b != nil && u.At >= b.at {
			return m.still(b, u), true
		}
	} else if b == nil && u.Key && g.newest == open.Number {
		if m.makes(u, open) {
			m.pace.fits = u.Frame.Arrival
			return m.segment(m.l.boundary(m, open.Number+1, u, false), u, false), true
		}
	}
	return m.overdue(u, open)
}

// makes reports whether a rung makes a new boundary where it has a keyframe. Sound can be cut anywhere: it lets the pictures
// of the other rungs say where.
func (m *rung) makes(u *cut.Unit, open *cut.Segment) bool {
	g := &m.l.grid
	if !u.Video && !g.sure && m.l.pictures() {
		return false
	}
	_, ok := g.due(u.At, tolerance(u), u.Frame.Arrival, !m.l.othersActive(m, u.Frame.Arrival))
	if !u.Video || ok && g.sure {
		return ok
	}
	if m.l.disagrees(m, tolerance(u)) {
		return false
	}
	if ok {
		return true
	}
	// All of them have left the grid: then a stream's own rule tells which keyframe is the last that fits.
	elapsed, target := u.At-open.Start, m.l.target
	if target == 0 {
		target = max(1, cut.RoundSeconds(g.wanted), cut.RoundSeconds(g.step))
	}
	return elapsed >= g.wanted || elapsed >= g.wanted/2 && cut.RoundSeconds(elapsed+m.pace.longest()) > target
}

// still is a segment that begins where the others have a boundary, while the picture of this one stands still.
func (m *rung) still(b *bound, u *cut.Unit) cut.Segment {
	s := m.segment(b, u, true)
	s.Start, s.Boundary = b.at, b.at-(u.At-u.Boundary)
	return s
}

// overdue ends a segment that should have been cut by now: the rung stands outside where the others had a keyframe, and all
// of them are cut without one where none had.
func (m *rung) overdue(u *cut.Unit, open *cut.Segment) (cut.Segment, bool) {
	g := &m.l.grid
	const elsewhere = "it has no keyframe where the other rungs have theirs: set the same fixed keyframe interval for all"
	if b := g.bound(open.Number + 1); b != nil {
		if u.At-b.at <= 4*u.Duration {
			return cut.Segment{}, false // the others may be no further than this
		}
		if !m.l.misled(m, b, tolerance(u)) {
			m.l.exclude(m, elsewhere)
			return cut.Segment{}, false
		}
		m.l.exclude(b.by, elsewhere)
		g.revoke(open.Number)
	}
	limit := cut.Longest(max(cut.RoundSeconds(codec.Ticks(m.l.o.MaxTargetDuration)), 1))
	if m.l.target > 0 {
		limit = cut.Longest(m.l.target)
	}
	if u.At-open.Start+u.Duration+min(u.Duration/2, cut.Unevenness) <= limit {
		return cut.Segment{}, false
	}
	if m.l.disagrees(m, tolerance(u)) {
		m.l.exclude(m, elsewhere)
		return cut.Segment{}, false
	}
	b := m.l.boundary(m, open.Number+1, u, true)
	if u.Silent {
		return m.still(b, u), true
	}
	return m.segment(b, u, true), true
}

// lag leaves a rung outside that steadily comes more than a target duration after the first: its segments would all be
// declared lost before they are complete.
func (m *rung) lag(u *cut.Unit, b *bound) {
	limit := max(time.Duration(m.l.target)*time.Second, cut.Duration(m.l.grid.wanted))
	lag := u.Frame.Arrival.Sub(b.arrival)
	catchesUp := lag < m.pace.lag-lagSlack // as what a stalled uplink held back, or ffmpeg after its start
	m.pace.lag = lag
	switch {
	case lag <= limit:
		m.pace.late = 0
		return
	case catchesUp:
		m.pace.late = 0
	}
	if m.pace.late++; m.pace.late >= lateKeys || !m.listed && m.pace.late > 1 {
		m.l.exclude(m, fmt.Sprintf("it is sent %.1f s later than the other rungs, which is more than a segment lasts", lag.Seconds()))
	}
}

// fix implements policy: the target duration of all rungs, settled by the first that lists a segment.
func (m *rung) Fix(duration int64) int {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	if m.l.target == 0 {
		m.l.target = max(1, cut.RoundSeconds(m.l.grid.wanted), cut.RoundSeconds(m.l.grid.step), cut.RoundSeconds(duration))
		if m.l.grid.sure {
			m.l.target = max(1, cut.RoundSeconds(m.l.grid.step), cut.RoundSeconds(duration))
		}
	}
	return m.l.target
}

// before is what the ladder's recording has had so far: its target duration in seconds, 0 where none is settled, and whether
// this rung has listed something in it.
func (m *rung) before() (target int, listed bool) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.l.target, m.listed
}

// declare sets a discontinuity in all rungs, at the first number that none has begun.
func (m *rung) declare() {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	if n := m.c.cutter.Newest().Number; !m.l.grid.breaksIn(n+1, m.l.grid.newest+1) {
		m.l.grid.mark(m.l.grid.newest + 1)
	}
}

// breakAtOnce makes a boundary with a discontinuity at a picture, for all rungs, where none of them is past it; else one is
// declared.
func (m *rung) breakAtOnce(u *cut.Unit) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	g := &m.l.grid
	if b := g.find(u.At, tolerance(u)); b != nil && g.breaks[b.number] || m.out != "" || !m.c.cutter.IsOpen() {
		return
	}
	n := m.c.cutter.Newest().Number
	ahead := g.newest > n
	for _, o := range m.l.rungs {
		ahead = ahead || o != m && o.on && o.out == "" && o.pace.at > u.At+tolerance(u)
	}
	switch {
	case !ahead:
		g.mark(n + 1)
		m.l.boundary(m, n+1, u, !u.Access)
	case !g.breaksIn(n+1, g.newest+1):
		g.mark(g.newest + 1)
	}
}

// breakAt reports whether a number begins with a discontinuity.
func (m *rung) breakAt(number uint64) bool {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.l.grid.breaks[number]
}

// whole reports whether a segment of some duration fills its place on the grid, to within a frame.
func (m *rung) whole(length int64) bool {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.l.grid.step == 0 || length+Clock/15 >= m.l.grid.step
}

// gap is the row of a number whose bytes a rung does not have.
func (m *rung) gap(number uint64, after time.Time) Row {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	g := &m.l.grid
	e := Row{Sequence: number, Start: after, Duration: max(g.step, 1), Gap: true, Discontinuity: g.breaks[number]}
	if g.step == 0 {
		e.Duration = max(g.wanted, 1)
	}
	if b := g.bound(number); b != nil {
		e.Start = b.wall
		if next := g.bound(number + 1); next != nil && !g.breaks[number+1] {
			e.Duration = next.at - b.at
		}
	}
	return e
}

// wall is the PROGRAM-DATE-TIME of a number, as all rungs have it.
func (m *rung) wall(number uint64, own time.Time) time.Time {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.l.clock.Settle() // what is listed keeps its time
	if b := m.l.grid.bound(number); b != nil {
		return b.wall
	}
	return own
}

// published notes that a rung listed a row.
func (m *rung) published(e *Row, arrival time.Time) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.last, m.listed = max(m.last, e.Sequence), true
	m.dependent = m.dependent || !e.Independent && !e.Gap
	if b := m.l.grid.bound(e.Sequence); b != nil && b.listed.IsZero() {
		b.listed = arrival
	}
	m.l.render()
}

// reset makes the rung ready for the ladder's next recording. Its publisher may still be there where it stood outside.
func (m *rung) reset() {
	m.on = m.on && m.out != ""
	m.c, m.until, m.out, m.since, m.pace = nil, time.Time{}, "", time.Time{}, pace{}
	m.begun, m.last, m.listed, m.dependent, m.restored = 0, 0, false, false, false
	m.gone.Store(false)
}

// enter and leave note a rung's publisher coming and going.
func (m *rung) enter(c *recording) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.c, m.on, m.since, m.pace = c, true, time.Time{}, pace{}
}

func (m *rung) leave(until time.Time) {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	m.on, m.until = false, until
}

// keeps reports whether a rung whose own grace is over stays open because the ladder goes on.
func (m *rung) keeps(now time.Time) bool {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.out == "" && m.l.goesOn(now)
}

// recording is the id that a rung's new timeline begins with; false where the rung stands outside. The ladder's own
// timeline begins with the first of them, named later than all in after.
func (m *rung) recording(first time.Time, after RecordingID) (RecordingID, bool) {
	l := m.l
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case m.out != "":
		return "", false
	case l.show == nil:
		l.start(newRecordingID(first, max(after, l.newest)))
	case l.show.t.id <= after:
		return "", false
	case l.restored && !m.restored:
		// It may have stood outside and ended before the restart: then it has used numbers that nobody knows any more.
		return "", false
	}
	return l.show.t.id, true
}

// problem says why the rung stands outside, as an operator reads it; empty: it does not.
func (m *rung) problem() string {
	m.l.mu.Lock()
	defer m.l.mu.Unlock()
	return m.out
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
	m.c, m.until, m.last, m.listed = c, c.ends, max(rec.Next, 1)-1, rec.Next > 0
	m.dependent = slices.ContainsFunc(rec.Rows, func(e Row) bool { return !e.Independent && !e.Gap })
	l.target = max(l.target, rec.TargetDuration)
	l.restored, m.restored = true, true
	return true
}

// lost reports whether all that the rung listed lately are gaps.
func (m *rung) lost() bool {
	s := m.c.t.Snapshot()
	n := len(s.Rows)
	return n >= 2 && !slices.ContainsFunc(s.Rows[n-2:], func(e Row) bool { return !e.Gap })
}
