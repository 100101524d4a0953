package grid

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// recordings are the rungs of a ladder "a", "b" and "c" without any bytes.
type recordings struct {
	grid *Grid
	open map[*Rung]*cut.Segment
	cuts map[string][]cut.Segment
	out  map[string]string
}

func (l *recordings) Target(*Rung) int { return 0 }
func (l *recordings) End() time.Time   { return start }

// Instant implements Connection.
func (l *recordings) Instant(u *cut.Unit) time.Time { return u.Frame.Arrival }

func newRecordings() *recordings {
	l := &recordings{open: map[*Rung]*cut.Segment{}, cuts: map[string][]cut.Segment{}, out: map[string]string{}}
	l.grid = New(Options{Segment: 4 * time.Second, MaxTarget: 12 * time.Second, MaxDrift: 2 * time.Second}, l, []string{"a", "b", "c"})
	for _, r := range l.grid.Rungs() {
		r.Enter(l)
	}
	return l
}

// run sends pictures of 40 ms from one instant to another, with each rung's own keyframe interval.
func (l *recordings) run(from, to time.Duration, keys [3]time.Duration) {
	for at := from; at < to; at += 40 * time.Millisecond {
		for i, r := range l.grid.Rungs() {
			if l.out[r.Stream()] != "" {
				continue
			}
			key := at%keys[i] == 0
			u := &cut.Unit{
				Frame: &ingest.Frame{Arrival: start.Add(at)}, Video: true, Duration: 3600, Key: key, Access: key,
				PTS: codec.Ticks(at), DTS: codec.Ticks(at), At: codec.Ticks(at), Boundary: codec.Ticks(at),
			}
			var s cut.Segment
			var ok bool
			if open := l.open[r]; open != nil {
				s, ok = l.grid.Cut(r, u, open)
			} else {
				s, ok = l.grid.Begin(r, u, 0, false)
			}
			if ok {
				if open := l.open[r]; open != nil {
					l.grid.Fix(s.Start - open.Start)
					l.grid.List(r, open.Number, u.Frame.Arrival)
				}
				l.open[r] = &s
				l.cuts[r.Stream()] = append(l.cuts[r.Stream()], s)
			}
			for _, e := range l.grid.Take() {
				if e.Kind == Excluded {
					l.out[e.Rung.Stream()] = e.Rung.Out()
				}
			}
		}
	}
}

// TestGridCutsAllRungsAlike checks that rungs with the same keyframe interval are cut at the same instants, with the same numbers and wall
// times, whichever of them comes first.
func TestGridCutsAllRungsAlike(t *testing.T) {
	l := newRecordings()
	l.run(0, time.Minute, [3]time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second})
	if len(l.out) > 0 {
		t.Fatalf("outside: %v", l.out)
	}
	for i, s := range l.cuts["a"] {
		if want := int64(i) * 4 * codec.Clock; s.Number != uint64(i) || s.Start != want || !s.Wall.Equal(start.Add(cut.Duration(want))) {
			t.Errorf("%d begins at %d, %v", s.Number, s.Start, s.Wall)
		}
		if s != l.cuts["b"][i] || s != l.cuts["c"][i] {
			t.Errorf("%d: %+v, %+v, %+v", i, s, l.cuts["b"][i], l.cuts["c"][i])
		}
	}
	if n := len(l.cuts["a"]); n != 15 || l.grid.Target() != 4 || l.grid.NextNumber() != 14 {
		t.Errorf("%d segments, target %d, next %d", n, l.grid.Target(), l.grid.NextNumber())
	}
}

// TestGridExcludesTheOddRung checks that the majority of the rungs decides: the one with other keyframes is excluded, even if it is the
// best, and the others are cut as before.
func TestGridExcludesTheOddRung(t *testing.T) {
	for i, name := range []string{"a", "b", "c"} {
		keys := [3]time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second}
		keys[i] = 2800 * time.Millisecond
		l := newRecordings()
		l.run(0, time.Minute, keys)
		if len(l.out) != 1 || l.out[name] == "" {
			t.Errorf("%s is odd, outside: %v", name, l.out)
			continue
		}
		for _, other := range []string{"a", "b", "c"} {
			for _, s := range l.cuts[other] {
				if other != name && s.Keyless {
					t.Errorf("%s is odd, %s is cut at %d without a keyframe", name, other, s.Start)
				}
			}
		}
	}
}

// TestGridOwes checks what a rung owes that listed less than the others: what they listed a target duration ago.
func TestGridOwes(t *testing.T) {
	l := newRecordings()
	all := [3]time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second}
	l.run(0, 10*time.Second, all)
	late := l.grid.Rungs()[1]
	late.Leave(start.Add(time.Hour))
	l.out[late.Stream()] = "away"
	l.run(10*time.Second, 21*time.Second, all)
	for after, want := range map[time.Duration]uint64{15 * time.Second: 0, 17 * time.Second: 3, 21 * time.Second: 4} {
		if upTo, ok := l.grid.Overdue(late, start.Add(after)); ok != (want > 0) || ok && upTo != want {
			t.Errorf("after %v it owes what is before %d: %v", after, upTo, ok)
		}
	}
	if begin, length, broken := l.grid.Gap(2, start); !begin.Equal(start.Add(8*time.Second)) || length != 4*codec.Clock || broken {
		t.Errorf("the gap begins at %v and lasts %d ticks", begin.Sub(start), length)
	}
}
