package storage

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// maxTargets is the number of stores that a recording can go to: the bucket and its replica.
const maxTargets = 2

// flags are what is known about one segment.
type flags uint16

const (
	isDiscontinuity flags = 1 << iota
	isIndependent
	isGap                                // the timeline itself has no bytes for it
	isDropped                            // the bytes are gone before every target had them
	onDisk                               // a file of the spool
	confirmed                            // target 0 holds it; the next bit is target 1
	sending    = confirmed << maxTargets // on its way to target 0; the next bit is target 1
	refused    = sending << maxTargets   // target 0 has another content under its name; the next bit is target 1
	logged     = refused << maxTargets   // the journal has that it is settled in target 0; the next bit is target 1
	logAll     = logged<<maxTargets - logged
	confirmAll = confirmed<<maxTargets - confirmed // all the bits of confirmed
)

// row is one segment in as little memory as it takes, because a recording may have a hundred thousand.
type row struct {
	start    int64 // nanoseconds since 1970
	duration uint32
	size     uint32
	crc      uint32
	disc     uint32
	flags    flags
}

func rowOf(e *segmenter.Row) row {
	w := row{
		start: e.Start.UnixNano(), duration: uint32(e.Duration), size: uint32(e.Size), crc: e.CRC32C,
		disc: uint32(e.DiscontinuitySequence),
	}
	w.set(isDiscontinuity, e.Discontinuity)
	w.set(isIndependent, e.Independent)
	w.set(isGap, e.Gap)
	return w
}

func rowOfSpool(e *spool.Row) row {
	w := row{
		start: e.Start.UnixNano(), duration: uint32(e.Duration), size: uint32(e.Size), crc: e.CRC32C,
		disc: uint32(e.DiscontinuitySequence), flags: flags(e.Confirmed) * confirmed & confirmAll,
	}
	w.set(isDiscontinuity, e.Discontinuity)
	w.set(isIndependent, e.Independent)
	w.set(isGap, e.Gap)
	w.set(isDropped, e.Dropped)
	w.set(onDisk, e.File)
	w.flags |= logAll // all of it is from the journal
	return w
}

func (w *row) set(f flags, on bool) {
	if on {
		w.flags |= f
	} else {
		w.flags &^= f
	}
}

func (w *row) is(f flags) bool { return w.flags&f != 0 }

// settled tells whether nothing more will happen to the segment in that target: it is there, or never will be.
func (w *row) settled(target int) bool {
	return w.flags&(isGap|isDropped|(confirmed|refused)<<target) != 0
}

// listable tells whether a playlist in that target may count the segment as settled: where there is a journal that must
// come first, so that no playlist after a crash says less than the one before it.
func (w *row) listable(target int, gated bool) bool {
	return w.settled(target) && (!gated || w.flags&(isGap|(logged|refused)<<target) != 0)
}

// gap tells whether a playlist in that target must say EXT-X-GAP.
func (w *row) gap(target int) bool {
	return w.is(isGap) || w.is(isDropped|refused<<target) && !w.is(confirmed<<target)
}

// entry is the row as the timeline knows it. Gap is the timeline's own.
func (w *row) entry(sequence uint64) segmenter.Row {
	return segmenter.Row{
		Sequence: sequence, Start: time.Unix(0, w.start).UTC(), Duration: int64(w.duration), Size: int64(w.size), CRC32C: w.crc,
		Discontinuity: w.is(isDiscontinuity), Independent: w.is(isIndependent), Gap: w.is(isGap),
		DiscontinuitySequence: uint64(w.disc),
	}
}

// record is the row as the journal knows it.
func (w *row) record(sequence uint64) spool.Row {
	return spool.Row{
		Sequence: sequence, Start: time.Unix(0, w.start).UTC(), Duration: int64(w.duration), Size: int64(w.size), CRC32C: w.crc,
		Discontinuity: w.is(isDiscontinuity), Independent: w.is(isIndependent), Gap: w.is(isGap),
		DiscontinuitySequence: uint64(w.disc),
	}
}

// mediaTime is the row's duration.
func (w *row) mediaTime() time.Duration { return time.Duration(w.duration) * 100000 / 9 }
