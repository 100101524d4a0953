package cut

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// every cuts at each keyframe, with consecutive numbers.
type every struct{ number uint64 }

func (p *every) Next(u *Unit, open *Segment) (Segment, bool) {
	if u.Video && !u.Key {
		return Segment{}, false
	}
	p.number++
	return Segment{Number: p.number, Start: u.At, Boundary: u.Boundary}, true
}

func (p *every) Fix(int64) int { return 4 }

// trial is a line and a cutter, with the cutter's decisions about each number.
type trial struct {
	line   Line
	cutter Cutter
	now    time.Time
	video  *ingest.Track
	audio  *ingest.Track
	opened []Segment
	closed []Event
	units  map[uint64][]Unit
}

func newTrial(p Policy) *trial {
	e := testTracks()
	t := &trial{now: start, video: e.Video, audio: e.Audio, units: map[uint64][]Unit{}}
	t.cutter = Cutter{policy: p, longest: Longest(12), tracks: Tracks{t.video, t.audio}}
	t.line.segment = 4 * codec.Clock
	return t
}

// send sends a frame through both stages.
func (t *trial) send(video bool, pts, dts int64, key bool) bool {
	f := &ingest.Frame{Track: t.audio, PTS: pts, DTS: dts, Units: [][]byte{{0x21, 1, 2, 3}}, Arrival: t.now}
	if video {
		f.Track, f.Units = t.video, [][]byte{{0x41, 0x9a, 1}}
		if key {
			f.Units[0][0] = 0x65
		}
	}
	u := t.line.Survey(f)
	if t.line.Jumps(&u) {
		t.cutter.Stop(t.line.End())
		t.line.Reset(true)
	}
	t.line.Place(&u)
	ok := t.cutter.Put(&u)
	t.take()
	return ok
}

func (t *trial) take() {
	for _, e := range t.cutter.Take() {
		switch e.Kind {
		case EventOpen:
			t.opened = append(t.opened, e.Segment)
		case EventUnit:
			t.units[e.Number] = append(t.units[e.Number], *e.Unit)
		case EventClose:
			t.closed = append(t.closed, e)
		}
	}
}

// TestCutterWaitsForLateSound checks that audio which belongs to a segment that has been cut goes there while that waits, and opens the
// next one afterwards.
func TestCutterWaitsForLateSound(t *testing.T) {
	for name, late := range map[string]time.Duration{"in time": 40 * time.Millisecond, "too late": 60 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			c := newTrial(&every{})
			c.send(true, 0, 0, true)
			c.send(false, 3*codec.Clock/2, 3*codec.Clock/2, true)
			c.now = c.now.Add(2 * time.Second)
			c.send(true, 2*codec.Clock, 2*codec.Clock, true)
			c.now = c.now.Add(late)
			c.cutter.Tick(c.now)
			c.take()
			c.send(false, 8*codec.Clock/5, 8*codec.Clock/5, true)
			want := uint64(1)
			if late > audioWait {
				want = 2
			}
			if n := len(c.units[want]); n != map[uint64]int{1: 3, 2: 2}[want] {
				t.Errorf("%d units in segment %d", n, want)
			}
		})
	}
}

// TestCutterEndsWhereTheNextBegins checks that segments cover the timeline without gaps.
func TestCutterEndsWhereTheNextBegins(t *testing.T) {
	c := newTrial(&every{})
	for n := range int64(200) {
		dts := n * 3003
		c.send(true, dts+6006, dts, n%30 == 0)
		c.now = c.now.Add(33 * time.Millisecond)
	}
	c.cutter.Stop(c.line.End())
	c.take()
	if len(c.closed) != 7 {
		t.Fatalf("%d segments", len(c.closed))
	}
	for i, e := range c.closed {
		if i+1 < len(c.closed) && (e.End != c.closed[i+1].Segment.Start || e.CutOff) {
			t.Errorf("%d ends at %d, the next begins at %d", i, e.End, c.closed[i+1].Segment.Start)
		}
	}
	if last := c.closed[6]; !last.CutOff || last.End != 199*3003+6006+3003 {
		t.Errorf("the last ends at %d: %+v", last.End, last)
	}
}

// TestCutterFindsLeadingPictures checks that a segment is not independent if a picture is shown before its first, unless another random
// access point precedes that picture.
func TestCutterFindsLeadingPictures(t *testing.T) {
	c := newTrial(&every{})
	hevc := &ingest.Track{Codec: ingest.H265}
	c.cutter.SetVideo(hevc)
	put := func(nal byte, pts int64, access bool) {
		f := &ingest.Frame{Track: hevc, PTS: pts, DTS: pts, Arrival: c.now}
		u := Unit{Frame: f, Video: true, PTS: pts, DTS: pts, At: pts, Boundary: pts, Duration: 3600, Key: access, Access: access}
		u.Survey = codec.H265.Survey([][]byte{{nal << 1, 1, 0x80}})
		c.cutter.Put(&u)
		c.take()
	}
	put(21, 0, true)
	put(9, -3600, false)
	put(21, 2*codec.Clock, true)
	put(1, 2*codec.Clock+3600, false)
	put(19, 4*codec.Clock, true)
	put(7, 4*codec.Clock-3600, false)
	put(19, 6*codec.Clock, true)
	for i, want := range []bool{false, true, true} {
		if got := c.closed[i].Segment.Independent; got != want {
			t.Errorf("segment %d is independent: %v", i, got)
		}
	}
}

// FuzzCutter sends frames with arbitrary times, and checks what later stages rely on: within a timeline DTS rises and PTS is not before it,
// segments cover the timeline without gaps, each is opened before units go to it and closed once, and each accepted unit is in one.
func FuzzCutter(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 2, 10, 0, 1, 0, 1, 40, 0, 3, 1})
	f.Add([]byte{255, 255, 255, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200, 3, 0, 0, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &Solo{cadence: newCadence(SoloOptions{Segment: 2 * time.Second, MaxTarget: 6 * time.Second})}
		s.Resume(0, time.Time{}, true)
		c := newTrial(s)
		c.cutter.longest = s.cadence.longest()
		taken, dts, audio := 0, int64(0), int64(0)
		for len(data) >= 5 {
			kind, step, off := data[0], int64(int16(binary.LittleEndian.Uint16(data[1:]))), int64(int8(data[3]))
			c.now = c.now.Add(time.Duration(data[4]) * time.Millisecond)
			data = data[5:]
			if kind&0x80 != 0 {
				step *= 64 // jumps
			}
			ok := false
			if kind&1 == 0 {
				dts += step
				ok = c.send(true, dts+off*90, dts, kind&6 == 0)
			} else {
				audio += step
				ok = c.send(false, audio, audio, true)
			}
			if ok {
				taken++
			}
			c.cutter.Tick(c.now)
			c.take()
		}
		c.cutter.Stop(c.line.End())
		c.take()
		if len(c.opened) != len(c.closed) {
			t.Fatalf("%d opened, %d closed", len(c.opened), len(c.closed))
		}
		stand := 0
		for i, e := range c.closed {
			if e.Segment.Number != c.opened[i].Number {
				t.Fatalf("closed %d, opened %d", e.Segment.Number, c.opened[i].Number)
			}
			if e.End <= e.Segment.Start {
				t.Fatalf("%d lasts %d ticks", e.Segment.Number, e.End-e.Segment.Start)
			}
			if i+1 < len(c.closed) && !e.CutOff && e.End != c.closed[i+1].Segment.Start {
				t.Fatalf("%d ends at %d, the next begins at %d", e.Segment.Number, e.End, c.closed[i+1].Segment.Start)
			}
			last := [2]int64{-1 << 62, -1 << 62}
			for _, u := range c.units[e.Segment.Number] {
				k := 0
				if !u.Video {
					k = 1
				}
				if u.DTS <= last[k] || u.PTS < u.DTS {
					t.Fatalf("DTS %d after %d, PTS %d", u.DTS, last[k], u.PTS)
				}
				last[k] = u.DTS
				stand++
			}
		}
		if stand != taken {
			t.Fatalf("%d units were taken, %d stand in segments", taken, stand)
		}
	})
}
