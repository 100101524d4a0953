package segmenter

import (
	"bytes"
	"errors"
	"testing"
	"time"
	"unsafe"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// fits holds round(EXTINF) <= TARGETDURATION for all rows.
func fits(t *testing.T, s *Snapshot) {
	t.Helper()
	for i := range s.Rows {
		if e := &s.Rows[i]; cut.RoundSeconds(e.Duration) > s.TargetDuration {
			t.Errorf("segment %d lasts %v, the target duration is %d", e.Sequence, cut.Duration(e.Duration), s.TargetDuration)
		}
	}
}

// ts is the bytes of a segment that is in memory.
func ts(t *testing.T, s *Snapshot, sequence uint64) []byte {
	t.Helper()
	seg := s.Segment(sequence)
	if seg == nil || !seg.Retain() {
		t.Fatalf("segment %d is not in memory", sequence)
	}
	defer seg.Release()
	return bytes.Join(seg.Slices(nil), nil)
}

// TestAudioThatCannotBeCarried holds that an AudioSpecificConfig without a form in ADTS costs the audio, and nothing else.
func TestAudioThatCannotBeCarried(t *testing.T) {
	for name, asc := range map[string][]byte{
		"frames of 960 samples": {0x11, 0x94},
		"rate spelt out":        {0x17, 0x80, 0x57, 0x22, 0x10}, // 44612 Hz, which no index names
		"Main of no channels":   {0x09, 0x80},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, AppOptions{})
			e := r.mustPublish("cam")
			e.audio = &ingest.Track{Codec: ingest.AAC, ASC: asc, SampleRate: 48000, Channels: 2}
			e.run(10 * time.Second)
			if got := r.snapshot().Variant.Codecs; got != "avc1.64001f" {
				t.Errorf("CODECS %q", got)
			}
			alone := r.mustPublish("radio")
			alone.video, alone.audio = nil, e.audio
			alone.fps = 25
			for range 500 {
				f := ingest.Frame{Track: e.audio, PTS: alone.n * 1920, DTS: alone.n * 1920, Key: true, Units: [][]byte{make([]byte, 100)}}
				alone.send(&f)
				alone.n++
			}
			r.reg.Expire(r.now)
			if r.reg.Timeline("live", "radio") != nil {
				t.Error("a recording without a track that can be carried")
			}
		})
	}
}

// TestTimeThatStandsStill holds that a segment which never ends does not take all memory: its publisher is sent away.
func TestTimeThatStandsStill(t *testing.T) {
	r := newRig(t, AppOptions{})
	s, err := r.publish("cam", "me")
	if err != nil {
		t.Fatal(err)
	}
	e := newEncoder(r, s)
	unit := append([]byte{0x65}, make([]byte, 8<<20)...)
	for i := 0; ; i++ {
		err := s.WriteFrame(&ingest.Frame{Track: e.video, Key: true, Units: [][]byte{unit}, Arrival: r.now})
		if err != nil {
			t.Logf("after %d frames: %v", i, err)
			break
		}
		if i*len(unit) > 2*maxSegment {
			t.Fatal("it goes on for ever")
		}
	}
	s.Close(errors.New("gone"))
	if n := r.reg.Stats().Publishers.Load(); n != 0 {
		t.Errorf("%d publishers", n)
	}
}

// TestAbsurdCompositionOffset holds that presentation times far from decoding times do not stop the cuts.
func TestAbsurdCompositionOffset(t *testing.T) {
	for name, delay := range map[string][2]int64{"ahead, then not": {8_000_000, 2}, "not, then ahead": {2, 8_000_000}, "seconds": {25 * 9, 0}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, AppOptions{})
			e := r.mustPublish("cam")
			e.delay = delay[0]
			e.run(20 * time.Second)
			e.delay = delay[1]
			e.run(40 * time.Second)
			s := r.snapshot()
			fits(t, s)
			if n := len(s.Rows); n < 12 {
				t.Errorf("%d segments in a minute", n)
			}
		})
	}
}

// TestForcedCutsFit holds the target duration where no keyframe comes for long, time stamps are in rounded milliseconds or
// the pictures come at no steady rate, and where a piece of an audio-only stream is missing.
func TestForcedCutsFit(t *testing.T) {
	for name, step := range map[string]func(n int64) int64{ // milliseconds of frame n
		"30 frames/s":    func(n int64) int64 { return n * 1000 / 30 },
		"59.94 frames/s": func(n int64) int64 { return n * 1001 / 60 },
		"uneven":         func(n int64) int64 { return n/4*400 + n%4*30 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, AppOptions{})
			e := r.mustPublish("cam")
			e.audio = nil
			for n := range int64(9000) {
				ms := step(n)
				unit := []byte{0x41, 1, 2, 3}
				key := n == 0 || ms >= 2000 && step(n-1) < 2000 || ms >= 4000 && step(n-1) < 4000
				if key {
					unit[0] = 0x65
				}
				r.now = start.Add(time.Duration(ms) * time.Millisecond)
				e.send(&ingest.Frame{Track: e.video, DTS: ms * 90, PTS: ms * 90, Key: key, Units: [][]byte{unit}})
				r.reg.Expire(r.now)
			}
			s := r.snapshot()
			if s.TargetDuration != 4 || len(s.Rows) < 20 {
				t.Errorf("target duration %d, %d segments", s.TargetDuration, len(s.Rows))
			}
			fits(t, s)
		})
	}
	t.Run("audio-only with a hole", func(t *testing.T) {
		r := newRig(t, AppOptions{})
		e := r.mustPublish("cam")
		e.video = nil
		for n := range int64(3000) {
			if n%190 > 180-80 && n%190 < 180 {
				continue
			}
			pts := n * 1920
			r.now = start.Add(cut.Duration(pts))
			e.send(&ingest.Frame{Track: e.audio, DTS: pts, PTS: pts, Key: true, Units: [][]byte{make([]byte, 100)}})
			r.reg.Expire(r.now)
		}
		fits(t, r.snapshot())
	})
}

// TestGradualRefresh holds that who joins a stream without IDRs gets the parameter sets that the encoder sent once.
func TestGradualRefresh(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	e.keyframe = func(n int64) bool { return n == 0 }
	e.run(40 * time.Second)
	s := r.snapshot()
	for _, entry := range s.Rows {
		b := ts(t, s, entry.Sequence)
		if !bytes.Contains(b[:4*188], testSPS[:8]) {
			t.Errorf("segment %d begins without an SPS", entry.Sequence)
		}
	}
}

// stepped is t on a machine whose wall clock was set by d, in whole seconds, while time went on as ever.
func stepped(t time.Time, d time.Duration) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(int64(d/time.Second) << 30)
	return t
}

// TestWallClockIsSet holds that PROGRAM-DATE-TIME never goes back when somebody sets the clock back, and that a publisher
// that fell silent can be replaced by itself then, too.
func TestWallClockIsSet(t *testing.T) {
	base := time.Now()
	if s := stepped(base, -time.Hour); s.Unix() != base.Unix()-3600 || s.Sub(base) != 0 {
		t.Fatal("time.Time is made otherwise now: stepped has to follow")
	}
	r := newRig(t, AppOptions{})
	r.now = base
	e := r.mustPublish("cam")
	e.run(10 * time.Second)
	r.now = stepped(r.now, -time.Hour)
	if _, err := r.publish("cam", "me"); err == nil {
		t.Error("a publisher that is not silent was replaced")
	}
	r.now = r.now.Add(5 * time.Second)
	s, err := r.publish("cam", "me")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := r.reg.Publisher(Key{"live", "cam"}); got.LastFrame.Sub(r.now) != 0 {
		t.Errorf("last frame %v, now %v", got.LastFrame, r.now)
	}
	e.s = s
	e.run(10 * time.Second)
	rows := r.snapshot().Rows
	for i := 1; i < len(rows); i++ {
		if rows[i].Start.Round(0).Before(rows[i-1].Start.Round(0)) {
			t.Errorf("segment %d begins at %v, the one before at %v", i, rows[i].Start, rows[i-1].Start)
		}
	}
}

// TestPictureThatNeverComes holds that a picture that was announced and does not come does not silence the sound for ever.
func TestPictureThatNeverComes(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	video := e.video
	e.keyframe = func(int64) bool { return false }
	e.run(2 * time.Second)
	e.video = nil
	e.run(30 * time.Second)
	s := r.snapshot()
	if s.State != Live || s.Variant.Codecs != "mp4a.40.2" {
		t.Fatalf("%v, codecs %q", s.State, s.Variant.Codecs)
	}
	e.video, e.keyframe = video, func(n int64) bool { return n%e.gop == 0 }
	e.run(10 * time.Second)
	if s := r.snapshot(); s.Variant.Codecs != "avc1.64001f,mp4a.40.2" {
		t.Errorf("codecs %q after the picture came", s.Variant.Codecs)
	}
	// The same after a break.
	e.video, e.offset = nil, 1000*Clock
	e.run(30 * time.Second)
	if s := r.snapshot(); s.State != Live {
		t.Errorf("%v after a break", s.State)
	}
	fits(t, r.snapshot())
}

// TestAudioFlaps holds that a track that changes and at once changes back costs no discontinuity, and that the segment
// before a change lasts as long as its media.
func TestAudioFlaps(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	e.run(5 * time.Second)
	e.send(&ingest.Frame{Track: &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x12, 0x10}, SampleRate: 44100, Channels: 2},
		PTS: e.audioNext, DTS: e.audioNext, Key: true, Units: [][]byte{{1}}})
	e.run(15 * time.Second)
	if n := r.reg.Stats().Discontinuities.Load(); n != 0 {
		t.Errorf("%d discontinuities", n)
	}
	e.audio = &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x12, 0x10}, SampleRate: 44100, Channels: 2}
	e.run(20 * time.Second)
	s := r.snapshot()
	for i := range s.Rows[:len(s.Rows)-1] {
		e, next := &s.Rows[i], &s.Rows[i+1]
		if next.Discontinuity && e.Duration%(2*Clock) != 0 {
			t.Errorf("segment %d lasts %v", i, cut.Duration(e.Duration))
		}
	}
	if n := r.reg.Stats().Discontinuities.Load(); n != 1 {
		t.Errorf("%d discontinuities, want 1", n)
	}
}

// TestRestoreLocks holds that taking up a recording does not hold the registry while it waits for one.
func TestRestoreLocks(t *testing.T) {
	r := newRig(t, AppOptions{})
	r.mustPublish("cam").run(10 * time.Second)
	tl := r.reg.Timeline("live", "cam")
	tl.mu.Lock()
	id := NewRecordingID(r.now.Add(time.Hour))
	done := make(chan error, 1)
	go func() {
		done <- r.reg.Restore(Recovered{Key: Key{"live", "cam"}, Recording: id, LastFrame: r.now})
	}()
	seen := make(chan bool)
	go func() {
		defer close(seen)
		for r.reg.Timeline("live", "cam").Recording() != id {
		}
	}()
	select {
	case <-seen:
	case <-time.After(5 * time.Second):
		t.Error("the registry is locked while a recording is")
	}
	tl.mu.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	<-seen
}

// TestLadderRungWithoutPicture holds that a rung of sound alone keeps the grid like any other.
func TestLadderRungWithoutPicture(t *testing.T) {
	l := newLadder(t)
	l.rungs["show_480p"].video = nil
	l.run(20 * time.Second)
	l.rungs["show_480p"].audio = &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x12, 0x10}, SampleRate: 44100, Channels: 2}
	l.run(40 * time.Second)
	l.aligned()
	if n := len(l.rung("show_480p").Rows); n < 10 {
		t.Errorf("%d segments in a minute", n)
	}
}

// TestLadderAudioVariantLosesItsRung holds that the audio-only variant does not follow its rung off the grid.
func TestLadderAudioVariantLosesItsRung(t *testing.T) {
	l := newLadderOf(t, AppOptions{Audio: true, Groups: map[string][]string{"show": ladderRungs}})
	l.run(20 * time.Second)
	l.rungs["show_1080p"].keyframe = func(n int64) bool { return n%137 == 0 }
	l.run(40 * time.Second)
	walls := map[uint64]time.Time{}
	for _, e := range l.rung("show_720p").Rows {
		walls[e.Sequence] = e.Start
	}
	for _, e := range l.rung("show_audio").Rows {
		if w, ok := walls[e.Sequence]; !ok || !w.Equal(e.Start) {
			t.Errorf("number %d of the audio variant begins at %v, in the ladder at %v", e.Sequence, e.Start, w)
		}
	}
	if got := l.rung("show_audio").State; got != Stalled {
		t.Errorf("the audio variant is %v without its rung", got)
	}
}

// TestRecordingIDHasOneForm: Go reads a comma where the layout has a point.
func TestRecordingIDHasOneForm(t *testing.T) {
	if _, ok := RecordingID("2023-08-24_16-02-52,970").Time(); ok {
		t.Error("a comma was taken for a point")
	}
}

// TestLadderAudioVariantIsHeldBackAtTheEnd holds that a ladder ends whose audio variant has a part behind a gap in hand.
func TestLadderAudioVariantIsHeldBackAtTheEnd(t *testing.T) {
	l := newLadderOf(t, AppOptions{Audio: true, Groups: map[string][]string{"show": ladderRungs}})
	l.run(21 * time.Second)
	l.drop("show_1080p")
	l.run(12 * time.Second)
	l.connect("show_1080p")
	l.run(4 * time.Second)
	for _, name := range ladderRungs {
		l.drop(name)
	}
	l.now = l.now.Add(2 * time.Minute)
	l.reg.Expire(l.now)
	l.reg.Expire(l.now)
	if got := l.rung("show_audio").State; got != Ended {
		t.Errorf("the audio variant is %v", got)
	}
}

// TestLadderOfTwoTimeBases holds that a rung of another encoder stands outside, however it arrives, and that no time stamp
// makes numbers far ahead of all that was sent.
func TestLadderOfTwoTimeBases(t *testing.T) {
	for _, base := range []int64{-1 << 33, 1 << 33, 1 << 38} {
		l := newLadder(t)
		for _, name := range ladderRungs {
			l.drop(name)
		}
		l.connect("show_480p")
		l.run(40 * time.Millisecond)
		l.base = base
		l.connect("show_1080p") // its first keyframe comes in the tick of the other's second, and before it
		l.run(30 * time.Second)
		if n := l.rung("show_480p").Next(); n > 20 {
			t.Fatalf("number %d after 30 s", n)
		}
		if m := l.reg.ladders.rung(Key{"live", "show_480p"}); m.place.Out() != "" {
			t.Errorf("the first rung stands outside: %s", m.place.Out())
		}
	}
}
