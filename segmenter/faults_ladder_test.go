package segmenter

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// TestLadderLearnsItsGrid lets all rungs have their keyframes at the same places, but not at one distance: none stands
// outside, all are cut alike, at keyframes, and nothing is lost.
func TestLadderLearnsItsGrid(t *testing.T) {
	every := func(n ...int64) func(int64) bool { // intervals in turn, the last for ever
		at, next := map[int64]bool{0: true}, int64(0)
		for i := range 2000 {
			next += n[min(i, len(n)-1)]
			at[next] = true
		}
		return func(n int64) bool { return at[n] }
	}
	turns := func(a, b int64) func(int64) bool {
		return func(n int64) bool { return n%(a+b) == 0 || n%(a+b) == a }
	}
	for i, tc := range []struct {
		name  string
		isKey func(n int64) bool
		o     AppOptions
	}{
		{"1.2 s, then 2 s", every(30, 50), AppOptions{}},
		{"0.4 s, then 2 s", every(10, 50), AppOptions{}},
		{"2.4 s, then 2 s", every(60, 50), AppOptions{}},
		{"4.8 s, then 4 s", every(120, 100), AppOptions{SegmentDuration: 6 * time.Second}},
		{"1 picture, then 2 s", every(1, 50), AppOptions{}},
		{"three short ones, then 2 s", every(30, 20, 44, 50), AppOptions{}},
		{"2 s, then 1 s", every(append(repeat(50, 10), 25)...), AppOptions{}},
		{"2 s, then 4 s", every(append(repeat(50, 10), 100)...), AppOptions{}},
		{"2 s, then 3 s", every(append(repeat(50, 10), 75)...), AppOptions{}},
		{"1 s, then 1.6 s", every(append(repeat(25, 20), 40)...), AppOptions{}},
		{"2 s, shifted once", every(append(append(repeat(50, 10), 13), 50)...), AppOptions{}},
		{"2 s, shifted often", every(append(append(append(repeat(50, 7), 30), append(repeat(50, 5), 7)...), 50)...), AppOptions{}},
		{"1.8 s and 2.2 s in turn", turns(45, 55), AppOptions{}},
		{"further ones between", func(n int64) bool { return n%50 == 0 || n%130 == 17 }, AppOptions{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			shape := encoderShape{codec: ingest.H264 + ingest.Codec(i%2), isKey: tc.isKey, audio: "aac"}
			o := tc.o
			o.Groups = map[string][]string{"show": ladderRungs}
			s := newStage(t, o)
			s.play(rungsApart(shape.frames(38*time.Second), 6*time.Millisecond))
			l := &ladder{rig: s.rig}
			l.aligned()
			l.equal()
			if n := strings.Count(s.warnings.String(), "\n"); n != 0 {
				t.Errorf("%d warnings: %.300s", n, s.warnings.String())
			}
			if n := len(l.master().Variants); n != len(ladderRungs) {
				t.Errorf("%d variants", n)
			}
			s.finish()
			for _, name := range ladderRungs {
				s.steady(name, &shape)
				fits(t, s.snap(name))
			}
		})
	}
}

func repeat(n int64, times int) (list []int64) {
	for range times {
		list = append(list, n)
	}
	return list
}

// TestOneRungDoesNotMakeTheGrid holds that a rung whose keyframes are elsewhere moves nobody else's cuts, even where it is
// the first.
func TestOneRungDoesNotMakeTheGrid(t *testing.T) {
	for i := range ladderRungs {
		t.Run(ladderRungs[i], func(t *testing.T) {
			shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
			odd := encoderShape{codec: ingest.H264, audio: "aac", isKey: func(n int64) bool { return n == 0 || n%61 == 30 }}
			var all [][]sentFrame
			for k, name := range ladderRungs {
				from := shape
				if k == i {
					from = odd
				}
				all = append(all, later(from.stream(name, 50*time.Second), time.Duration(k)*6*time.Millisecond))
			}
			s := newStage(t, ladderOptions())
			s.play(together(all...))
			if n := len((&ladder{rig: s.rig}).master().Variants); n != 2 {
				t.Errorf("%d variants", n)
			}
			for k, name := range ladderRungs {
				if k == i {
					continue
				}
				rows := s.tape(name).rows
				for _, row := range rows {
					if !row.Independent || row.Gap {
						t.Errorf("%s: %d, gap %v, independent %v", name, row.Sequence, row.Gap, row.Independent)
					}
				}
			}
		})
	}
}

// TestRungThatLags holds that a rung which comes more than a target duration after the others, with right time stamps, is
// played alone, and named with its lag; one that lags less is in the ladder. No row of any is a gap.
func TestRungThatLags(t *testing.T) {
	for _, tc := range []struct {
		segment, lag time.Duration
		alone        bool
	}{
		{2 * time.Second, 1500 * time.Millisecond, false}, {4 * time.Second, 2600 * time.Millisecond, false},
		{2 * time.Second, 2600 * time.Millisecond, true}, {2 * time.Second, 9 * time.Second, true}, {4 * time.Second, 5 * time.Second, true},
	} {
		for i, name := range ladderRungs {
			t.Run(fmt.Sprintf("%v behind of %v/%s", tc.lag, tc.segment, name), func(t *testing.T) {
				shape := encoderShape{codec: ingest.H264 + ingest.Codec(i%2), gop: 50, audio: "aac"}
				o := ladderOptions()
				o.SegmentDuration = tc.segment
				s := newStage(t, o)
				var all [][]sentFrame
				for k, rung := range ladderRungs {
					delay := time.Duration(0)
					if k == i {
						delay = tc.lag
					}
					all = append(all, later(shape.stream(rung, 30*time.Second), delay))
				}
				s.play(without(together(all...), func(f *sentFrame) bool { return f.at > 30*time.Second }))
				s.lagged(name, tc.lag, tc.alone)
				for _, rung := range ladderRungs {
					if n := s.tape(rung).gaps(); n != 0 {
						t.Errorf("%s has %d gaps of %d rows", rung, n, len(s.tape(rung).rows))
					}
				}
				s.finish()
				s.noForced()
				for _, rung := range ladderRungs {
					// Of the rung that lags, what comes before that is clear may be missing, and, while it is in the ladder,
					// of a number that it is cut off in and that the others have whole.
					s.whole(rung, func(f *sentFrame) bool {
						return rung == name && (tc.alone && f.at < tc.lag+6500*time.Millisecond || !tc.alone && f.at > 25*time.Second)
					})
					s.laws(rung, shape.longest())
				}
			})
		}
	}
}

// lagged holds whether a rung of the ladder plays alone, and that it is said why.
func (s *stage) lagged(rung string, lag time.Duration, alone bool) {
	s.t.Helper()
	in := false
	for _, v := range (&ladder{rig: s.rig}).master().Variants {
		in = in || strings.HasPrefix(v.URI, rung+"/")
	}
	if in == alone {
		s.t.Errorf("%s is in the ladder: %v", rung, in)
	}
	if snap := s.snap(rung); snap.State != Live || len(snap.Rows) < 4 {
		s.t.Errorf("%s is %v, with %d segments", rung, snap.State, len(snap.Rows))
	}
	if p, _ := s.reg.Publisher(Key{"live", rung}); alone {
		if f := reflect.ValueOf(p).FieldByName("Problem"); f.IsValid() && !namesSeconds(f.String(), lag) {
			s.t.Errorf("%s: the publisher's problem is %q", rung, f.String())
		}
	}
	var said []string
	for line := range strings.Lines(s.warnings.String()) {
		if strings.Contains(line, rung) {
			said = append(said, line)
		}
	}
	switch {
	case !alone && len(said) > 0, alone && len(said) != 1:
		s.t.Errorf("said of %s: %q", rung, said)
	case alone && !namesSeconds(said[0], lag):
		s.t.Errorf("%s is not named with its lag of %v: %s", rung, lag, said[0])
	}
}

// namesSeconds reports whether a line of the log has a number that is a duration in seconds, to within half a second.
func namesSeconds(line string, d time.Duration) bool {
	if _, words, ok := strings.Cut(line, "level="); ok {
		line = words // behind the time of the line
	}
	for _, n := range regexp.MustCompile(`\d+(\.\d+)?`).FindAllString(line, -1) {
		if v, err := strconv.ParseFloat(n, 64); err == nil && v > d.Seconds()-0.6 && v < d.Seconds()+0.6 {
			return true
		}
	}
	return false
}

// TestRungBeginsToLag holds the same of a rung that falls behind in the middle of a show: some rows may be lost to it until
// that is clear, and no more.
func TestRungBeginsToLag(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	const lag, from = 7 * time.Second, 16 * time.Second
	s := newStage(t, ladderOptions())
	behind := shape.stream("show_720p", 80*time.Second)
	for i := range behind {
		if behind[i].at > from {
			behind[i].at += lag
		}
	}
	s.play(together(shape.stream("show_1080p", 80*time.Second), behind, shape.stream("show_480p", 80*time.Second)))
	s.lagged("show_720p", lag, true)
	rows := s.tape("show_720p").rows
	for i, row := range rows {
		if row.Gap && row.Start.After(start.Add(from+20*time.Second)) {
			t.Errorf("%d of %d rows is a gap still", i, len(rows))
		}
	}
	for _, rung := range []string{"show_1080p", "show_480p"} {
		if n := s.tape(rung).gaps(); n != 0 {
			t.Errorf("%s has %d gaps", rung, n)
		}
	}
}

// TestRungFallsSilent holds that a rung which stays connected and sends nothing for a while comes back to the ladder: with
// gaps for what it missed, and pictures in their order.
func TestRungFallsSilent(t *testing.T) {
	for _, shape := range []encoderShape{
		{name: "H.264", codec: ingest.H264, gop: 50, audio: "aac"}, {name: "H.265", codec: ingest.H265, gop: 50, between: 1, audio: "aac"},
		{name: "picture alone", codec: ingest.H264, gop: 50},
	} {
		for _, away := range []time.Duration{3 * time.Second, 7 * time.Second, 19040 * time.Millisecond} {
			for i, name := range ladderRungs {
				if i != int(away/time.Second)%3 {
					continue // a sample of them
				}
				t.Run(fmt.Sprintf("%s/%s for %v", shape.name, name, away), func(t *testing.T) {
					s := newStage(t, ladderOptions())
					from := 11 * time.Second
					s.play(without(rungs(shape.frames(46*time.Second)), func(f *sentFrame) bool {
						return f.stream == name && f.at >= from && f.at < from+away
					}))
					l := &ladder{rig: s.rig}
					l.aligned()
					if n := len(l.master().Variants); n != len(ladderRungs) {
						t.Errorf("%d variants", n)
					}
					for k, rung := range ladderRungs {
						rows := s.tape(rung).rows
						for _, row := range rows {
							if row.Gap && (k != i || row.Start.After(start.Add(from+away+4*time.Second))) {
								t.Errorf("%s: %d is a gap", rung, row.Sequence)
							}
						}
						s.whole(rung, func(f *sentFrame) bool { return k == i && f.at >= 8*time.Second || f.at > 40*time.Second })
					}
				})
			}
		}
	}
}

// TestLadderNeverUsesAnIDTwice lets a rung wait with its first frame for as long as a whole recording of the ladder lasts:
// what begins with it then is another recording, for the numbers of the one that ended mean something already.
func TestLadderNeverUsesAnIDTwice(t *testing.T) {
	for _, shape := range []encoderShape{{name: "sound", audio: "aac"}, {name: "pictures", codec: ingest.H264, gop: 50, audio: "aac"}} {
		t.Run(shape.name, func(t *testing.T) {
			frames := shape.frames(80 * time.Second)
			s := newStage(t, ladderOptions())
			begun := func(f *sentFrame) bool { return f.at > 0 }
			s.play(together(on(ladderRungs[0], without(frames, begun)), on(ladderRungs[1], without(frames, begun))))
			s.disconnect(ladderRungs[1], ingest.ErrUnpublished)
			s.until(start.Add(40 * time.Second))
			first := s.snap(ladderRungs[1])
			if first.State != Ended || len(first.Rows) != 1 {
				t.Fatalf("%v, %d segments", first.State, len(first.Rows))
			}
			s.play(without(together(on(ladderRungs[0], frames), on(ladderRungs[1], later(frames, 0))), func(f *sentFrame) bool { return f.at < 40*time.Second }))
			for _, name := range ladderRungs[:2] {
				if got := s.snap(name); got.Recording == first.Recording || got.State != Live {
					t.Errorf("%s goes on as %s, %v", name, got.Recording, got.State)
				}
			}
		})
	}
}
