package segmenter

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// splice goes over from one encoder's sound to another's at a time of arrival.
func splice(from, to encoderShape, d, at time.Duration) []sentFrame {
	frames := together(
		without(from.frames(d), func(f *sentFrame) bool { return !f.video() && f.at >= at }),
		without(to.frames(d), func(f *sentFrame) bool { return f.video() || f.at < at }))
	return renumber(frames)
}

// renumber numbers the frames of one stream anew, in their order.
func renumber(frames []sentFrame) []sentFrame {
	var n [2]int64
	for i := range frames {
		f := &frames[i]
		f.id = n[f.kind()]
		n[f.kind()]++
		f.Units = slices.Clone(f.Units)
		for k := range f.Units {
			f.Units[k] = bytes.Clone(f.Units[k])
		}
		f.number()
	}
	return frames
}

// soundChanged holds that the sound changed at a time of arrival, at once, with one discontinuity and without loss.
func (s *stage) soundChanged(stream string, at time.Duration) {
	s.t.Helper()
	s.whole(stream, nil)
	t := s.tape(stream)
	breaks := t.breaks()
	if len(breaks) != 1 || t.gaps() != 0 || len(t.recordings) != 1 {
		s.t.Errorf("%s: %d discontinuities, %d gaps, %d recordings", stream, len(breaks), t.gaps(), len(t.recordings))
	}
	for _, row := range breaks {
		if off := row.Start.Sub(start.Add(at)); off < -100*time.Millisecond || off > 150*time.Millisecond {
			s.t.Errorf("%s: the discontinuity stands %v after the change", stream, off)
		}
	}
	for i := range t.rows {
		if n := len(t.rows[i].segment.sounds); n > 1 {
			s.t.Errorf("%s: %d holds sound of %d configurations: %v", stream, t.rows[i].Sequence, n, t.rows[i].segment.sounds)
		}
	}
}

// TestSoundChanges holds that another configuration of the sound counts at once: one discontinuity, no frame lost, and the
// picture goes on with its next frame, keyframe or not.
func TestSoundChanges(t *testing.T) {
	for _, tc := range []struct{ from, to, codecs string }{
		{"aac", "aac44", "mp4a.40.2"}, {"aac", "mono", "mp4a.40.2"}, {"aac", "mp3", "mp4a.40.34"}, {"mp3", "aac", "mp4a.40.2"},
		{"he", "aac44", "mp4a.40.2"}, {"aac", "he", "mp4a.40.5"}, {"mp3", "mp3low", "mp4a.40.34"},
	} {
		for _, at := range []time.Duration{8 * time.Second, 8480 * time.Millisecond, 9900 * time.Millisecond} {
			for _, codec := range []ingest.Codec{ingest.H264, ingest.H265, 0} {
				from := encoderShape{codec: codec, gop: 50, audio: tc.from}
				if codec == ingest.H265 {
					from.between = 1
				}
				to := from
				to.audio = tc.to
				frames := splice(from, to, 16*time.Second, at)
				name := fmt.Sprintf("%s to %s at %v/%v", tc.from, tc.to, at, codec)
				t.Run(name, func(t *testing.T) {
					s := newStage(t, AppOptions{})
					s.play(on("cam", frames))
					if got := s.snap("cam").Variant.Codecs; !bytes.HasSuffix([]byte(got), []byte(tc.codecs)) {
						t.Errorf("CODECS %q", got)
					}
					s.finish()
					s.soundChanged("cam", at)
				})
				if codec != ingest.H264 || tc.from != "aac" || tc.to == "he" {
					continue
				}
				t.Run(name+" in a ladder", func(t *testing.T) {
					s := newStage(t, ladderOptions())
					s.play(rungs(frames))
					l := &ladder{rig: s.rig}
					l.aligned()
					if n := len(l.master().Variants); n != len(ladderRungs) {
						t.Errorf("%d variants", n)
					}
					s.finish()
					for _, name := range ladderRungs {
						s.soundChanged(name, at)
					}
				})
			}
		}
	}
}

// TestSoundChangesAndBack holds that a configuration which is taken back in the same instant costs no frame of the one that
// stays: nothing at all happens, or two discontinuities do.
func TestSoundChangesAndBack(t *testing.T) {
	for _, other := range []string{"aac44", "mono", "mp3"} {
		for _, codec := range []ingest.Codec{ingest.H264, ingest.H265, 0} {
			for _, times := range []int{1, 3} {
				t.Run(fmt.Sprintf("%s/%v/%d times", other, codec, times), func(t *testing.T) {
					shape := encoderShape{codec: codec, gop: 50, audio: "aac"}
					frames := on("cam", shape.frames(24*time.Second))
					odd := audioTrack(other)
					for n := range times {
						at := 9*time.Second + time.Duration(n)*2300*time.Millisecond
						i := slices.IndexFunc(frames, func(f sentFrame) bool { return !f.video() && f.at > at })
						frames[i].Track, frames[i].Units = odd, [][]byte{audioBytes(odd)}
						frames[i].number()
					}
					s := newStage(t, AppOptions{})
					s.play(frames)
					s.finish()
					s.whole("cam", func(f *sentFrame) bool { return f.Track == odd })
					if n := len(s.tape("cam").breaks()); n != 0 && n != 2*times {
						t.Errorf("%d discontinuities", n)
					}
				})
			}
		}
	}
}

// TestSameConfigurationAnew holds that a track which says what the one before said changes nothing.
func TestSameConfigurationAnew(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	frames := on("cam", shape.frames(24*time.Second))
	for i := range frames {
		if f := &frames[i]; f.video() {
			f.Track = videoTrack(ingest.H264)
		} else {
			f.Track = audioTrack("aac")
		}
	}
	s := newStage(t, AppOptions{})
	s.play(frames)
	s.finish()
	s.steady("cam", &shape)
}

// TestTrackComesLate holds how long a recording waits for its second track: for 6 s where the encoder announced it, else
// for one.
func TestTrackComesLate(t *testing.T) {
	for kind, what := range []string{"picture", "sound"} {
		for _, tc := range []struct {
			by        time.Duration
			announced bool
			together  bool // the recording has both from its beginning
		}{
			{800 * time.Millisecond, false, true}, {5 * time.Second, false, false}, {9 * time.Second, false, false},
			{800 * time.Millisecond, true, true}, {3 * time.Second, true, true}, {5 * time.Second, true, true}, {9 * time.Second, true, false},
		} {
			for _, shape := range []encoderShape{
				{name: "H.264", codec: ingest.H264, gop: 50, audio: "aac"},
				{name: "H.265 with MP3", codec: ingest.H265, gop: 50, between: 1, audio: "mp3"},
			} {
				if tc.announced {
					shape = bothAnnounced(shape)
				}
				if kind == astVideo {
					shape.isKey = func(n int64) bool { return (shape.shown(n)-codec.Ticks(tc.by))%(2*Clock) == 0 }
				}
				frames := renumber(without(shape.frames(24*time.Second), func(f *sentFrame) bool { return f.kind() == kind && f.at < tc.by }))
				t.Run(fmt.Sprintf("%s/%s late by %v, announced %v", shape.name, what, tc.by, tc.announced), func(t *testing.T) {
					s := newStage(t, AppOptions{})
					s.play(on("cam", frames))
					s.finish()
					if tc.together {
						s.fromTheBeginning("cam")
					} else {
						s.recordedAnew("cam", kind, tc.by)
					}
				})
			}
		}
	}
}

// fromTheBeginning holds that a stream has one recording, in which both tracks are. Sound that is heard before the first
// picture has no place in it: a segment begins with a picture.
func (s *stage) fromTheBeginning(stream string) {
	s.t.Helper()
	first := s.sent[stream][slices.IndexFunc(s.sent[stream], func(f sentFrame) bool { return f.video() })]
	s.whole(stream, func(f *sentFrame) bool { return !f.video() && f.PTS < first.DTS })
	t := s.tape(stream)
	if n := len(t.breaks()); n != 0 || len(t.recordings) != 1 {
		s.t.Errorf("%s: %d discontinuities, %d recordings", stream, n, len(t.recordings))
	}
	for i := range t.rows {
		if c := t.rows[i].segment.codecs; c[astVideo] == 0 || c[astAudio] == 0 {
			s.t.Errorf("%s: %d holds %v", stream, t.rows[i].Sequence, c)
		}
	}
}

// recordedAnew holds that a track which came too late began another recording: no player could have begun at the beginning of
// one that has a track only later. The old one is over, and no picture is lost between them.
func (s *stage) recordedAnew(stream string, kind int, at time.Duration) {
	s.t.Helper()
	i := slices.IndexFunc(s.sent[stream], func(f sentFrame) bool { return f.video() && f.begins && f.at >= at })
	// Sound that comes before a keyframe has no place in either recording.
	s.whole(stream, func(f *sentFrame) bool { return kind == astAudio && !f.video() && f.at < s.sent[stream][i].at })
	t := s.tape(stream)
	if n := len(t.breaks()); n != 0 || len(t.recordings) != 2 {
		s.t.Errorf("%s: %d discontinuities, %d recordings, want none and 2", stream, n, len(t.recordings))
		return
	}
	old := s.reg.Recording("live", stream, t.recordings[0])
	if old == nil {
		s.t.Fatalf("%s: the old recording is not known any more", stream)
	}
	if m, err := m3u8.ParseMedia(old.Snapshot().Live.Body); err != nil || !m.EndList {
		s.t.Errorf("%s: the old recording is %v, ENDLIST %v, %v", stream, old.Snapshot().State, m.EndList, err)
	}
	for i := range t.rows {
		row := &t.rows[i]
		late := row.recording == t.recordings[1]
		if c := row.segment.codecs; (c[kind] != 0) != late || c[1-kind] == 0 {
			s.t.Errorf("%s: %d of %s holds %v", stream, row.Sequence, row.recording, c)
		}
		if late && (i == 0 || t.rows[i-1].recording != row.recording) {
			if off := row.Start.Sub(start.Add(at)); !row.Independent || off < -300*time.Millisecond || off > 2300*time.Millisecond {
				s.t.Errorf("%s: the new recording begins %v after the track came, independent: %v", stream, off, row.Independent)
			}
		}
	}
}

// TestTrackIsAnnouncedAndNeverComes holds that a recording begins after 6 s all the same, and with all that came.
func TestTrackIsAnnouncedAndNeverComes(t *testing.T) {
	for _, shape := range []encoderShape{
		{name: "H.264", codec: ingest.H264, gop: 50}, {name: "H.265", codec: ingest.H265, gop: 50, between: 1}, {name: "AAC", audio: "aac"}, {name: "MP3", audio: "mp3"},
	} {
		t.Run(shape.name, func(t *testing.T) {
			shape := bothAnnounced(shape)
			s := newStage(t, AppOptions{})
			s.play(on("cam", shape.frames(24*time.Second)))
			first := s.tape("cam").rows[0]
			if wait := first.listed.Sub(start); wait > 8*time.Second {
				t.Errorf("the first segment is listed after %v", wait)
			}
			s.finish()
			s.steady("cam", &shape)
		})
	}
}

// TestTrackThatIsAlone holds that a recording does not wait where the encoder said that nothing else comes.
func TestTrackThatIsAlone(t *testing.T) {
	for _, shape := range []encoderShape{{name: "H.264", codec: ingest.H264, gop: 50}, {name: "AAC", audio: "aac"}} {
		t.Run(shape.name, func(t *testing.T) {
			shape = bothAnnounced(shape)
			for i := range shape.tracks {
				if track := shape.tracks[i]; track != nil {
					*track = *otherwise(track)
					track.Alone = true
				}
			}
			s := newStage(t, AppOptions{})
			s.play(on("cam", shape.frames(500*time.Millisecond)))
			if s.reg.Timeline("live", "cam") == nil {
				t.Error("no recording after half a second")
			}
		})
	}
}

// otherwise is a track as it is without any announcement.
func otherwise(t *ingest.Track) *ingest.Track {
	if t.Codec.IsVideo() {
		return videoTrack(t.Codec)
	}
	return audioTrack("aac")
}

// TestTrackGoesForGood holds that a track which stays away begins no recording, and that the publisher's return with a track
// that the recording never had does.
func TestTrackGoesForGood(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, gop: 50, audio: "aac"}
	for kind, what := range []string{"picture", "sound"} {
		t.Run(what+" goes", func(t *testing.T) {
			s := newStage(t, AppOptions{})
			s.play(on("cam", without(shape.frames(30*time.Second), func(f *sentFrame) bool { return f.kind() == kind && f.at > 10*time.Second })))
			if n := len(s.tape("cam").recordings); n != 1 {
				t.Errorf("%d recordings", n)
			}
		})
		t.Run(what+" comes with the next connection", func(t *testing.T) {
			s := newStage(t, AppOptions{})
			frames := on("cam", shape.frames(24*time.Second))
			s.play(without(frames, func(f *sentFrame) bool { return f.kind() == kind || f.at >= 10*time.Second }))
			s.disconnect("cam", errReset)
			s.play(without(later(frames, 2*time.Second), func(f *sentFrame) bool { return f.at < 12*time.Second }))
			s.finish()
			s.recordedAnew("cam", kind, 12*time.Second)
		})
	}
}
