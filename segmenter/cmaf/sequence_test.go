package cmaf

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// inParts is a snapshot of a recording whose segments last so many ticks each and have parts; it is writing the next one.
func inParts(target int, lasts []int64, parts func(i int) int) *segmenter.Snapshot {
	s := &segmenter.Snapshot{TargetDuration: target, State: segmenter.Live, Writing: true, PartTarget: 45000}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for i, d := range lasts {
		s.Rows = append(s.Rows, segmenter.Row{Sequence: uint64(i), Start: at, Duration: d})
		at = at.Add(time.Duration(d) * time.Second / segmenter.Clock)
	}
	s.Opened = uint64(len(lasts))
	known, left := len(lasts), int64(6*target)*segmenter.Clock
	for ; known > 0 && left > 0; known-- {
		left -= lasts[known-1]
	}
	for i := known; i < len(lasts); i++ {
		for p := range parts(i) {
			s.Parts = append(s.Parts, segmenter.Part{Sequence: uint64(i), Index: p, Duration: 45000, Independent: p == 0})
		}
	}
	return s
}

// evenly is n segments of a length.
func evenly(n int, each int64) (lasts []int64) {
	for range n {
		lasts = append(lasts, each)
	}
	return lasts
}

func always(n int) func(int) int { return func(int) int { return n } }

// What is complete is listed with its parts, and what follows is foretold, as far as a player has to know it that reads the manifest each second.
func TestSequenced(t *testing.T) {
	for each, ahead := range map[int64]int{4 * segmenter.Clock: 1, 2 * segmenter.Clock: 1, segmenter.Clock: 2, segmenter.Clock / 2: 4} {
		target := int(max(1, each/segmenter.Clock))
		q, ok := Sequenced(inParts(target, evenly(40, each), always(4)))
		if listed := int64(len(q.Rows)) * each; !ok || listed < int64(3*target)*segmenter.Clock || listed > int64(4*target)*segmenter.Clock || q.Keys != 4*45000 {
			t.Errorf("%d ticks: %+v", each, q)
		}
		first, last := q.Rows[0].Sequence, q.next()+uint64(ahead)
		for n := first; n <= last; n++ {
			if q.Pieces[n] != (Piece{0, each, 4}) {
				t.Errorf("%d ticks: %d is %+v", each, n, q.Pieces[n])
			}
		}
		if len(q.Pieces) != int(last-first)+1 {
			t.Errorf("%d ticks: %d are listed behind %d", each, len(q.Pieces), first)
		}
		if n, parts := q.Foretold(); n != last || parts != 4 {
			t.Errorf("%d ticks: up to %d is foretold with %d parts", each, n, parts)
		}
		runs := q.runs(q.Rows, 7)
		if len(runs) != 1 || runs[0].Count != len(q.Pieces) || runs[0].Time != 7 || runs[0].Parts != 4 {
			t.Errorf("%d ticks: %+v", each, runs)
		}
	}
}

// Nothing is foretold where segments differ, and for as long as one of another kind is known.
func TestNothingIsForetold(t *testing.T) {
	const each = 2 * segmenter.Clock
	foretold := func(s *segmenter.Snapshot) bool {
		q, ok := Sequenced(s)
		if !ok {
			t.Fatal("nothing is listed")
		}
		for _, e := range q.Rows {
			if p := q.Pieces[e.Sequence]; p.Parts == 0 || p.Duration == 0 {
				t.Errorf("%d is %+v", e.Sequence, p)
			}
		}
		return len(q.Pieces) > len(q.Rows)
	}
	odd := func(at, n int) func(int) int {
		return func(i int) int {
			if i == at {
				return n
			}
			return 4
		}
	}
	for name, c := range map[string]struct {
		s    *segmenter.Snapshot
		want bool
	}{
		"alike":                        {inParts(2, evenly(20, each), always(4)), true},
		"more parts":                   {inParts(2, evenly(20, each), odd(19, 5)), false},
		"fewer, five ago":              {inParts(2, evenly(20, each), odd(14, 3)), false},
		"fewer, and nearly forgotten":  {inParts(2, evenly(20, each), odd(13, 3)), true},
		"a longer one":                 {inParts(2, append(evenly(19, each), each+alike+1), always(4)), false},
		"one that is hardly longer":    {inParts(2, append(evenly(19, each), each+alike), always(4)), true},
		"three of which the first odd": {inParts(2, append([]int64{each / 2}, evenly(2, each)...), odd(0, 1)), false},
		"four of which the first odd":  {inParts(2, append([]int64{each / 2}, evenly(3, each)...), odd(0, 1)), true},
	} {
		if got := foretold(c.s); got != c.want {
			t.Errorf("%s: foretold is %v", name, got)
		}
	}
	for name, change := range map[string]func(s *segmenter.Snapshot){
		"nothing is written": func(s *segmenter.Snapshot) { s.Writing = false },
		"it has ended":       func(s *segmenter.Snapshot) { s.State = segmenter.Ended },
		"a break is written": func(s *segmenter.Snapshot) { s.Edge = segmenter.Row{Start: time.Unix(1, 0), Discontinuity: true} },
		"a break was before": func(s *segmenter.Snapshot) { s.Rows[17].Discontinuity = true },
	} {
		s := inParts(2, evenly(20, each), always(4))
		if change(s); foretold(s) {
			t.Errorf("%s, and it is foretold", name)
		}
	}
}

// A segment without parts, and a gap, end the list; those of an earlier connection, of which none has parts, are listed as a whole.
func TestSequenceEnds(t *testing.T) {
	s := inParts(2, evenly(20, 2*segmenter.Clock), func(i int) int {
		if i == 17 {
			return 0
		}
		return 4
	})
	if q, ok := Sequenced(s); !ok || len(q.Rows) != 2 || q.Rows[0].Sequence != 18 {
		t.Errorf("%+v", q)
	}
	s.Rows[19].Gap = true
	if q, ok := Sequenced(s); !ok || len(q.Rows) != 1 || q.Pieces[19].Parts != 0 || len(q.Pieces) != 1 {
		t.Errorf("%+v", q)
	}
	s = inParts(2, evenly(20, 2*segmenter.Clock), func(i int) int { return 4 * (i / 19) })
	s.Rows[19].Discontinuity = true
	if q, ok := Sequenced(s); !ok || len(q.Rows) != 3 || q.Pieces[17].Parts+q.Pieces[18].Parts != 0 || q.Pieces[19].Parts != 4 {
		t.Errorf("%+v", q)
	}
	s.Parts = nil
	if q, ok := Sequenced(s); !ok || len(q.Rows) != 3 || q.Pieces[19].Parts != 0 || q.Pieces[19].Duration != 2*segmenter.Clock {
		t.Errorf("%+v", q)
	}
	if q, ok := Sequenced(&segmenter.Snapshot{PartTarget: 45000}); ok {
		t.Errorf("%+v", q)
	}
}

// What was once told of where a segment begins and ends stays so, whenever the manifest is made, for players keep it; and it is close to what came.
func TestForetoldStays(t *testing.T) {
	for _, each := range []int64{segmenter.Clock / 2, segmenter.Clock, 176400, 180180, 4 * segmenter.Clock} {
		r := rand.New(rand.NewPCG(1, uint64(each)))
		var lasts []int64
		for range 200 {
			lasts = append(lasts, each+r.Int64N(181)-90) // time stamps in milliseconds
		}
		target := int(max(1, (each+segmenter.Clock-1)/segmenter.Clock))
		at := make([]int64, len(lasts)+1)
		for i, d := range lasts {
			at[i+1] = at[i] + d
		}
		told := map[uint64][2]int64{}
		foretold := 0
		for n := 20; n < len(lasts); n++ {
			q, ok := Sequenced(inParts(target, lasts[:n], always(4)))
			if !ok {
				t.Fatal("nothing is listed")
			}
			seq := q.Rows[0].Sequence
			for _, run := range q.runs(q.Rows, at[seq]) {
				for i := range run.Count {
					begin := run.Time + int64(i)*run.Duration
					is := [2]int64{begin, begin + run.Duration}
					if was, known := told[seq]; known && was != is {
						t.Fatalf("%d ticks: when %d is written, %d is %v, and was %v", each, n, seq, is, was)
					} else if !known && seq >= uint64(n) {
						foretold++
					}
					if told[seq] = is; seq < uint64(n) && max(begin-at[seq], at[seq]-begin) > 2*alike/3 {
						t.Errorf("%d ticks: %d is said to begin %d from where it does", each, seq, begin-at[seq])
					}
					seq++
				}
			}
		}
		if foretold < 150 {
			t.Errorf("%d ticks: %d of 180 were foretold", each, foretold)
		}
	}
}

// A rung that has a segment already that the first has not keeps it, and what is foretold behind it: players were told of both before.
func TestManifestOfRungsThatDiffer(t *testing.T) {
	const each = 2 * segmenter.Clock
	line := func(name string, n int) Line {
		q, ok := Sequenced(inParts(2, evenly(n, each), always(4)))
		if !ok {
			t.Fatal("nothing is listed")
		}
		return Line{Variant: &m3u8.Variant{}, Audio: true, Name: name, Stretches: []Stretch{{Rows: q.Rows, Config: coded(), Of: q.Rows[0]}}, Sequence: &q}
	}
	for _, n := range [][2]int{{20, 20}, {20, 21}, {21, 20}} {
		m := Manifest{Begun: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), TargetDuration: 2, PartTarget: 45000}
		text := string(m.Append(nil, []Line{line("a", n[0]), line("b", n[1])}))
		d, err := mpd.ReadFromString(text)
		if err != nil || len(d.Periods) != 1 || len(d.Periods[0].AdaptationSets) != 1 {
			t.Fatalf("%v: %s", err, text)
		}
		for i, rep := range d.Periods[0].AdaptationSets[0].Representations {
			st := rep.SegmentTemplate
			last := int(*st.StartNumber) - 1
			for _, s := range st.SegmentTimeline.S {
				last += s.R + 1
			}
			if last != n[i]+1 { // that which is written, and the next
				t.Errorf("%v: rung %d ends with %d: %s", n, i, last, text)
			}
		}
	}
}
