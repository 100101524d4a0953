package mirror

import (
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// maxTargets is the number of stores that a recording can go to: the bucket and its replica.
const maxTargets = 2

// flags are what is known here about one segment, beside what its row says.
type flags uint16

const (
	isDropped  flags                     = 1 << iota // the bytes are gone before every target had them
	onDisk                                           // a file of the spool
	confirmed                                        // target 0 holds it; the next bit is target 1
	sending    = confirmed << maxTargets             // on its way to target 0; the next bit is target 1
	refused    = sending << maxTargets               // target 0 has another content under its name; the next bit is target 1
	logged     = refused << maxTargets               // the journal has that it is settled in target 0; the next bit is target 1
	logAll     = logged<<maxTargets - logged
	confirmAll = confirmed<<maxTargets - confirmed // all the bits of confirmed
)

func (f *flags) set(bits flags, on bool) {
	if on {
		*f |= bits
	} else {
		*f &^= bits
	}
}

func (f *flags) is(bits flags) bool { return *f&bits != 0 }

// row is one segment: what the timeline published, and what became of it. Both belong to a table. The zero row is none.
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

// listable reports whether a playlist in that target may count the segment as settled: where there is a journal that must
// come first, so that no playlist after a crash says less than the one before it.
func (w row) listable(target int, gated bool) bool {
	return w.settled(target) && (!gated || w.Gap || w.is((logged|refused)<<target))
}

// lost reports whether a playlist in that target must say EXT-X-GAP.
func (w row) lost(target int) bool {
	return w.Gap || w.is(isDropped|refused<<target) && !w.is(confirmed<<target)
}

// record is the row as the journal knows it.
func (w row) record() spool.Row {
	return spool.Row{
		Sequence: w.Sequence, Start: w.Start, Duration: w.Duration, Size: w.Size, CRC32C: w.CRC32C, Discontinuity: w.Discontinuity,
		Independent: w.Independent, Gap: w.Gap, DiscontinuitySequence: w.DiscontinuitySequence,
	}
}

// recalled is a row as the journal has it, with what it says became of it.
func recalled(e *spool.Row) (segmenter.Row, flags) {
	f := flags(e.Confirmed)*confirmed&confirmAll | logAll // all of it is from the journal
	f.set(isDropped, e.Dropped)
	f.set(onDisk, e.File)
	return segmenter.Row{
		Sequence: e.Sequence, Start: e.Start, Duration: e.Duration, Size: e.Size, CRC32C: e.CRC32C, Discontinuity: e.Discontinuity,
		Independent: e.Independent, Gap: e.Gap, DiscontinuitySequence: e.DiscontinuitySequence,
	}, f
}
