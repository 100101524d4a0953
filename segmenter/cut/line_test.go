package cut

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// course feeds a line, one frame after another.
type course struct {
	line  Line
	now   time.Time
	video *ingest.Track
	audio *ingest.Track
}

func newCourse() *course {
	e := testTracks()
	c := &course{now: start, video: e.Video, audio: e.Audio}
	c.line.segment = 4 * codec.Clock
	return c
}

func (c *course) frame(video bool, pts, dts int64) Unit {
	f := &ingest.Frame{Track: c.audio, PTS: pts, DTS: dts, Units: [][]byte{{0x21}}, Arrival: c.now}
	if video {
		f.Track, f.Units = c.video, [][]byte{{0x41, 0x9a}}
	}
	return c.line.Survey(f)
}

func (c *course) place(video bool, pts, dts int64) Unit {
	u := c.frame(video, pts, dts)
	c.line.Place(&u)
	return u
}

func TestLineRepairs(t *testing.T) {
	for _, tc := range []struct {
		name                string
		video               bool
		pts, dts            int64
		wantPTS, wantDTS    int64
		repaired            int64
		earlierPTS, earlier int64
	}{
		{"nothing", true, 7200, 3600, 7200, 3600, 0, 3600, 0},
		{"DTS stands", true, 3600, 0, 3600, 1, 1, 3600, 0},
		{"DTS falls", true, 3600, -500, 3600, 1, 1, 3600, 0},
		{"PTS before DTS", true, 100, 3600, 3600, 3600, 1, 3600, 0},
		{"PTS far behind DTS", true, 3600 + 11*codec.Clock, 3600, 3600, 3600, 1, 3600, 0},
		{"sound stands", false, 0, 0, 1, 1, 1, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCourse()
			c.place(tc.video, tc.earlierPTS, tc.earlier)
			if u := c.place(tc.video, tc.pts, tc.dts); u.PTS != tc.wantPTS || u.DTS != tc.wantDTS || c.line.repaired != tc.repaired {
				t.Errorf("PTS %d, DTS %d, %d repaired", u.PTS, u.DTS, c.line.repaired)
			}
		})
	}
}

func TestLineJumps(t *testing.T) {
	for _, tc := range []struct {
		name  string
		video bool
		step  int64
		sound int64 // position of the audio meanwhile
		want  bool
	}{
		{"a frame", true, 3600, 0, false},
		{"back a little", true, -codec.Clock / 2, 0, false},
		{"back", true, -2 * codec.Clock, 0, true},
		{"ahead a little", true, codec.Clock, 0, false},
		{"ahead", true, 3 * codec.Clock, 0, true},
		{"ahead, and so was the sound", true, 3 * codec.Clock, 3 * codec.Clock, false},
		{"sound ahead", false, 3 * codec.Clock, 0, true},
		{"over the wrap of 33 bits", true, 1 << 33, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCourse()
			c.place(true, 0, 0)
			c.place(false, 0, 0)
			for at := int64(1920); at <= tc.sound; at += 1920 {
				c.now = c.now.Add(21 * time.Millisecond)
				c.place(false, at, at)
			}
			if u := c.frame(tc.video, tc.step, tc.step); c.line.Jumps(&u) != tc.want {
				t.Errorf("jumps: %v", !tc.want)
			}
		})
	}
}

// TestLineSilence checks that silence of the video is judged by arrival, whatever the audio's timestamps.
func TestLineSilence(t *testing.T) {
	for _, skew := range []int64{-5 * codec.Clock, -codec.Clock / 2, 0, codec.Clock / 2, 5 * codec.Clock} {
		c := newCourse()
		at := int64(0)
		both := func(d time.Duration, pictures bool) (u Unit) {
			for end := c.now.Add(d); c.now.Before(end); at += 3600 {
				if pictures {
					c.place(true, at, at)
				}
				u = c.place(false, at+skew, at+skew)
				c.now = c.now.Add(40 * time.Millisecond)
			}
			return u
		}
		if u := both(5*time.Second, true); u.Silent {
			t.Fatalf("skew %d: silent while pictures come", skew)
		}
		last := at
		if u := both(480*time.Millisecond, false); u.Silent {
			t.Errorf("skew %d: silent after less than half a second", skew)
		}
		u := both(2*time.Second, false)
		if !u.Silent {
			t.Fatalf("skew %d: not silent after 2 s of sound alone", skew)
		}
		want := max(last-3600, min(at, at+skew)-3600)
		if off := u.Boundary - want; off < -2*3600 || off > 2*3600 {
			t.Errorf("skew %d: the picture would be at %d, want %d", skew, u.Boundary, want)
		}
		c.now = c.now.Add(20 * time.Second) // the uplink stalls: both are silent
		c.place(true, at, at)
		if u := c.place(false, at+skew, at+skew); u.Silent {
			t.Errorf("skew %d: silent after a stall of both", skew)
		}
	}
}
