package segmenter

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// jittered lets frames arrive later than they would, each track in its order, and by less than a second: a network of its own.
func jittered(frames []sentFrame, r *rand.Rand) []sentFrame {
	frames = slices.Clone(frames)
	var last [2]time.Duration
	most := time.Duration(r.Int64N(int64(900*time.Millisecond))) + 1
	for i := range frames {
		f := &frames[i]
		k := f.kind()
		if r.IntN(4) == 0 {
			f.at += time.Duration(r.Int64N(int64(most)))
		}
		f.at = max(f.at, last[k])
		last[k] = f.at
	}
	return together(frames)
}

// moveAll puts a publisher on another timeline, as one of two connections of an encoder may be.
func moveAll(frames []sentFrame, ticks int64) []sentFrame {
	frames = slices.Clone(frames)
	for i := range frames {
		frames[i].PTS += ticks
		frames[i].DTS += ticks
	}
	return frames
}

// counted gives sound the times that a protocol makes of those that were sent, by counting samples since its connection began.
func counted(frames []sentFrame, r *rand.Rand) []sentFrame {
	frames = slices.Clone(frames)
	for i := range frames {
		if f := &frames[i]; !f.video() && f.PTS != 0 {
			f.Sent = f.PTS
			f.PTS += r.Int64N(90) - 45
			f.DTS = f.PTS
		}
	}
	return frames
}

// duo is two servers that are fed the same: one has the stream, and the other stands by.
type duo struct {
	t             *testing.T
	owner, second *stage
	standby       *Standby
	same          int
	err           error // of the comparison
}

func newDuo(t *testing.T, o AppOptions) *duo {
	o.Deterministic = true
	return &duo{t: t, owner: newStage(t, o), second: newStage(t, o)}
}

// play feeds both until a time; zero: all. from is when the second one's connection begins.
func (d *duo) play(first, other []sentFrame, from time.Duration) {
	d.t.Helper()
	other = slices.DeleteFunc(slices.Clone(other), func(f sentFrame) bool { return f.at < from })
	asked := time.Duration(0)
	for len(first) > 0 || len(other) > 0 {
		if len(other) == 0 || len(first) > 0 && first[0].at <= other[0].at {
			d.owner.play(first[:1])
			first = first[1:]
			continue
		}
		d.write(&other[0])
		if at := other[0].at; at-asked > 300*time.Millisecond {
			asked = at
			d.ask()
		}
		other = other[1:]
	}
	d.ask()
}

func (d *duo) write(f *sentFrame) {
	d.t.Helper()
	d.second.now = start.Add(f.at)
	if d.standby == nil {
		var err error
		d.standby, err = d.second.reg.Standby(ingest.Announce{App: "live", Stream: "cam", Protocol: "test", Remote: "192.0.2.2:5000", Cancel: func(error) {}})
		if err != nil {
			d.t.Fatal(err)
		}
	}
	frame := f.Frame
	frame.Arrival = d.second.now
	if err := d.standby.WriteFrame(&frame); err != nil {
		d.t.Fatal(err)
	}
	d.second.reg.Expire(d.second.now)
}

// ask lets the one that stands by ask the other.
func (d *duo) ask() {
	d.t.Helper()
	p, ok := d.owner.reg.Report(Key{"live", "cam"}, false)
	if !ok || d.standby == nil {
		return
	}
	if _, err := d.standby.Join(&p); err != nil {
		d.t.Fatal(err)
	}
	n, err := d.standby.Compare(&p)
	d.same += n
	if d.err == nil {
		d.err = err
	}
}

// recovered is what a store would have of the owner's recording if it had everything before a number.
func (d *duo) recovered(next uint64) Recovered {
	s := d.owner.snap("cam").Whole()
	n := min(next-s.Base, uint64(len(s.Rows)))
	return Recovered{
		Key: s.Key, Recording: s.Recording, TargetDuration: s.TargetDuration, PartTarget: s.PartTarget, Base: s.Base, Rows: slices.Clone(s.Rows[:n]),
		First: s.Base, Confirmed: next, Next: next, SplitFirst: next, SplitName: NewRecordingID(s.Rows[n-1].End()), Variant: s.Variant, LastFrame: s.LastFrame,
	}
}

// TestPairMakesTheSame feeds two servers what encoders of many shapes send, each over a network of its own, one of them from later on and with
// other time stamps: from where that joins on, both make the same segments. Then it goes on alone, and makes what the other would have made.
func TestPairMakesTheSame(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	shapes := encoderShapes()
	for i, shape := range shapes {
		if shape.codec == 0 || max(shape.late[0], shape.late[1]) > time.Second || shape.name == "gradual refresh" {
			continue // sound alone has no picture to begin with
		}
		for _, ll := range []bool{false, true} {
			name := shape.name
			if ll {
				name += " in parts"
			}
			t.Run(name, func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(i), seed))
				length := 50 * time.Second
				if shape.longest() > Clock/2 || shape.gop >= 250 {
					length = 120 * time.Second
				}
				frames := on("cam", shape.frames(length))
				d := newDuo(t, AppOptions{LowLatency: ll})
				first := jittered(frames, r)
				other := moveAll(jittered(frames, r), [...]int64{0, 37, -90000, 123456789}[i%4])
				if i%3 > 0 {
					first, other = counted(first, r), counted(other, r)
				}
				cut := length * 3 / 4
				whole, later := divide(other, cut)
				early, rest := divide(first, cut)
				d.play(early, whole, time.Duration(r.Int64N(int64(length/3))))
				joined, _, ok := d.standby.Place()
				if !ok || d.err != nil || d.same < 2 {
					t.Fatalf("joined %v at %d, %d segments are the same, %v", ok, joined, d.same, d.err)
				}
				own := d.owner.snap("cam").Whole()
				next := own.Next() - uint64(r.IntN(2)) // the store may lack the newest
				for !d.standby.Reaches(next) {
					d.write(&later[0])
					later = later[1:]
				}
				if err := d.standby.Promote(d.recovered(next)); err != nil {
					t.Fatal(err)
				}
				for i := range later {
					d.write(&later[i])
				}
				d.owner.play(rest)
				d.standby.Close(ingest.ErrUnpublished)
				d.owner.disconnect("cam", ingest.ErrUnpublished)
				d.alike(joined)
				d.owner.end()
				for range 20 {
					d.second.now = d.second.now.Add(time.Minute)
					d.second.reg.Expire(d.second.now)
				}
				if st := d.second.reg.Stats(); st.Publishers.Load() != 0 || st.Recordings.Load() != 0 || st.MemoryBytes.Load() != 0 {
					t.Errorf("left behind: %d publishers, %d recordings, %d bytes", st.Publishers.Load(), st.Recordings.Load(), st.MemoryBytes.Load())
				}
			})
		}
	}
}

func divide(frames []sentFrame, at time.Duration) (before, after []sentFrame) {
	for _, f := range frames {
		if f.at < at {
			before = append(before, f)
		} else {
			after = append(after, f)
		}
	}
	return before, after
}

// alike checks that both have the same recording: rows, and bytes from where the second joined.
func (d *duo) alike(joined uint64) {
	d.t.Helper()
	a, b := d.owner.snap("cam").Whole(), d.second.snap("cam").Whole()
	if a.Recording != b.Recording || a.TargetDuration != b.TargetDuration || a.Next() != b.Next() || len(a.Rows) != len(b.Rows) {
		d.t.Fatalf("%s, %d s, %d rows up to %d; %s, %d s, %d rows up to %d", a.Recording, a.TargetDuration, len(a.Rows), a.Next(), b.Recording, b.TargetDuration, len(b.Rows), b.Next())
	}
	for i := range a.Rows {
		if a.Rows[i] != b.Rows[i] {
			d.t.Errorf("row\n%+v, and here\n%+v", a.Rows[i], b.Rows[i])
		}
	}
	compared := 0
	for n := joined; n < a.Next(); n++ {
		one, two := a.Segment(n), b.Segment(n)
		if one == nil || two == nil {
			continue
		}
		compared++
		if x, y := bytes.Join(one.Slices(nil), nil), bytes.Join(two.Slices(nil), nil); !bytes.Equal(x, y) {
			d.t.Errorf("segment %d differs", n)
		}
	}
	if compared < 3 {
		d.t.Errorf("only %d segments were compared", compared)
	}
}

// TestPairDiffers finds a frame that one of the two was not sent, and other times, in the segment in which it is.
func TestPairDiffers(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	frames := on("cam", shape.frames(40*time.Second))
	for name, change := range map[string]func([]sentFrame) []sentFrame{
		"a picture less": func(l []sentFrame) []sentFrame {
			return without(l, func(f *sentFrame) bool { return f.video() && f.id == 610 })
		},
		"sound less": func(l []sentFrame) []sentFrame {
			return without(l, func(f *sentFrame) bool { return !f.video() && f.id == 1150 })
		},
		"a byte": func(l []sentFrame) []sentFrame {
			i := slices.IndexFunc(l, func(f sentFrame) bool { return f.video() && f.id == 610 })
			l = slices.Clone(l)
			u := bytes.Clone(l[i].Units[len(l[i].Units)-1])
			u[len(u)-1] ^= 1
			l[i].Units = append(slices.Clone(l[i].Units[:len(l[i].Units)-1]), u)
			return l
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDuo(t, AppOptions{})
			d.play(frames, change(frames), 0)
			var diff *Difference
			if !errors.As(d.err, &diff) || !errors.Is(d.err, ErrUnlike) {
				t.Fatalf("%v", d.err)
			}
			if want := d.owner.snap("cam"); diff.Number != 6 {
				t.Errorf("%v; the rows are %+v", d.err, want.Rows)
			}
			d.standby.Close(ingest.ErrUnpublished)
			d.owner.end()
			if st := d.second.reg.Stats(); st.Recordings.Load() != 0 || st.MemoryBytes.Load() != 0 {
				t.Errorf("left behind: %d recordings, %d bytes", st.Recordings.Load(), st.MemoryBytes.Load())
			}
		})
	}
}

// TestPairOfOthers refuses settings and tracks that are not the other's, and finds nothing in what another encoder sends.
func TestPairOfOthers(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	frames := on("cam", shape.frames(20*time.Second))
	d := newDuo(t, AppOptions{})
	d.play(frames, frames, 0)
	p, _ := d.owner.reg.Report(Key{"live", "cam"}, false)
	stand := func(o AppOptions, frames []sentFrame) (bool, error) {
		s := newStage(t, o)
		d := duo{t: t, owner: d.owner, second: s}
		for i := range frames {
			d.write(&frames[i])
		}
		defer d.standby.Close(ingest.ErrUnpublished)
		return d.standby.Join(&p)
	}
	if ok, err := stand(AppOptions{Deterministic: true, SegmentDuration: 6 * time.Second}, frames); ok || !errors.Is(err, ErrSettings) {
		t.Errorf("other settings: %v, %v", ok, err)
	}
	shape.audio = "aac44"
	if ok, err := stand(AppOptions{Deterministic: true}, shape.frames(20*time.Second)); ok || !errors.Is(err, ErrUnlike) {
		t.Errorf("other sound: %v, %v", ok, err)
	}
	shape.size = func(n int64) int { return 700 }
	if ok, err := stand(AppOptions{Deterministic: true}, shape.frames(20*time.Second)); ok || err != nil {
		t.Errorf("another encoder: %v, %v", ok, err)
	}
	p.Even = false
	if ok, err := stand(AppOptions{Deterministic: true}, frames); ok || !errors.Is(err, ErrSettings) {
		t.Errorf("not deterministic there: %v, %v", ok, err)
	}
	d.standby.Close(ingest.ErrUnpublished)
}

// TestPairLeavesTheSegment lets the publisher of the owner go: the segment that it was writing waits for the other server to finish it, and is
// listed where that does not.
func TestPairLeavesTheSegment(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	frames := on("cam", shape.frames(30*time.Second))
	for name, c := range map[string]struct {
		step  bool
		then  func(d *duo)
		after uint64 // segments more at once
		last  uint64 // and in the end
	}{
		"nobody stands by":    {false, func(*duo) {}, 1, 1},
		"nobody finishes it":  {true, func(d *duo) { d.owner.until(d.owner.now.Add(5 * time.Second)) }, 0, 1},
		"another finishes it": {true, func(d *duo) { d.owner.reg.Yield(Key{"live", "cam"}, errors.New("another has it")) }, 0, 0},
		"it is back":          {true, func(d *duo) { d.owner.play(later(frames, 30*time.Second)[:1000]) }, 0, 4},
		"the server stops":    {true, func(d *duo) { d.owner.reg.Close(false) }, 0, 0},
		"the recording ends":  {true, func(d *duo) { _, _ = d.owner.reg.End(Key{"live", "cam"}, errors.New("it is over")) }, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDuo(t, AppOptions{})
			d.play(frames, frames, 0)
			line := d.owner.reg.Timeline("live", "cam")
			n := line.Snapshot().Next()
			d.owner.reg.Report(Key{"live", "cam"}, c.step)
			if line.Snapshot().Handed != c.step {
				t.Errorf("handed: %v", !c.step)
			}
			d.owner.disconnect("cam", errors.New("the connection broke"))
			if got := line.Snapshot().Next() - n; got != c.after {
				t.Errorf("%d segments more at once", got)
			}
			c.then(d)
			if got := line.Snapshot().Next() - n; got != c.last {
				t.Errorf("%d segments more, want %d", got, c.last)
			}
			d.standby.Close(ingest.ErrUnpublished)
		})
	}
}

// TestDeterministicShapes lets all that holds of a stream hold of a deterministic one.
func TestDeterministicShapes(t *testing.T) {
	for _, shape := range encoderShapes() {
		t.Run(shape.name, func(t *testing.T) {
			s := newStage(t, AppOptions{Deterministic: true})
			s.every = func() { s.playlists("cam") }
			s.play(on("cam", shape.frames(30*time.Second)))
			s.finish()
			s.laws("cam", shape.longest())
			s.whole("cam", shape.mayMiss(s.sent["cam"]))
			s.end()
		})
	}
}
