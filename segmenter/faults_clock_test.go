package segmenter

import (
	"fmt"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// drifting are publishers of one picture a second whose clock does not go as ours does.
type drifting struct {
	*rig
	streams  []string
	sessions map[string]ingest.Session
	n        int64       // pictures sent, which is their media time in seconds
	clock    []time.Time // when each was sent
}

func newDrifting(t *testing.T, o AppOptions, streams ...string) *drifting {
	o.SegmentDuration = 10 * time.Second
	return &drifting{rig: newRig(t, o), streams: streams, sessions: map[string]ingest.Session{}}
}

// run sends pictures for so many seconds of media, each of which takes so long by our clock.
func (d *drifting) run(seconds int, second time.Duration) {
	d.t.Helper()
	track := videoTrack(ingest.H264)
	track.FrameRate = 1
	for range seconds {
		for _, name := range d.streams {
			if d.sessions[name] == nil {
				s, err := d.publish(name, "me")
				if err != nil {
					d.t.Fatal(err)
				}
				d.sessions[name] = s
			}
			f := ingest.Frame{Track: track, PTS: d.n * Clock, DTS: d.n * Clock, Units: [][]byte{{0x41, 0x88, 1, 2, 3}}, Arrival: d.now}
			if d.n%2 == 0 {
				f.Key, f.Units = true, [][]byte{{0x65, 0x88, 1, 2, 3}}
			}
			if err := d.sessions[name].WriteFrame(&f); err != nil {
				d.t.Fatal(err)
			}
		}
		d.clock = append(d.clock, d.now)
		d.n++
		d.now = d.now.Add(second)
		d.reg.Expire(d.now)
	}
}

// drop ends the connections; they come back with the next run.
func (d *drifting) drop(away time.Duration) {
	for name, s := range d.sessions {
		s.Close(errReset)
		delete(d.sessions, name)
	}
	d.now = d.now.Add(away)
	d.reg.Expire(d.now)
}

// reading is a row's PROGRAM-DATE-TIME beside the time at which its first picture was sent.
type reading struct {
	Row
	off   time.Duration // PROGRAM-DATE-TIME is so much past the clock
	step  time.Duration // it begins so much after the end of the row before
	rises bool          // it begins after the beginning of the row before
}

// readings are all rows of a stream. Their media goes on without a hole.
func (d *drifting) readings(stream string) (list []reading) {
	d.t.Helper()
	tl := d.reg.Timeline("live", stream)
	if tl == nil {
		d.t.Fatalf("no timeline of %s", stream)
	}
	at := int64(0)
	for i, e := range tl.Snapshot().Rows {
		r := reading{Row: e, off: e.Start.Sub(d.clock[(at+Clock/2)/Clock])}
		if i > 0 {
			last := list[i-1]
			r.step, r.rises = e.Start.Sub(last.Start)-cut.Duration(last.Duration), e.Start.After(last.Start)
		}
		at += e.Duration
		list = append(list, r)
	}
	return list
}

const (
	maxDrift      = 2 * time.Second
	correctEvery  = 10 * time.Minute
	driftInTen    = 6 * time.Second        // of one in a hundred, in ten minutes
	aSegmentsMore = 200 * time.Millisecond // and in the time that a segment or two last
)

// followsTheClock holds that PROGRAM-DATE-TIME is within maxDrift of the clock and what ten minutes add to it, in both
// directions. It is set right as a step that is a discontinuity, at most every ten minutes, only where it was wrong by more
// than maxDrift, and rightly; in between it follows the media. A step back may lie before the end of the segment before,
// since media that comes faster than time goes on leaves no other place, but times rise from row to row: of a step that would
// be longer than a segment, only as much is made.
func (d *drifting) followsTheClock(stream string) (corrections int) {
	d.t.Helper()
	last := time.Time{} // of the newest correction, by our clock
	for i, r := range d.readings(stream) {
		before := r.off - r.step
		if r.off.Abs() > maxDrift+driftInTen+aSegmentsMore {
			d.t.Errorf("%s: %d is %v off", stream, r.Sequence, r.off)
			return corrections
		}
		if i == 0 {
			continue
		}
		if !r.rises {
			d.t.Errorf("%s: %d does not begin after the beginning of the one before", stream, r.Sequence)
		}
		if !r.Discontinuity {
			if r.step.Abs() > time.Millisecond {
				d.t.Errorf("%s: %d slides by %v", stream, r.Sequence, r.step)
			}
			continue
		}
		corrections++
		if before.Abs() <= maxDrift || r.off.Abs() > 500*time.Millisecond {
			d.t.Errorf("%s: %d is set right by %v: it was %v off and is %v", stream, r.Sequence, r.step, before, r.off)
		}
		now := r.Start.Add(-r.off)
		if !last.IsZero() && now.Sub(last) < correctEvery*98/100 { // ten minutes by either clock
			d.t.Errorf("%s: %d is set right %v after the correction before", stream, r.Sequence, now.Sub(last))
		}
		last = now
	}
	return corrections
}

func TestClockThatDrifts(t *testing.T) {
	for _, streams := range [][]string{{"cam"}, ladderRungs} {
		o := AppOptions{}
		if len(streams) > 1 {
			o = ladderOptions()
		}
		for name, second := range map[string]time.Duration{"slow": 1010 * time.Millisecond, "fast": 990 * time.Millisecond} {
			t.Run(fmt.Sprintf("%d streams/media is %s", len(streams), name), func(t *testing.T) {
				d := newDrifting(t, o, streams...)
				hours := 3
				if chaosSeeds() < 20 { // reduced
					hours = 1
					if len(streams) > 1 && name == "fast" {
						t.Skip("tried by `make soak`")
					}
				}
				d.run(hours*3600, second)
				for _, name := range streams {
					if n := d.followsTheClock(name); 3*n < 13*hours-2 || n > 6*hours {
						t.Errorf("%s: %d corrections of %d s in all", name, n, 36*hours)
					}
				}
				d.inLine()
			})
		}
		t.Run(fmt.Sprintf("%d streams/fast, slow, and right", len(streams)), func(t *testing.T) {
			d := newDrifting(t, o, streams...)
			long := 1800
			if chaosSeeds() < 20 { // reduced
				long = 900
			}
			d.run(long, 990*time.Millisecond)
			d.run(long, 1010*time.Millisecond)
			d.run(2*long, time.Second)
			for _, name := range streams {
				d.followsTheClock(name)
			}
			d.inLine()
		})
		t.Run(fmt.Sprintf("%d streams/fast, and breaks off", len(streams)), func(t *testing.T) {
			d := newDrifting(t, o, streams...)
			d.run(500, 990*time.Millisecond)
			d.drop(20 * time.Second)
			d.run(600, time.Second)
			for _, name := range streams {
				if list := d.readings(name); list[len(list)-1].off.Abs() > maxDrift {
					t.Errorf("%s: %v off after the break", name, list[len(list)-1].off)
				}
			}
			d.inLine()
		})
		t.Run(fmt.Sprintf("%d streams/a little", len(streams)), func(t *testing.T) {
			d := newDrifting(t, o, streams...)
			d.run(1800, 1001*time.Millisecond)
			d.run(1800, 999*time.Millisecond)
			for _, name := range streams {
				if n := d.followsTheClock(name); n != 0 {
					t.Errorf("%s: %d corrections", name, n)
				}
			}
		})
	}
}

// inLine holds that the rungs of a ladder say the same.
func (d *drifting) inLine() {
	d.t.Helper()
	if len(d.streams) == 1 {
		return
	}
	l := &ladder{rig: d.rig}
	l.aligned()
	l.equal()
	if n := len(l.master().Variants); n != len(d.streams) {
		d.t.Errorf("%d variants", n)
	}
	for _, name := range d.streams {
		if n := l.gaps(name); n != 0 {
			d.t.Errorf("%s has %d gaps", name, n)
		}
	}
}

// eachRowTimed holds that each row of both playlists carries the time of its segment.
func (s *stage) eachRowTimed(stream string) {
	s.t.Helper()
	s.eachPlaylist(stream, func(name string, m *m3u8.Media, rows []Row) {
		for i := range m.Segments {
			at := m.Segments[i].ProgramDateTime
			if at.IsZero() {
				s.once("%s: rows of the %s playlist have no PROGRAM-DATE-TIME", stream, name)
			} else if off := rows[i].Start.Sub(at); off.Abs() > time.Millisecond {
				s.once("%s: the %s playlist is %v off its rows", stream, name, off)
			}
		}
	})
}

// TestEachRowHasItsTime looks at every playlist of recordings to which this and that happens: players that come to a break
// or a loss need the time of each row, not of the first alone.
func TestEachRowHasItsTime(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	t.Run("on its own", func(t *testing.T) {
		s := newStage(t, AppOptions{Window: 20 * time.Second, ArchiveSplit: 20 * time.Second})
		s.every = func() { s.eachRowTimed("cam") }
		s.play(on("cam", jump(shape.frames(25*time.Second), 11*time.Second, 50*Clock)))
		s.disconnect("cam", errReset)
		s.play(later(shape.stream("cam", 25*time.Second), 30*time.Second))
		s.finish()
	})
	t.Run("sound alone", func(t *testing.T) {
		s := newStage(t, AppOptions{})
		s.every = func() { s.eachRowTimed("cam") }
		sound := encoderShape{audio: "mp3"}
		s.play(sound.stream("cam", 25*time.Second))
		s.finish()
	})
	t.Run("a ladder with gaps", func(t *testing.T) {
		o := ladderOptions()
		o.Audio = true
		s := newStage(t, o)
		s.every = func() {
			for _, name := range append([]string{"show_audio"}, ladderRungs...) {
				s.eachRowTimed(name)
			}
		}
		all := rungs(shape.frames(50 * time.Second))
		away := func(f *sentFrame) bool { return f.stream == ladderRungs[0] && f.at > 11*time.Second }
		s.play(without(all, func(f *sentFrame) bool { return f.at > 30*time.Second || away(f) }))
		s.play(without(all, func(f *sentFrame) bool { return f.at <= 30*time.Second }))
		s.finish()
		if s.tape(ladderRungs[0]).gaps() == 0 {
			t.Error("no gap")
		}
	})
}

// TestClockIsAnchoredOnTheLeastDelayed lets a publisher come back with what it had to hold meanwhile: the first frames come
// all at once, and tell less of the time at which they were made than those that come when they are made.
func TestClockIsAnchoredOnTheLeastDelayed(t *testing.T) {
	const away, back = 6 * time.Second, 20 * time.Second
	shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	burst := func(held time.Duration) func(at time.Duration) time.Duration {
		return func(at time.Duration) time.Duration { return max(at, back+held) }
	}
	for _, tc := range []struct {
		name    string
		arrives func(at time.Duration) time.Duration // what is made at an instant from back on
		want    time.Duration                        // PROGRAM-DATE-TIME of its first segment
	}{
		{"in time", burst(0), back},
		{"a burst of 0.8 s", burst(800 * time.Millisecond), back},
		{"a burst of 3 s", burst(3 * time.Second), back},
		{"the first is late", func(at time.Duration) time.Duration { return max(at, back+400*time.Millisecond) }, back},
		{"all but the first are late", func(at time.Duration) time.Duration {
			if at < back+30*time.Millisecond {
				return at
			}
			return at + 500*time.Millisecond
		}, back},
	} {
		frames := shape.frames(40 * time.Second)
		before := without(frames, func(f *sentFrame) bool { return f.at >= away })
		after := without(frames, func(f *sentFrame) bool { return f.at < back })
		for i := range after {
			after[i].at = tc.arrives(after[i].at)
		}
		t.Run(tc.name, func(t *testing.T) {
			s := newStage(t, AppOptions{})
			s.play(on("cam", before))
			s.disconnect("cam", errReset)
			s.play(on("cam", after))
			s.finish()
			s.anchored("cam", tc.want)
		})
		t.Run(tc.name+" in a ladder", func(t *testing.T) {
			s := newStage(t, ladderOptions())
			s.play(rungs(before))
			for _, name := range ladderRungs {
				s.disconnect(name, errReset)
			}
			s.play(rungs(jump(after, 0, 500*Clock))) // from an encoder that begins anew: else the ladder's own time goes on
			(&ladder{rig: s.rig}).aligned()
			s.finish()
			for _, name := range ladderRungs {
				s.anchored(name, tc.want)
			}
		})
	}
	t.Run("never before the end of what is there", func(t *testing.T) {
		frames := shape.frames(30 * time.Second)
		s := newStage(t, AppOptions{})
		s.play(on("cam", without(frames, func(f *sentFrame) bool { return f.at >= away })))
		s.disconnect("cam", errReset)
		// What was sent last comes once more, on a new time line: made from 2 s on, sent at 9 s.
		again := jump(later(without(frames, func(f *sentFrame) bool { return f.at < 2*time.Second }), 0), 0, 500*Clock)
		for i := range again {
			again[i].at = max(again[i].at, 9*time.Second)
		}
		s.play(on("cam", again))
		s.anchored("cam", away)
	})
	t.Run("never before the recording's beginning", func(t *testing.T) {
		for _, held := range []time.Duration{0, 500 * time.Millisecond, 3 * time.Second} {
			frames := shape.frames(20 * time.Second)
			for i := range frames {
				frames[i].at = max(frames[i].at, held) - held
			}
			s := newStage(t, AppOptions{})
			s.play(on("cam", frames))
			snap := s.snap("cam")
			begun, _ := snap.Recording.Time()
			if off := snap.Rows[0].Start.Sub(begun); off.Abs() > time.Millisecond {
				t.Errorf("the first segment begins %v after the recording", off)
			}
		}
	})
}

// anchored holds the time of the segment with which the only discontinuity begins.
func (s *stage) anchored(stream string, want time.Duration) {
	s.t.Helper()
	breaks := s.tape(stream).breaks()
	if len(breaks) != 1 {
		s.t.Fatalf("%s: %d discontinuities", stream, len(breaks))
	}
	if off := breaks[0].Start.Sub(start.Add(want)); off.Abs() > 60*time.Millisecond {
		s.t.Errorf("%s: what came back is said to be of %v later than it is", stream, off)
	}
}
