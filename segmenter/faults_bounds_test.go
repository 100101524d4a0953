package segmenter

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// maxListed is the most segments that a live playlist may list, where its window does not ask for more.
const maxListed = 512

// bounded holds how much a stream lists and keeps. What left the playlist is kept for as long again, since players may still
// ask for it.
func bounded(t *testing.T, s *Snapshot) {
	t.Helper()
	if n := len(s.Rows) - s.First; n > maxListed {
		t.Fatalf("%s lists %d segments", s.Key, n)
	}
	held := 0
	for _, seg := range s.Segments {
		held += count(seg != nil)
	}
	if held > 2*maxListed+16 {
		t.Fatalf("%s keeps %d segments in memory", s.Key, held)
	}
}

func TestWindowIsBoundedInSegments(t *testing.T) {
	t.Run("a connection that does not hold", func(t *testing.T) {
		r := newRig(t, AppOptions{Window: 30 * time.Minute})
		n, next := int64(0), int64(0)
		for range 560 {
			e := r.mustPublish("cam")
			e.n, e.audioNext, e.keyframe = n, next, func(int64) bool { return true }
			e.run(80 * time.Millisecond)
			n, next = e.n, e.audioNext
			e.s.Close(errReset)
		}
		bounded(t, r.snapshot())
	})
}

// TestTimeLineThatBreaksIsEnded holds that who breaks the time line more than 30 times in a minute is sent away in words, and
// who does it less often is not; nobody else notices.
func TestTimeLineThatBreaksIsEnded(t *testing.T) {
	picture := encoderShape{codec: ingest.H264, gop: 25, audio: "aac", base: 4000 * Clock}
	modern := encoderShape{codec: ingest.H265, gop: 25, between: 1, base: 4000 * Clock}
	sound := encoderShape{audio: "mp3", base: 4000 * Clock}
	// each is a fault that happens once per interval
	for _, tc := range []struct {
		name   string
		faulty func(interval time.Duration) []sentFrame
	}{
		{"jumps ahead", func(d time.Duration) []sentFrame { return jumps(picture.frames(70*time.Second), d, 5*Clock, 5*Clock) }},
		{"jumps back", func(d time.Duration) []sentFrame { return jumps(picture.frames(70*time.Second), d, -5*Clock, -5*Clock) }},
		{"jumps to and fro", func(d time.Duration) []sentFrame {
			return jumps(modern.frames(70*time.Second), d, 100*Clock, -100*Clock)
		}},
		{"sound jumps", func(d time.Duration) []sentFrame { return jumps(sound.frames(70*time.Second), d, 7*Clock, -3*Clock) }},
		{"parameter sets change", func(d time.Duration) []sentFrame {
			return alternate(picture.frames(70*time.Second), d, astVideo, videoTrack(ingest.H264), otherVideo(videoTrack(ingest.H264)))
		}},
		{"the sound changes", func(d time.Duration) []sentFrame {
			return alternate(picture.frames(70*time.Second), d, astAudio, audioTrack("aac"), audioTrack("mono"))
		}},
	} {
		t.Run(tc.name+" every second", func(t *testing.T) {
			s := newStage(t, AppOptions{})
			other := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
			s.play(together(on("cam", tc.faulty(time.Second)), on("other", other.frames(30*time.Second))))
			s.sentAway("cam", 30900*time.Millisecond, 75*time.Second)
			if s.ended["other"] != nil {
				t.Errorf("another publisher was ended: %v", s.ended["other"])
			}
			s.steady2("other", &other)
			bounded(t, s.snap("cam"))
			s.end()
		})
		t.Run(tc.name+" every 3 s", func(t *testing.T) {
			s := newStage(t, AppOptions{})
			s.play(on("cam", tc.faulty(3*time.Second)))
			if err := s.ended["cam"]; err != nil {
				t.Errorf("ended: %v", err)
			}
			if n := len(s.tape("cam").breaks()); n < 20 {
				t.Errorf("%d discontinuities", n)
			}
			s.end()
		})
	}
	t.Run("a ladder jumps every second", func(t *testing.T) {
		s := newStage(t, ladderOptions())
		s.play(rungs(jumps(picture.frames(70*time.Second), time.Second, 5*Clock, 5*Clock)))
		for _, name := range ladderRungs {
			s.sentAway(name, 30900*time.Millisecond, 75*time.Second)
		}
		s.end()
	})
}

// steady2 is steady, of a stream that is not alone on its stage.
func (s *stage) steady2(stream string, shape *encoderShape) {
	s.t.Helper()
	s.disconnect(stream, ingest.ErrUnpublished)
	s.laws(stream, shape.longest())
	s.whole(stream, nil)
	if n := len(s.tape(stream).breaks()); n != 0 {
		s.t.Errorf("%s: %d discontinuities", stream, n)
	}
}

// sentAway holds that a publisher was ended in words between two times after the beginning.
func (s *stage) sentAway(stream string, from, to time.Duration) {
	s.t.Helper()
	var refusal *ingest.Refusal
	if err := s.ended[stream]; !errors.As(err, &refusal) || refusal.Kind != ingest.Unsupported || len(refusal.Reason) < 20 {
		s.t.Errorf("%s: ended with %v, want a refusal in words", stream, err)
		return
	}
	last := s.sent[stream][len(s.sent[stream])-1].at
	if last < from || last > to {
		s.t.Errorf("%s: ended after %v", stream, last)
	}
}

// jumps lets the time stamps jump once per interval, by one of two distances in turn.
func jumps(frames []sentFrame, interval time.Duration, odd, even int64) []sentFrame {
	for i, at := 0, interval; at < frames[len(frames)-1].at; i, at = i+1, at+interval {
		frames = jump(frames, at, []int64{odd, even}[i%2])
	}
	return frames
}

// alternate gives the frames of a kind one of two tracks, in turn for an interval each; pictures change at keyframes.
func alternate(frames []sentFrame, interval time.Duration, kind int, tracks ...*ingest.Track) []sentFrame {
	n := -1
	for i := range frames {
		if f := &frames[i]; f.kind() == kind {
			if now := int(f.at / interval); f.begins && now != n {
				n = now
			}
			f.Track = tracks[n%len(tracks)]
		}
	}
	return frames
}

// heavy is a shape whose keyframes are much larger than its other pictures.
func heavy(codec ingest.Codec) encoderShape {
	return encoderShape{codec: codec, gop: 50, audio: "aac", size: func(n int64) int {
		if n%50 < 2 {
			return 30000
		}
		return 1000
	}}
}

// oneFrame are shows in which a segment holds a single picture or sound frame, because something breaks off behind it.
func oneFrame() map[string][]sentFrame {
	const d = 24 * time.Second
	all := map[string][]sentFrame{}
	for _, codec := range []ingest.Codec{ingest.H264, ingest.H265} {
		shape := heavy(codec)
		shape.isKey = func(n int64) bool { return n == 1 || n%50 == 0 }
		frames := shape.frames(d)
		next := otherVideo(videoTrack(codec))
		for i := range frames {
			if f := &frames[i]; f.video() && f.id > 0 {
				f.Track = next
			}
		}
		all[fmt.Sprintf("%v: parameter sets change behind the first picture", codec)] = frames

		shape.isKey = nil
		all[fmt.Sprintf("%v: time jumps behind the first picture", codec)] = jump(shape.frames(d), 30*time.Millisecond, 100*Clock)
		all[fmt.Sprintf("%v: time jumps behind a keyframe", codec)] = jump(shape.frames(d), 10030*time.Millisecond, -100*Clock)
	}
	shape := heavy(ingest.H264)
	shape.tracks[0] = videoTrack(ingest.H264)
	shape.tracks[0].FrameRate = 0
	all["h264 of unknown rate: time jumps behind the first picture"] = jump(shape.frames(d), 30*time.Millisecond, 100*Clock)
	all["the sound changes behind the first picture"] = alternate(shape.frames(d), 30*time.Millisecond, astAudio,
		append([]*ingest.Track{audioTrack("aac")}, many(audioTrack("mono"), 1000)...)...)
	sound := encoderShape{audio: "aac"}
	all["sound alone changes behind the first frame"] = alternate(sound.frames(d), 15*time.Millisecond, astAudio,
		append([]*ingest.Track{audioTrack("aac")}, many(audioTrack("mono"), 2000)...)...)
	return all
}

func many(t *ingest.Track, n int) (list []*ingest.Track) {
	for range n {
		list = append(list, t)
	}
	return list
}

// TestSegmentOfOneFrame holds that a segment of one picture lasts as long as a picture does, and that no segment of less
// than a second says what bandwidth a stream needs.
func TestSegmentOfOneFrame(t *testing.T) {
	for name, frames := range oneFrame() {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, AppOptions{})
			s.every = func() { s.bandwidth("cam") }
			s.play(on("cam", frames))
			s.finish()
			s.noTick("cam")
			s.finalBandwidth("cam")
		})
	}
	t.Run("the connection breaks behind the first picture", func(t *testing.T) {
		shape := heavy(ingest.H264)
		frames := on("cam", shape.frames(20*time.Second))
		s := newStage(t, AppOptions{})
		s.every = func() { s.bandwidth("cam") }
		s.play(frames[:3])
		s.disconnect("cam", errReset)
		s.play(later(shape.stream("cam", 20*time.Second), 3*time.Second))
		s.disconnect("cam", errReset)
		s.noTick("cam")
		s.finalBandwidth("cam")
	})
	t.Run("a show of one picture", func(t *testing.T) {
		for _, rate := range []float64{25, 0, 1} {
			shape := heavy(ingest.H264)
			shape.audio, shape.tracks[0] = "", videoTrack(ingest.H264)
			shape.tracks[0].FrameRate = rate
			s := newStage(t, AppOptions{})
			s.play(on("cam", shape.frames(20*time.Millisecond)))
			s.finish()
			s.noTick("cam")
		}
	})
	t.Run("the last segment is one picture", func(t *testing.T) {
		shape := heavy(ingest.H265)
		s := newStage(t, AppOptions{})
		s.every = func() { s.bandwidth("cam") }
		s.play(on("cam", shape.frames(10020*time.Millisecond)))
		s.finish()
		s.noTick("cam")
		s.finalBandwidth("cam")
	})
	t.Run("in a ladder", func(t *testing.T) {
		shape := heavy(ingest.H264)
		shape.isKey = func(n int64) bool { return n == 1 || n%50 == 0 }
		frames := shape.frames(24 * time.Second)
		next := otherVideo(videoTrack(ingest.H264))
		for i := range frames {
			if f := &frames[i]; f.video() && f.id > 0 {
				f.Track = next
			}
		}
		s := newStage(t, ladderOptions())
		s.every = func() { s.bandwidth(ladderRungs[1]) }
		s.play(rungs(frames))
		(&ladder{rig: s.rig}).aligned()
		s.finish()
		for _, name := range ladderRungs {
			s.noTick(name)
			s.finalBandwidth(name)
		}
	})
}

// stream is frames, given to a stream.
func (s encoderShape) stream(name string, d time.Duration) []sentFrame { return on(name, s.frames(d)) }

// noTick holds that no segment is shorter than what is in it.
func (s *stage) noTick(stream string) {
	s.t.Helper()
	for _, row := range s.tape(stream).rows {
		least := int64(3599)
		if len(row.segment.units[astVideo]) == 0 {
			least = 1024*Clock/48000 - 1
		}
		if row.Duration < least {
			s.t.Errorf("%s: %d lasts %v", stream, row.Sequence, cut.Duration(row.Duration))
		}
	}
}

// bandwidth holds what a multivariant playlist says at any time, of a heavy shape: a second of it never has a megabit.
func (s *stage) bandwidth(stream string) {
	s.t.Helper()
	tl := s.reg.Timeline("live", stream)
	if tl == nil || tl.Snapshot().Entry == nil {
		return
	}
	if b := tl.Snapshot().Variant.Bandwidth; b <= 0 || b > 1_000_000 {
		s.once("%s: BANDWIDTH %d", stream, b)
	}
}

// finalBandwidth holds that BANDWIDTH is the peak of the segments of a second and more.
func (s *stage) finalBandwidth(stream string) {
	s.t.Helper()
	peak := 0
	for _, row := range s.tape(stream).rows {
		if row.Duration >= Clock {
			peak = max(peak, int(row.Size*8*Clock/row.Duration))
		}
	}
	if b := s.snap(stream).Variant.Bandwidth; b < peak*10/11 || b > peak*5/4 {
		s.t.Errorf("%s: BANDWIDTH %d at the end, the peak is %d", stream, b, peak)
	}
}
