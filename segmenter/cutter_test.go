package segmenter

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// every cuts at each keyframe, and gives numbers in their order.
type every struct{ number uint64 }

func (p *every) next(u *unit, open *segment) (segment, bool) {
	if u.video && !u.key {
		return segment{}, false
	}
	p.number++
	return segment{number: p.number, start: u.at, boundary: u.boundary}, true
}

func (p *every) fix(int64) int { return 4 }

// trial is a line and a cutter, with what the cutter decided about each number.
type trial struct {
	line   line
	cutter cutter
	now    time.Time
	video  *ingest.Track
	audio  *ingest.Track
	opened []segment
	closed []event
	units  map[uint64][]unit
}

func newTrial(p policy) *trial {
	e := newEncoder(nil, nil)
	t := &trial{now: start, video: e.video, audio: e.audio, units: map[uint64][]unit{}}
	t.cutter = cutter{policy: p, longest: longestOf(12), tracks: tracks{t.video, t.audio}}
	t.line.segment = 4 * Clock
	return t
}

// send carries a frame through both stages.
func (t *trial) send(video bool, pts, dts int64, key bool) bool {
	f := &ingest.Frame{Track: t.audio, PTS: pts, DTS: dts, Units: [][]byte{{0x21, 1, 2, 3}}, Arrival: t.now}
	if video {
		f.Track, f.Units = t.video, [][]byte{{0x41, 0x9a, 1}}
		if key {
			f.Units[0][0] = 0x65
		}
	}
	u := t.line.survey(f)
	if t.line.jumps(&u) {
		t.cutter.stop(t.line.end())
		t.line.reset(true)
	}
	t.line.place(&u)
	ok := t.cutter.put(&u)
	t.take()
	return ok
}

func (t *trial) take() {
	for _, e := range t.cutter.take() {
		switch e.kind {
		case evOpen:
			t.opened = append(t.opened, e.segment)
		case evUnit:
			t.units[e.number] = append(t.units[e.number], *e.unit)
		case evClose:
			t.closed = append(t.closed, e)
		}
	}
}

// TestCutterWaitsForLateSound holds that sound which belongs to a segment that was cut off goes there as long as that waits,
// and opens the next one after.
func TestCutterWaitsForLateSound(t *testing.T) {
	for name, late := range map[string]time.Duration{"in time": 40 * time.Millisecond, "too late": 60 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			c := newTrial(&every{})
			c.send(true, 0, 0, true)
			c.send(false, 3*Clock/2, 3*Clock/2, true)
			c.now = c.now.Add(2 * time.Second)
			c.send(true, 2*Clock, 2*Clock, true)
			c.now = c.now.Add(late)
			c.cutter.tick(c.now)
			c.take()
			c.send(false, 8*Clock/5, 8*Clock/5, true)
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

// TestCutterEndsWhereTheNextBegins holds that segments tile the time line.
func TestCutterEndsWhereTheNextBegins(t *testing.T) {
	c := newTrial(&every{})
	for n := range int64(200) {
		dts := n * 3003
		c.send(true, dts+6006, dts, n%30 == 0)
		c.now = c.now.Add(33 * time.Millisecond)
	}
	c.cutter.stop(c.line.end())
	c.take()
	if len(c.closed) != 7 {
		t.Fatalf("%d segments", len(c.closed))
	}
	for i, e := range c.closed {
		if i+1 < len(c.closed) && (e.end != c.closed[i+1].segment.start || e.cutOff) {
			t.Errorf("%d ends at %d, the next begins at %d", i, e.end, c.closed[i+1].segment.start)
		}
	}
	if last := c.closed[6]; !last.cutOff || last.end != 199*3003+6006+3003 {
		t.Errorf("the last ends at %d: %+v", last.end, last)
	}
}

// TestCutterFindsLeadingPictures holds that a segment is not independent where a picture is shown before its first, unless
// another random access point stands between.
func TestCutterFindsLeadingPictures(t *testing.T) {
	c := newTrial(&every{})
	hevc := &ingest.Track{Codec: ingest.H265}
	c.cutter.CarryVideo(hevc)
	put := func(nal byte, pts int64, access bool) {
		f := &ingest.Frame{Track: hevc, PTS: pts, DTS: pts, Arrival: c.now}
		u := unit{frame: f, video: true, pts: pts, dts: pts, at: pts, boundary: pts, dur: 3600, key: access, access: access}
		u.survey = codec.H265.Survey([][]byte{{nal << 1, 1, 0x80}})
		c.cutter.put(&u)
		c.take()
	}
	put(21, 0, true)
	put(9, -3600, false)
	put(21, 2*Clock, true)
	put(1, 2*Clock+3600, false)
	put(19, 4*Clock, true)
	put(7, 4*Clock-3600, false)
	put(19, 6*Clock, true)
	for i, want := range []bool{false, true, true} {
		if got := c.closed[i].segment.independent; got != want {
			t.Errorf("segment %d is independent: %v", i, got)
		}
	}
}

// FuzzCutter sends frames with any times, and holds what the stages behind rely on: DTS rises and PTS is not before it
// within a time line, segments tile it, each is opened before units go to it and closed once, and each unit that was taken
// stands in one.
func FuzzCutter(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 2, 10, 0, 1, 0, 1, 40, 0, 3, 1})
	f.Add([]byte{255, 255, 255, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200, 3, 0, 0, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &solo{cadence: newCadence(SoloOptions{Segment: 2 * time.Second, MaxTarget: 6 * time.Second})}
		s.resume(0, time.Time{}, true)
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
			c.cutter.tick(c.now)
			c.take()
		}
		c.cutter.stop(c.line.end())
		c.take()
		if len(c.opened) != len(c.closed) {
			t.Fatalf("%d opened, %d closed", len(c.opened), len(c.closed))
		}
		stand := 0
		for i, e := range c.closed {
			if e.segment.number != c.opened[i].number {
				t.Fatalf("closed %d, opened %d", e.segment.number, c.opened[i].number)
			}
			if e.end <= e.segment.start {
				t.Fatalf("%d lasts %d ticks", e.segment.number, e.end-e.segment.start)
			}
			if i+1 < len(c.closed) && !e.cutOff && e.end != c.closed[i+1].segment.start {
				t.Fatalf("%d ends at %d, the next begins at %d", e.segment.number, e.end, c.closed[i+1].segment.start)
			}
			last := [2]int64{-1 << 62, -1 << 62}
			for _, u := range c.units[e.segment.number] {
				k := 0
				if !u.video {
					k = 1
				}
				if u.dts <= last[k] || u.pts < u.dts {
					t.Fatalf("DTS %d after %d, PTS %d", u.dts, last[k], u.pts)
				}
				last[k] = u.dts
				stand++
			}
		}
		if stand != taken {
			t.Fatalf("%d units were taken, %d stand in segments", taken, stand)
		}
	})
}
