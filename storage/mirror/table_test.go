package mirror

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// snapshot returns rows of 2 s with the numbers from base to next.
func snapshot(base, next uint64) *segmenter.Snapshot {
	s := &segmenter.Snapshot{Base: base, TargetDuration: 2}
	for seq := base; seq < next; seq++ {
		s.Rows = append(s.Rows, segmenter.Row{Sequence: seq, Start: epoch.Add(time.Duration(seq) * 2 * time.Second), Duration: 180000, Size: 1000})
	}
	return s
}

func TestTableSharesTheTimelinesRows(t *testing.T) {
	tb := table{base: 3}
	s := snapshot(3, 10)
	tb.extend(s)
	tb.row(5).set(onDisk, true)
	if &tb.rows[0] != &s.Rows[0] || tb.next() != 10 || !tb.row(5).is(onDisk) || tb.row(6).is(onDisk) {
		t.Fatalf("%+v", tb)
	}
	if !tb.row(2).none() || !tb.row(10).none() || tb.row(9).Sequence != 9 {
		t.Error("rows are not where they should be")
	}
	// The timeline forgets what is still needed here.
	tb.extend(snapshot(8, 12))
	if tb.shared || tb.next() != 12 || len(tb.rows) != 9 || tb.row(3).Sequence != 3 || !tb.row(5).is(onDisk) {
		t.Fatalf("%+v", tb)
	}
	tb.forgetBefore(9)
	if tb.base != 9 || tb.row(9).Sequence != 9 || !tb.row(8).none() {
		t.Fatalf("%+v", tb)
	}
	later := snapshot(8, 13)
	tb.extend(later)
	if !tb.shared || tb.row(12).Row != &later.Rows[4] || tb.end() != later.Rows[4].End() {
		t.Errorf("%+v", tb)
	}
	tb.forgetBefore(11)
	if tb.row(11).Row != &later.Rows[3] || tb.next() != 13 {
		t.Errorf("%+v", tb)
	}
}

// What is known better here is never replaced by the timeline's.
func TestTableKeepsItsOwn(t *testing.T) {
	tb := table{}
	tb.invent(segmenter.Row{Sequence: 0, Start: epoch, Duration: 180000})
	tb.extend(snapshot(0, 3))
	if tb.shared || !tb.row(0).Gap || tb.row(1).Gap || tb.next() != 3 {
		t.Fatalf("%+v", tb)
	}
	tb.forgetBefore(1)
	tb.extend(snapshot(0, 4))
	if !tb.shared || tb.next() != 4 || tb.row(1).Sequence != 1 {
		t.Errorf("%+v", tb)
	}
}

// nowhere is a store that is never reached.
type nowhere struct{ storage.Store }

func TestRowFlagsAreDistinct(t *testing.T) {
	seen := flags(0)
	for _, f := range []flags{isDropped, isUnknown, isGuessed, onDisk, confirmed, confirmed << 1, sending, sending << 1,
		refused, refused << 1, logged, logged << 1, confirmed << 2, confirmed << 3, sending << 2, sending << 3,
		refused << 2, refused << 3, logged << 2, logged << 3, coding, coding << 1} {
		if f == 0 || seen&f != 0 {
			t.Errorf("%b overlaps %b", f, seen)
		}
		seen |= f
	}
	if confirmAll != confirmed|confirmed<<1 || logAll != logged|logged<<1|logged<<2|logged<<3 {
		t.Errorf("%b, %b", confirmAll, logAll)
	}
}
