package mirror

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// table is the rows of a recording, without holes, and what became of each. The rows themselves are the timeline's wherever
// the two agree: a recording may have a hundred thousand of them.
type table struct {
	base   uint64 // number of the first row
	rows   []segmenter.Row
	state  []flags // as long as rows
	own    uint64  // rows before it are better known here than to the timeline
	shared bool    // rows is the timeline's memory: never written
}

// next is the number after the last row.
func (t *table) next() uint64 { return t.base + uint64(len(t.state)) }

// row finds a row; none where there is none. It is good until rows are added or dropped.
func (t *table) row(sequence uint64) row {
	if sequence < t.base || sequence >= t.next() {
		return row{}
	}
	i := sequence - t.base
	return row{&t.rows[i], &t.state[i]}
}

// run is the rows from first on, before next.
func (t *table) run(first, next uint64) []segmenter.Row { return t.rows[first-t.base : next-t.base] }

// add appends one row of its own.
func (t *table) add(e segmenter.Row, f flags) {
	t.rows, t.state = append(t.rows, e), append(t.state, f)
	t.shared = false
}

// invent adds a gap that the timeline does not know.
func (t *table) invent(e segmenter.Row) {
	e.Gap = true
	t.add(e, 0)
	t.own = t.next()
}

// extend adds the rows that a snapshot has behind those that are here.
func (t *table) extend(s *segmenter.Snapshot) {
	fresh := s.Rows[t.next()-s.Base:]
	t.state = append(t.state, make([]flags, len(fresh))...)
	if t.base >= s.Base && t.base >= t.own {
		t.rows, t.shared = s.Rows[t.base-s.Base:len(s.Rows):len(s.Rows)], true
		return
	}
	t.rows, t.shared = append(t.rows, fresh...), false
}

// forgetBefore forgets the rows before a number.
func (t *table) forgetBefore(before uint64) {
	n := int(before - t.base)
	t.state = append(make([]flags, 0, len(t.state)-n+1024), t.state[n:]...)
	if t.shared {
		t.rows = t.rows[n:]
	} else {
		t.rows = append(make([]segmenter.Row, 0, len(t.state)+1024), t.rows[n:]...)
	}
	t.base = before
}

// end is the instant at which the last row ends; zero where there is none.
func (t *table) end() time.Time {
	if len(t.rows) == 0 {
		return time.Time{}
	}
	return t.rows[len(t.rows)-1].End()
}
