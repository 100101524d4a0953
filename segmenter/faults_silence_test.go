package segmenter

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// Silence of a track is a matter of arrival: what is sent early or late is not silent, and what does not arrive is, whatever
// the time stamps of the other track say.

// bothAnnounced says of the shape's tracks that the encoder announced the other one, too.
func bothAnnounced(s encoderShape) encoderShape {
	if s.codec != 0 {
		s.tracks[0] = announceBoth(videoTrack(s.codec))
	}
	if s.audio != "" {
		s.tracks[1] = announceBoth(audioTrack(s.audio))
	}
	return s
}

func announceBoth(t *ingest.Track) *ingest.Track {
	if f := reflect.ValueOf(t).Elem().FieldByName("Both"); f.IsValid() {
		f.SetBool(true)
	}
	return t
}

// steady holds that a stream was cut at its IDRs and nowhere else, and that all of it came out.
func (s *stage) steady(stream string, shape *encoderShape) {
	s.t.Helper()
	s.noForced()
	s.laws(stream, shape.longest())
	s.whole(stream, shape.mayMiss(s.sent[stream]))
	t := s.tape(stream)
	for i := range t.rows {
		if row := &t.rows[i]; !row.Independent && !row.Gap {
			s.twice(stream, "%d does not begin with an IDR", row.Sequence)
		}
	}
	if b, g := len(t.breaks()), t.gaps(); b+g > 0 || len(t.recordings) != 1 {
		s.t.Errorf("%s: %d discontinuities, %d gaps, %d recordings", stream, b, g, len(t.recordings))
	}
}

// soundAsItComes holds that sound goes to the segment that is open when it comes, give or take the time for which a cut waits.
func (s *stage) soundAsItComes(stream string) {
	s.t.Helper()
	const wait = 60 * time.Millisecond
	in := [2]map[int64]uint64{{}, {}}
	for _, row := range s.tape(stream).rows {
		for kind, units := range row.segment.units {
			for _, u := range units {
				in[kind][u.id] = row.Sequence
			}
		}
	}
	var before, open []int64 // pictures that came, by wait ago and by now
	for i := range s.sent[stream] {
		f := &s.sent[stream][i]
		if f.video() {
			open = append(open, f.id)
			continue
		}
		for len(before) < len(open) && s.arrivalOf(stream, open[len(before)]) < f.at-wait {
			before = append(before, open[len(before)])
		}
		number, ok := in[astAudio][f.id]
		if !ok || len(before) == 0 {
			continue
		}
		oldest, newest := in[astVideo][before[len(before)-1]], in[astVideo][open[len(open)-1]]
		if number < oldest || number > newest {
			s.twice(stream, "sound frame %d came while %d to %d was open and stands in %d", f.id, oldest, newest, number)
		}
	}
}

// soundInItsPlace holds that sound and picture of an instant are in one segment, give or take a packet of sound.
func (s *stage) soundInItsPlace(stream string) {
	s.t.Helper()
	rows := s.tape(stream).rows
	for i, row := range rows {
		pictures, sounds := row.segment.units[astVideo], row.segment.units[astAudio]
		if len(pictures) == 0 || len(sounds) == 0 && row.segment.silence == 0 {
			s.twice(stream, "%d has %d pictures and %d frames of sound", row.Sequence, len(pictures), len(sounds))
			continue
		}
		for _, u := range sounds {
			off := cut.Duration(u.pts - pictures[0].pts)
			if u.pts >= 0 && (off < -150*time.Millisecond || off > cut.Duration(row.Duration)+150*time.Millisecond) {
				s.twice(stream, "%d of %d has a sound that is heard %v after its first picture", i, len(rows), off)
			}
		}
	}
}

// arrivalOf is when a picture came.
func (s *stage) arrivalOf(stream string, picture int64) time.Duration {
	if s.arrivals == nil {
		s.arrivals = map[string]map[int64]time.Duration{}
	}
	if s.arrivals[stream] == nil {
		s.arrivals[stream] = map[int64]time.Duration{}
		for i := range s.sent[stream] {
			if f := &s.sent[stream][i]; f.video() {
				s.arrivals[stream][f.id] = f.at
			}
		}
	}
	return s.arrivals[stream][picture]
}

// TestSkewedTracks sends one track so much after the other.
func TestSkewedTracks(t *testing.T) {
	for _, codec := range []ingest.Codec{ingest.H264, ingest.H265} {
		for track, what := range []string{"picture", "sound"} {
			for _, late := range []time.Duration{600 * time.Millisecond, 2 * time.Second, 5 * time.Second} {
				for _, waits := range []bool{false, true} {
					shape := encoderShape{codec: codec, gop: 50, audio: "aac", waits: waits}
					shape.late[track] = late
					name := fmt.Sprintf("%v/%s late by %v", codec, what, late)
					if waits {
						name += " from the beginning"
						shape = bothAnnounced(shape)
					}
					t.Run(name, func(t *testing.T) {
						s := newStage(t, AppOptions{})
						s.play(on("cam", shape.frames(30*time.Second)))
						s.finish()
						s.steady("cam", &shape)
						switch {
						case late >= time.Second:
							s.soundInItsPlace("cam")
						case track == astAudio && !waits:
							s.soundAsItComes("cam")
						}
					})
					if (late == 2*time.Second) != waits || codec == ingest.H265 && !waits {
						continue // a sample of them
					}
					t.Run(name+" in a ladder", func(t *testing.T) {
						s := newStage(t, ladderOptions())
						s.play(rungsApart(shape.frames(16*time.Second), 5*time.Millisecond))
						s.finish()
						(&ladder{rig: s.rig}).aligned()
						(&ladder{rig: s.rig}).equal()
						for _, name := range ladderRungs {
							s.steady(name, &shape)
						}
					})
				}
			}
		}
	}
}

// TestSkewOfOneRung holds that a rung whose sound is sent late is cut where the others are.
func TestSkewOfOneRung(t *testing.T) {
	for _, late := range [][2]time.Duration{{0, 1500 * time.Millisecond}, {1500 * time.Millisecond, 0}} {
		t.Run(fmt.Sprint(late), func(t *testing.T) {
			shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
			skewed := shape
			skewed.late = late
			s := newStage(t, ladderOptions())
			s.play(together(on("show_1080p", shape.frames(24*time.Second)), on("show_720p", shape.frames(24*time.Second)),
				on("show_480p", without(inStep(skewed.frames(24*time.Second)), func(f *sentFrame) bool { return f.at < 4*time.Second }))))
			s.finish()
			(&ladder{rig: s.rig}).aligned()
			s.steady("show_1080p", &shape)
			s.steady("show_480p", &skewed)
		})
	}
}

// inStep lets the first picture arrive at the time that its DTS says.
func inStep(frames []sentFrame) []sentFrame {
	for i := range frames {
		if f := &frames[i]; f.video() {
			return later(frames, cut.Duration(f.DTS)-f.at)
		}
	}
	return frames
}

// TestSoundIsHeldUp is what a lossy network does: for a lost packet of sound all that follow wait 0.8 s, then come at once.
func TestSoundIsHeldUp(t *testing.T) {
	hold := func(n int64) int64 { // nanoseconds; 150 frames are 3.2 s, 38 are 0.8 s
		if n%150 < 38 {
			return (38 - n%150) * 1024 * 1e9 / 48000
		}
		return 0
	}
	lost := func(f *sentFrame) bool { return f.id%150 == 0 && !f.video() || f.video() && !f.begins && f.id%97 == 13 }
	for _, codec := range []ingest.Codec{ingest.H264, ingest.H265} {
		shape := encoderShape{codec: codec, gop: 50, between: 1, audio: "aac", jitter: hold}
		t.Run(codec.String(), func(t *testing.T) {
			s := newStage(t, AppOptions{})
			s.play(on("cam", without(shape.frames(40*time.Second), lost)))
			s.finish()
			s.steady("cam", &shape)
			s.soundAsItComes("cam")
		})
		t.Run(codec.String()+" in a ladder", func(t *testing.T) {
			s := newStage(t, ladderOptions())
			s.play(rungsApart(without(shape.frames(20*time.Second), lost), 5*time.Millisecond))
			s.finish()
			(&ladder{rig: s.rig}).aligned()
			for _, name := range ladderRungs {
				s.steady(name, &shape)
			}
		})
	}
}

// TestSlowPictures holds that pictures which are far apart are not silent between them.
func TestSlowPictures(t *testing.T) {
	for _, shape := range []encoderShape{
		{name: "1 in 5 s", codec: ingest.H264, num: 1, den: 5, gop: 1, audio: "aac"},
		{name: "1 in 3 s", codec: ingest.H265, num: 1, den: 3, gop: 1, audio: "aac"},
		{name: "1 in 1.5 s", codec: ingest.H264, num: 2, den: 3, gop: 2, audio: "mp3"},
		{name: "1 in 1 s, late by 2 s", codec: ingest.H265, num: 1, den: 1, gop: 2, late: [2]time.Duration{2 * time.Second, 0}, audio: "aac"},
	} {
		t.Run(shape.name, func(t *testing.T) {
			s := newStage(t, AppOptions{})
			s.play(on("cam", shape.frames(time.Minute)))
			s.finish()
			s.steady("cam", &shape)
		})
	}
}

// TestPictureStandsStill holds that sound goes on in segments of its own where no picture arrives, and that time is then cut
// as long as the target duration allows.
func TestPictureStandsStill(t *testing.T) {
	for _, codec := range []ingest.Codec{ingest.H264, ingest.H265} {
		t.Run(codec.String(), func(t *testing.T) {
			shape := encoderShape{codec: codec, gop: 50, audio: "aac"}
			s := newStage(t, AppOptions{})
			s.play(on("cam", without(shape.frames(40*time.Second), func(f *sentFrame) bool { return f.video() && f.at > 11*time.Second })))
			last := time.Time{}
			for _, row := range s.tape("cam").rows {
				if wait := row.listed.Sub(last); !last.IsZero() && wait > 6*time.Second {
					t.Errorf("%d was listed %v after the one before", row.Sequence, wait)
				}
				last = row.listed
			}
			if wait := s.now.Sub(last); wait > 6*time.Second {
				t.Errorf("nothing was listed for %v", wait)
			}
			s.finish()
			s.whole("cam", nil)
		})
	}
}

// TestTrackIsAway holds that one track which is away for 6 s or more comes back with a discontinuity, and that one which is
// away for less than 3 s comes back without; the other goes on, and nothing that arrives is lost.
func TestTrackIsAway(t *testing.T) {
	for _, tc := range []struct {
		away   time.Duration
		breaks int
	}{{time.Second, 0}, {2900 * time.Millisecond, 0}, {6 * time.Second, 1}, {8400 * time.Millisecond, 1}, {20 * time.Second, 1}} {
		for kind, what := range []string{"picture", "sound"} {
			for _, shape := range []encoderShape{
				{name: "H.264", codec: ingest.H264, gop: 50, audio: "aac"},
				{name: "H.265 with MP3", codec: ingest.H265, num: 30, den: 1, gop: 60, between: 1, audio: "mp3"},
			} {
				gone := func(f *sentFrame) bool {
					return f.kind() == kind && f.at >= 10*time.Second && f.at < 10*time.Second+tc.away
				}
				frames := without(shape.frames(tc.away+20*time.Second), gone)
				name := fmt.Sprintf("%s/%s is away for %v", shape.name, what, tc.away)
				t.Run(name, func(t *testing.T) {
					s := newStage(t, AppOptions{})
					s.play(on("cam", frames))
					s.finish()
					s.returned("cam", kind, start.Add(10*time.Second+tc.away), tc.breaks)
				})
				if tc.away == time.Second || tc.away > 7*time.Second {
					continue
				}
				t.Run(name+" in all of a ladder", func(t *testing.T) {
					s := newStage(t, ladderOptions())
					s.play(rungsApart(frames, 5*time.Millisecond))
					l := &ladder{rig: s.rig}
					l.aligned()
					if n := len(l.master().Variants); n != len(ladderRungs) {
						t.Errorf("%d variants", n)
					}
					s.finish()
					for _, name := range ladderRungs {
						s.returned(name, kind, start.Add(10*time.Second+tc.away), tc.breaks)
					}
				})
			}
		}
	}
}

// returned holds that a track which came back at an instant did so with so many discontinuities, in the same recording. Of
// pictures, what comes before the first keyframe may be missing where they were away for long.
func (s *stage) returned(stream string, kind int, at time.Time, breaks int) {
	s.t.Helper()
	keyed := kind == astAudio || breaks == 0
	s.whole(stream, func(f *sentFrame) bool {
		back := f.video() && !start.Add(f.at).Before(at)
		keyed = keyed || back && f.begins
		return back && !keyed
	})
	t := s.tape(stream)
	if n := len(t.breaks()); n != breaks || len(t.recordings) != 1 {
		s.t.Errorf("%s: %d discontinuities, want %d; %d recordings", stream, n, breaks, len(t.recordings))
	}
	for _, row := range t.breaks() {
		if off := row.Start.Sub(at); off < -300*time.Millisecond || off > 4200*time.Millisecond {
			s.t.Errorf("%s: the discontinuity stands %v after the return", stream, off)
		}
	}
}
