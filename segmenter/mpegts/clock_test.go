package mpegts

import (
	"bytes"
	"testing"
)

// stage is a muxer of H.264 and AAC with one segment begun.
type stage struct {
	testing.TB
	*Muxer
	b *Buffer
	r source
}

func newStage(t testing.TB) stage {
	s := stage{t, newMuxer(t, Config{Video: H264, Audio: AAC, ASC: ascLC48}), new(Pool).Buffer(), newSource(1)}
	s.Begin(s.b)
	return s
}

func (s stage) picture(dts int64) {
	s.Video(s.b, VideoUnit{PTS: dts, DTS: dts, Units: [][]byte{s.r.nal(H264, 100, false)}})
}

func (s stage) sound(from, to int64) {
	for t := from; t < to; t += 1920 {
		s.Audio(s.b, t, s.r.bytes(100))
	}
}

func (s stage) pcrs() []int64 { return inspect(s.TB, bytesOf(s.b)).pcrs }

func TestPCRComesWithThePictures(t *testing.T) {
	for fps, want := range map[int64]int{60: 31, 50: 50, 30: 30, 25: 25, 15: 15, 10: 10} {
		s := newStage(t)
		s.Away(AudioTrack)
		for i := range fps {
			s.picture(i * 90000 / fps)
		}
		in := inspect(t, bytesOf(s.b))
		if len(in.pcrs) < want-1 || len(in.pcrs) > want || in.pcrOnly != 0 {
			t.Errorf("%d pictures a second: %d PCRs, %d of them alone; want %d and none", fps, len(in.pcrs), in.pcrOnly, want)
		}
		checkSpacing(t, in.pcrs)
	}
}

func TestPCRBetweenRarePictures(t *testing.T) {
	s := newStage(t)
	for i := range int64(5) {
		s.picture(i * 90000)
		s.sound(i*90000, (i+1)*90000-1920)
	}
	in := inspect(t, bytesOf(s.b))
	checkSpacing(t, in.pcrs)
	if in.pcrOnly > 60 {
		t.Errorf("%d packets for the PCR alone in 5 s", in.pcrOnly)
	}
}

// TestPCRWhenVideoStalls: audio takes over, and when video is back with time stamps of now the PCR goes on.
func TestPCRWhenVideoStalls(t *testing.T) {
	for name, say := range map[string]func(stage){"said": func(s stage) { s.Away(VideoTrack) }, "waited for": func(stage) {}} {
		t.Run(name, func(t *testing.T) { stallOfVideo(t, say) })
	}
}

func stallOfVideo(t *testing.T, say func(stage)) {
	s := newStage(t)
	s.picture(0)
	say(s)
	s.sound(0, 5*90000)
	s.Begin(s.b) // a segment without a picture has its PCR too
	s.sound(5*90000, 8*90000)
	s.FlushAudio(s.b)
	if last := s.pcrs(); last[len(last)-1] < 7*90000+Offset-pcrDelay {
		t.Errorf("the PCR stopped at %d", last[len(last)-1])
	}
	s.picture(8 * 90000)
	s.sound(8*90000, 9*90000)
	s.picture(9 * 90000)
	checkSpacing(t, s.pcrs())
	if s.Stats().PCRReset.Load() != 0 {
		t.Error("the PCR was reset")
	}
}

// TestPCRWithoutVideoFromTheStart: a video track was announced and does not come.
func TestPCRWithoutVideoFromTheStart(t *testing.T) {
	s := newStage(t)
	s.Away(VideoTrack)
	s.sound(0, 4*90000)
	if n := len(s.pcrs()); n < 15 {
		t.Errorf("%d PCRs in 4 s", n)
	}
	checkSpacing(t, s.pcrs())

	s = newStage(t) // nobody says so
	s.sound(0, pcrPatience)
	if n := len(s.pcrs()); n != 0 {
		t.Errorf("%d PCRs while a first picture may still come", n)
	}
	s.sound(pcrPatience, pcrPatience+2*90000)
	if n := len(s.pcrs()); n < 15 {
		t.Errorf("%d PCRs in the 2 s afterwards", n)
	}
	checkSpacing(t, s.pcrs())
}

// TestPCRWithoutAudioFromTheStart is the same for audio: the PCR waits where the time line began, and then follows video.
func TestPCRWithoutAudioFromTheStart(t *testing.T) {
	s := newStage(t)
	for dts := int64(0); dts <= pcrPatience; dts += 3600 {
		s.picture(dts)
	}
	if all := s.pcrs(); all[len(all)-1] > Offset-pcrLead {
		t.Errorf("the PCR went on to %d while sound may still come", all[len(all)-1]-Offset)
	}
	s.picture(pcrPatience + 3600)
	all := s.pcrs()
	if want := pcrPatience + 3600 + Offset - pcrDelay; all[len(all)-1] != int64(want) {
		t.Errorf("then it is at %d, want %d", all[len(all)-1], want)
	}
	checkSpacing(t, all)
	s.Audio(s.b, 90000, s.r.bytes(100)) // later than was waited for
	s.FlushAudio(s.b)
	s.picture(pcrPatience + 7200)
	if n := s.Stats().PCRReset.Load(); n != 1 || s.Stats().AudioLate.Load() != 1 {
		t.Errorf("%d resets, %d late packets", n, s.Stats().AudioLate.Load())
	}
	s.pcrs() // none past what follows it
}

// TestAwayKeepsTheDistance: a track that was sent two seconds late and then not at all is taken to be where it would be by
// now. It comes back there, after longer as well, and nothing has to jump.
func TestAwayKeepsTheDistance(t *testing.T) {
	const late = 2 * 90000
	for _, silence := range []int64{1 * 90000, 3 * 90000, 5 * 90000} {
		for _, repeat := range []bool{false, true} {
			s := newStage(t)
			at := int64(0)
			both := func(until int64, sound bool) {
				for ; at < until; at += 3840 {
					s.picture(at)
					if sound && at >= late {
						s.sound(at-late, at-late+3840)
					}
				}
			}
			both(4*90000, true)
			both(at+90000/2, false)
			s.Away(AudioTrack)
			for end := at + silence; at < end; {
				both(at+90000, false)
				if repeat {
					s.Away(AudioTrack)
				}
			}
			s.FlushAudio(s.b)
			if all := s.pcrs(); all[len(all)-1]-Offset < at-late-90000 {
				t.Errorf("silent for %d: the PCR stopped at %d", silence, all[len(all)-1]-Offset)
			}
			both(at+4*90000, true)
			checkSpacing(t, s.pcrs())
			if n := s.Stats().PCRReset.Load(); n != 0 {
				t.Errorf("silent for %d: %d resets", silence, n)
			}
		}
	}
}

// TestAwayForLong: who was waited for long enough is not counted any more, away or not.
func TestAwayForLong(t *testing.T) {
	s := newStage(t)
	s.picture(0)
	s.sound(0, 9600)
	s.Away(AudioTrack)
	for dts := int64(3600); dts < 30*90000; dts += 3600 {
		s.picture(dts)
	}
	all := s.pcrs()
	if want := 30*90000 - 3600 + Offset - pcrDelay; all[len(all)-1] != int64(want) {
		t.Errorf("after half a minute the PCR is at %d, want %d", all[len(all)-1], want)
	}
	checkSpacing(t, all)
}

// TestPCRInASegmentWithoutAPicture: each segment has one, also while the clock stands still.
func TestPCRInASegmentWithoutAPicture(t *testing.T) {
	s := newStage(t)
	s.picture(0)
	s.picture(3600)
	segments := [][]byte{bytesOf(s.b)}
	for i := range int64(4) {
		s.b = new(Pool).Buffer()
		s.Begin(s.b)
		s.sound(i*90000, (i+1)*90000)
		s.FlushAudio(s.b)
		segments = append(segments, bytesOf(s.b))
	}
	for i, b := range segments {
		if len(inspect(t, b).pcrs) == 0 {
			t.Errorf("segment %d has no PCR", i)
		}
	}
	checkSpacing(t, inspect(t, bytes.Join(segments, nil)).pcrs)
}

// TestPCRAfterVideoFellBehind: after a stall, video comes with what it had queued. Its own time wins.
func TestPCRAfterVideoFellBehind(t *testing.T) {
	s := newStage(t)
	s.picture(0)
	s.Away(VideoTrack)
	s.sound(0, 5*90000)
	s.picture(3600)
	s.picture(7200)
	if n := s.Stats().PCRReset.Load(); n != 1 {
		t.Errorf("%d resets, want 1", n)
	}
	if all := s.pcrs(); all[len(all)-1] != 7200+Offset-pcrDelay { // inspect has found none past its DTS
		t.Errorf("the PCR went on at %d", all[len(all)-1])
	}
}

// TestPCRAheadByAudio: audio may carry the clock up to the newest picture, and the next follows one tick later.
func TestPCRAheadByAudio(t *testing.T) {
	s := newStage(t)
	s.picture(0)
	s.sound(0, 90000)
	s.picture(1)
	s.picture(2)
	s.Begin(s.b)
	s.picture(3)
	all := s.pcrs()
	checkSpacing(t, all)
	if last, before := all[len(all)-1], all[len(all)-2]; last != before+1 || before < Offset-pcrAudio {
		t.Errorf("PCRs end with %d and %d; want one near picture 0, and the new segment's one tick later", before-Offset, last-Offset)
	}
}

func TestDiscontinuityFillsNothing(t *testing.T) {
	for name, breakTime := range map[string]func(s stage) int64{
		"said":           func(s stage) int64 { s.Discontinuity(); return 5 * 90000 },
		"said, backward": func(s stage) int64 { s.Discontinuity(); return -90000 },
		"leap":           func(stage) int64 { return pcrLeap + 3600 + 1 },
		"leap of years":  func(stage) int64 { return 1 << 50 },
		"overflow":       func(stage) int64 { return -1 << 63 },
	} {
		s := newStage(t)
		s.picture(0)
		s.picture(3600)
		size := s.b.Len()
		s.picture(breakTime(s))
		if n := (s.b.Len() - size) / PacketSize; n != 1 {
			t.Errorf("%s: %d packets for a small picture", name, n)
		}
	}
	s := newStage(t)
	s.picture(0)
	s.picture(pcrLeap)
	checkSpacing(t, s.pcrs())
}
