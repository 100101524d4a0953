package mirror

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// table holds the rows of a recording, without holes, and what became of each. The rows themselves are the timeline's wherever the two
// agree: a recording may have a hundred thousand of them.
type table struct {
	base   uint64 // number of the first row
	rows   []segmenter.Row
	state  []flags // as long as rows
	own    uint64  // rows before it are known better here than by the timeline
	shared bool    // rows is the timeline's memory: must not be written
}

// next returns the number after the last row.
func (t *table) next() uint64 { return t.base + uint64(len(t.state)) }

// row returns a row, or none. It is valid until rows are added or dropped.
func (t *table) row(sequence uint64) row {
	if sequence < t.base || sequence >= t.next() {
		return row{}
	}
	i := sequence - t.base
	return row{&t.rows[i], &t.state[i]}
}

// run returns the rows from first on, before next.
func (t *table) run(first, next uint64) []segmenter.Row { return t.rows[first-t.base : next-t.base] }

// add appends one of its own rows.
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

// extend adds the rows that a snapshot has after the existing ones.
func (t *table) extend(s *segmenter.Snapshot) {
	fresh := s.Rows[t.next()-s.Base:]
	t.state = append(t.state, make([]flags, len(fresh))...)
	if t.base >= s.Base && t.base >= t.own {
		t.rows, t.shared = s.Rows[t.base-s.Base:len(s.Rows):len(s.Rows)], true
		return
	}
	t.rows, t.shared = append(t.rows, fresh...), false
}

// forgetBefore drops the rows before a number.
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

// end returns the instant at which the last row ends, or zero.
func (t *table) end() time.Time {
	if len(t.rows) == 0 {
		return time.Time{}
	}
	return t.rows[len(t.rows)-1].End()
}

// A target is a packaging in a store. The transport stream in the bucket is 0, that in the replica 1; what is made of them, as CMAF, is 2 and
// 3.
const (
	maxStores  = 2
	maxTargets = 2 * maxStores
)

// flags are what is known about one segment, besides its row.
type flags uint32

const (
	isDropped  flags                     = 1 << iota // the bytes were lost before every store had them
	isUnknown                                        // only its number is known: a store that has it will tell
	isGuessed                                        // its row was derived from its own bytes
	onDisk                                           // a file of the spool
	confirmed                                        // target 0 holds it; the next bit is target 1, and so on
	sending    = confirmed << maxTargets             // being sent to target 0
	refused    = sending << maxTargets               // target 0 has different content under its name, or nothing can be made of it
	logged     = refused << maxTargets               // the journal knows that it is settled in target 0
	coding     = logged << maxTargets                // how it is coded as CMAF: from this bit on a number, see recording.codings
	logAll     = logged<<maxTargets - logged
	confirmAll = confirmed<<maxStores - confirmed // a store holds the transport stream
)

// maxCodings is how many codings the segments of a recording may have that are in the table.
const maxCodings = int(^flags(0)/coding) - 1

// code is the index in recording.codings of how the segment is coded; below 0: that is not known.
func (f flags) code() int { return int(f/coding) - 1 }

// setCode sets it.
func (f *flags) setCode(i int) { *f = *f%coding | flags(i+1)*coding }

func (f *flags) set(bits flags, on bool) {
	if on {
		*f |= bits
	} else {
		*f &^= bits
	}
}

func (f *flags) is(bits flags) bool { return *f&bits != 0 }

// row is one segment: what the timeline published, and what became of it. Both belong to a table. The zero row means none.
type row struct {
	*segmenter.Row
	*flags
}

// none reports whether there is no such row.
func (w row) none() bool { return w.Row == nil }

// settled reports whether nothing more will happen to the segment in that target: it is there, or never will be.
func (w row) settled(target int) bool {
	return w.Gap || w.is(isDropped|(confirmed|refused)<<target)
}

// listable reports whether a playlist in that target may count the segment as settled. If there is a journal it must be written first, so
// that no playlist after a crash says less than the one before it.
func (w row) listable(target int, gated bool) bool {
	return w.settled(target) && (!gated || w.Gap || w.is((logged|refused)<<target))
}

// lost reports whether a playlist in that target must say EXT-X-GAP.
func (w row) lost(target int) bool {
	return w.Gap || w.is(isDropped|refused<<target) && !w.is(confirmed<<target)
}

// record returns the row for the journal.
func (w row) record() spool.Row {
	return spool.Row{
		Sequence: w.Sequence, Start: w.Start, Duration: w.Duration, Size: w.Size, CRC32C: w.CRC32C, Discontinuity: w.Discontinuity,
		Independent: w.Independent, Gap: w.Gap, DiscontinuitySequence: w.DiscontinuitySequence,
		Cues: w.Cues, Running: w.Running,
	}
}

// recalled converts a row from the journal, with what became of it.
func recalled(e *spool.Row) (segmenter.Row, flags) {
	f := flags(e.Confirmed)*confirmed&confirmAll | logAll // everything is from the journal
	if e.Unknown {
		f = isUnknown // that a target has it is useless before its content is known
	}
	f.set(isDropped, e.Dropped)
	f.set(onDisk, e.File)
	return segmenter.Row{
		Sequence: e.Sequence, Start: e.Start, Duration: e.Duration, Size: e.Size, CRC32C: e.CRC32C, Discontinuity: e.Discontinuity,
		Independent: e.Independent, Gap: e.Gap, DiscontinuitySequence: e.DiscontinuitySequence,
		Cues: m3u8.Ranges(e.Cues), Running: m3u8.Ranges(e.Running),
	}, f
}
