package segmenter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// start is the instant at which the tests' time begins.
var start = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

// rig is a registry with a clock that the test turns.
type rig struct {
	t   *testing.T
	reg *Registry
	now time.Time
}

func newRig(t *testing.T, app AppOptions) *rig {
	r := &rig{t: t, now: start}
	r.reg = NewRegistry(Options{
		Apps: map[string]AppOptions{"live": app},
		Now:  func() time.Time { return r.now },
		Log:  slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	return r
}

func (r *rig) publish(stream, identity string) (ingest.Session, error) {
	return r.reg.Publish(context.Background(), ingest.Announce{
		App: "live", Stream: stream, Protocol: "test", Remote: "192.0.2.1:5000", Identity: identity,
		Cancel: func(error) {},
	})
}

func (r *rig) mustPublish(stream string) *encoder {
	r.t.Helper()
	s, err := r.publish(stream, "me")
	if err != nil {
		r.t.Fatal(err)
	}
	return newEncoder(r, s)
}

func (r *rig) snapshot() *Snapshot {
	r.t.Helper()
	tl := r.reg.Timeline("live", "cam")
	if tl == nil {
		r.t.Fatal("no timeline")
	}
	return tl.Snapshot()
}

func (r *rig) media() *m3u8.Media {
	r.t.Helper()
	m, err := m3u8.ParseMedia(r.snapshot().Live.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// encoder makes frames at a steady pace and turns the rig's clock with them.
type encoder struct {
	rig          *rig
	s            ingest.Session
	video, audio *ingest.Track
	fps          int64
	gop          int64 // frames
	delay        int64 // composition offset of keyframes, frames
	n            int64
	audioNext    int64
	offset       int64 // ticks
	keyframe     func(n int64) bool
	hevc         bool   // the pictures are H.265
	sei          []byte // a NAL unit before those of each picture; nil: none
}

var testSPS = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}

func newEncoder(r *rig, s ingest.Session) *encoder {
	e := &encoder{
		rig: r, s: s, fps: 25, gop: 50, delay: 2,
		video: &ingest.Track{Codec: ingest.H264, SPS: [][]byte{testSPS}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 25},
		audio: &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2},
	}
	e.keyframe = func(n int64) bool { return n%e.gop == 0 }
	return e
}

// run sends frames for d of media.
func (e *encoder) run(d time.Duration) {
	e.rig.t.Helper()
	for end := e.n + int64(d)*e.fps/int64(time.Second); e.n < end; e.n++ {
		e.step()
	}
}

func (e *encoder) step() {
	e.rig.t.Helper()
	dts := e.n * Clock / e.fps
	for ; e.audio != nil && e.audioNext <= dts; e.audioNext += 1024 * Clock / 48000 {
		e.send(&ingest.Frame{Track: e.audio, PTS: e.audioNext, DTS: e.audioNext, Key: true, Units: [][]byte{bytes.Repeat([]byte{0x21}, 170)}})
	}
	if e.video != nil {
		key := e.keyframe(e.n)
		unit := append([]byte{0x41}, bytes.Repeat([]byte{byte(e.n) | 1}, 2000)...)
		if key {
			unit[0] = 0x65
		}
		if e.hevc {
			unit = append([]byte{1 << 1, 1, 0x80}, unit[1:]...)
			if key {
				unit[0] = 19 << 1
			}
		}
		units := [][]byte{unit}
		if e.sei != nil {
			units = [][]byte{e.sei, unit}
		}
		e.send(&ingest.Frame{Track: e.video, PTS: dts + e.delay*Clock/e.fps, DTS: dts, Key: key, Units: units})
	}
	e.rig.now = e.rig.now.Add(time.Second / time.Duration(e.fps))
	e.rig.reg.Expire(e.rig.now)
}

func (e *encoder) send(f *ingest.Frame) {
	e.rig.t.Helper()
	f.PTS += e.offset
	f.DTS += e.offset
	f.Arrival = e.rig.now
	if err := e.s.WriteFrame(f); err != nil {
		e.rig.t.Fatal(err)
	}
}

func TestRecordingIsNamedByItsFirstFrame(t *testing.T) {
	r := newRig(t, AppOptions{})
	r.mustPublish("cam").run(10 * time.Second)
	if got := r.snapshot().Recording; got != "2023-08-24_16-02-52.970" {
		t.Errorf("recording %q", got)
	}
	if got := r.snapshot().Rows[0].Start; !got.Equal(start) {
		t.Errorf("first segment starts at %v, want %v", got, start)
	}
}

func TestPlaylistOfAPlainStream(t *testing.T) {
	r := newRig(t, AppOptions{})
	r.mustPublish("cam").run(15 * time.Second)
	want := `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXT-X-PROGRAM-DATE-TIME:2023-08-24T16:02:52.970Z
#EXTINF:2.000,
000000000.ts
#EXT-X-PROGRAM-DATE-TIME:2023-08-24T16:02:54.970Z
#EXTINF:4.000,
000000001.ts
#EXT-X-PROGRAM-DATE-TIME:2023-08-24T16:02:58.970Z
#EXTINF:4.000,
000000002.ts
#EXT-X-PROGRAM-DATE-TIME:2023-08-24T16:03:02.970Z
#EXTINF:4.000,
000000003.ts
`
	if got := string(r.snapshot().Live.Body); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
	entry := string(r.snapshot().Entry.Body)
	for _, part := range []string{`CODECS="avc1.64001f,mp4a.40.2"`, "RESOLUTION=1280x720", "FRAME-RATE=25.000", "cam/2023-08-24_16-02-52.970/live.m3u8"} {
		if !strings.Contains(entry, part) {
			t.Errorf("multivariant playlist lacks %s:\n%s", part, entry)
		}
	}
}

// TestCadence holds round(EXTINF) <= TARGETDURATION, and that keyframes begin segments wherever the encoder lets them.
func TestCadence(t *testing.T) {
	for _, tc := range []struct {
		name   string
		gop    int64 // frames at 25 per second
		key    func(n int64) bool
		target int
		forced bool
	}{
		{name: "1 s", gop: 25, target: 4},
		{name: "2 s", gop: 50, target: 4},
		{name: "1.98 s", gop: 49, target: 4},
		{name: "3 s", gop: 75, target: 4},
		{name: "8 s", gop: 200, target: 8},
		{name: "every frame", gop: 1, target: 4},
		{name: "never", gop: 1 << 40, target: 12, forced: true},
		{name: "irregular", key: func(n int64) bool { return n%250 == 0 || n%97 == 13 || n%41 == 7 && n%3 == 0 }, target: 4, forced: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, AppOptions{})
			e := r.mustPublish("cam")
			e.gop = tc.gop
			if tc.key != nil {
				e.keyframe = tc.key
			}
			e.run(2 * time.Minute)
			s := r.snapshot()
			if s.TargetDuration != tc.target {
				t.Errorf("target duration %d, want %d", s.TargetDuration, tc.target)
			}
			forced := false
			for i, entry := range s.Rows {
				if cut.RoundSeconds(entry.Duration) > s.TargetDuration {
					t.Errorf("segment %d lasts %v, target %d", i, cut.Duration(entry.Duration), s.TargetDuration)
				}
				forced = forced || !entry.Independent
			}
			if forced != tc.forced {
				t.Errorf("forced cuts: %v, want %v (%d)", forced, tc.forced, r.reg.Stats().ForcedCuts.Load())
			}
			if has := bytes.Contains(s.Live.Body, []byte("INDEPENDENT")); has != independent(s.Rows[s.First:]) {
				t.Errorf("EXT-X-INDEPENDENT-SEGMENTS: %v", has)
			}
		})
	}
}

func TestWindowSlides(t *testing.T) {
	r := newRig(t, AppOptions{Window: 20 * time.Second})
	e := r.mustPublish("cam")
	sequence := uint64(0)
	for range 300 {
		e.run(time.Second)
		s := r.snapshot()
		if s.Live == nil {
			continue
		}
		m := r.media()
		if m.MediaSequence < sequence {
			t.Fatalf("media sequence fell from %d to %d", sequence, m.MediaSequence)
		}
		sequence = m.MediaSequence
		sum := int64(0)
		for _, seg := range m.Segments {
			sum += seg.Duration
		}
		if m.MediaSequence > 0 && (sum < 20*Clock || sum > 29*Clock) {
			t.Fatalf("window of %v", cut.Duration(sum))
		}
		for _, seg := range m.Segments {
			n, ok := ParseName("live/streams/cam/" + string(s.Recording) + "/" + seg.URI)
			if !ok || s.Segment(n.Sequence) == nil {
				t.Fatalf("listed segment %s is not in memory", seg.URI)
			}
		}
	}
	if n := r.reg.Stats().MemoryBytes.Load(); n > 64*(25*2256+47*376) {
		t.Errorf("%d bytes in memory", n)
	}
}

func TestMemoryBudget(t *testing.T) {
	r := newRig(t, AppOptions{})
	r.reg = NewRegistry(Options{Apps: map[string]AppOptions{"live": {}}, Now: func() time.Time { return r.now }, Memory: 500_000})
	e := r.mustPublish("cam")
	for range 60 {
		e.run(time.Second)
		if tl := r.reg.Timeline("live", "cam"); tl != nil {
			for _, s := range tl.Snapshot().Segments {
				s.Shelve()
			}
		}
	}
	s := r.snapshot()
	if n := r.reg.Stats().MemoryBytes.Load(); n > 800_000 {
		t.Errorf("%d bytes in memory", n)
	}
	if len(s.Segments) >= len(s.Rows)-s.First || s.Segment(s.Next()-1) == nil {
		t.Errorf("%d segments in memory of %d in the window", len(s.Segments), len(s.Rows)-s.First)
	}
}

func TestMemoryIsKeptWhereNothingElseHasIt(t *testing.T) {
	r := newRig(t, AppOptions{})
	r.reg = NewRegistry(Options{Apps: map[string]AppOptions{"live": {}}, Now: func() time.Time { return r.now }, Memory: 500_000})
	r.mustPublish("cam").run(60 * time.Second)
	s := r.snapshot()
	if len(s.Segments) < len(s.Rows)-s.First {
		t.Errorf("%d segments in memory of %d in the window, and none anywhere else", len(s.Segments), len(s.Rows)-s.First)
	}
}

func TestReconnectIsADiscontinuity(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	e.run(11 * time.Second)
	id := r.snapshot().Recording
	e.s.Close(errors.New("connection reset"))
	if s := r.snapshot(); s.State != Stalled || s.Writing {
		t.Errorf("state %v, writing %v", s.State, s.Writing)
	}
	before := len(r.snapshot().Rows)
	r.now = r.now.Add(5 * time.Second)
	r.reg.Expire(r.now)
	e = r.mustPublish("cam")
	e.run(10 * time.Second)
	s := r.snapshot()
	if s.Recording != id || s.State != Live {
		t.Fatalf("recording %s goes on as %s, %v", id, s.Recording, s.State)
	}
	for i, entry := range s.Rows {
		if entry.Discontinuity != (i == before) {
			t.Errorf("entry %d: discontinuity %v", i, entry.Discontinuity)
		}
		if i > 0 && entry.Start.Before(s.Rows[i-1].Start.Add(cut.Duration(s.Rows[i-1].Duration)-time.Millisecond)) {
			t.Errorf("entry %d begins before its predecessor ends", i)
		}
	}
	if got := s.Rows[before].Start.Sub(start); got != 16*time.Second {
		t.Errorf("the second connection begins %v after the first", got)
	}
	if m := r.media(); m.Segments[before].ProgramDateTime.IsZero() || m.DiscontinuitySequence != 0 {
		t.Errorf("no PROGRAM-DATE-TIME after the discontinuity, or sequence %d", m.DiscontinuitySequence)
	}
}

func TestGraces(t *testing.T) {
	for _, tc := range []struct {
		cause error
		grace time.Duration
	}{{errors.New("reset"), 60 * time.Second}, {ingest.ErrUnpublished, 15 * time.Second}} {
		t.Run(fmt.Sprint(tc.cause), func(t *testing.T) {
			r := newRig(t, AppOptions{})
			e := r.mustPublish("cam")
			e.run(9 * time.Second)
			e.s.Close(tc.cause)
			at := r.now
			r.reg.Expire(at.Add(tc.grace - time.Millisecond))
			if s := r.snapshot(); s.State != Stalled {
				t.Errorf("ended before its grace: %v", s.State)
			}
			r.reg.Expire(at.Add(tc.grace))
			if s := r.snapshot(); s.State != Ended || !r.media().EndList {
				t.Errorf("not ended: %v", s.State)
			}
			if body := r.snapshot().Archive().Body; !bytes.Contains(body, []byte("PLAYLIST-TYPE:VOD")) || !bytes.HasSuffix(body, []byte(m3u8.EndList)) {
				t.Errorf("archive is not final:\n%s", body)
			}
			r.reg.Expire(at.Add(tc.grace + 10*time.Minute))
			if r.reg.Timeline("live", "cam") != nil {
				t.Error("still known after ended_ttl")
			}
			if n := r.reg.Stats().MemoryBytes.Load(); n != 0 {
				t.Errorf("%d bytes still in memory", n)
			}
		})
	}
}

func TestSecondPublisherIsRefused(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	e.run(3 * time.Second)
	_, err := r.publish("cam", "me")
	var refusal *ingest.Refusal
	if !errors.As(err, &refusal) || refusal.Kind != ingest.NameTaken || !strings.Contains(refusal.Reason, "192.0.2.1") {
		t.Fatalf("got %v", err)
	}
	e.run(time.Second)
}

func TestSilentPublisherIsReplacedByItself(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	e.run(7 * time.Second)
	r.now = r.now.Add(2 * time.Second)
	if _, err := r.publish("cam", "somebody else"); err == nil {
		t.Fatal("a stranger took over")
	}
	id := r.snapshot().Recording
	e2 := r.mustPublish("cam")
	e2.run(5 * time.Second)
	if err := e.s.WriteFrame(&ingest.Frame{Track: e.video, Arrival: r.now}); !errors.Is(err, ingest.ErrReplaced) {
		t.Errorf("the old connection may still write: %v", err)
	}
	if s := r.snapshot(); s.Recording != id || s.State != Live {
		t.Errorf("recording %s, %v", s.Recording, s.State)
	}
	e.s.Close(nil)
	if _, err := r.publish("cam", "me"); err == nil {
		t.Error("the old connection's end gave the name away")
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t, AppOptions{})
	for _, name := range []string{"", "..", "a/b", "cam.m3u8", "cam.ts", "cam_adaptive", "-cam", "cam-2023-08-24_16-02-52.970", strings.Repeat("x", 129)} {
		_, err := r.publish(name, "me")
		var refusal *ingest.Refusal
		if !errors.As(err, &refusal) || refusal.Kind != ingest.BadName {
			t.Errorf("%q: %v", name, err)
		}
	}
	_, err := r.reg.Publish(context.Background(), ingest.Announce{App: "other", Stream: "cam"})
	var refusal *ingest.Refusal
	if !errors.As(err, &refusal) || refusal.Kind != ingest.UnknownApp {
		t.Errorf("unknown app: %v", err)
	}
}

func TestTracksThatComeLateOrNever(t *testing.T) {
	t.Run("audio never", func(t *testing.T) {
		r := newRig(t, AppOptions{})
		e := r.mustPublish("cam")
		e.audio = nil
		e.run(9 * time.Second)
		if v := r.snapshot().Variant; v.AudioCodec != "" || v.VideoCodec != "h264" {
			t.Errorf("%+v", v)
		}
	})
	t.Run("audio late", func(t *testing.T) {
		r := newRig(t, AppOptions{})
		e := r.mustPublish("cam")
		audio := e.audio
		e.audio = nil
		e.run(5 * time.Second)
		silent := r.snapshot().Recording
		e.audio, e.audioNext = audio, 5*Clock
		e.run(10 * time.Second)
		s := r.snapshot()
		if s.Variant.AudioCodec != "aac" {
			t.Errorf("%+v", s.Variant)
		}
		// No browser plays a recording that gains sound from its start: another one begins.
		if s.Recording == silent || s.Rows[len(s.Rows)-1].DiscontinuitySequence != 0 {
			t.Errorf("recording %s goes on as %s", silent, s.Recording)
		}
		if old := r.reg.Recording("live", "cam", silent); old == nil || old.Snapshot().State != Ended {
			t.Error("the recording without sound has not ended")
		}
	})
	t.Run("video never", func(t *testing.T) {
		r := newRig(t, AppOptions{})
		e := r.mustPublish("cam")
		e.video = nil
		e.run(30 * time.Second)
		s := r.snapshot()
		if s.Variant.VideoCodec != "" || s.Variant.Codecs != "mp4a.40.2" || len(s.Rows) < 6 {
			t.Errorf("%+v, %d segments", s.Variant, len(s.Rows))
		}
	})
	t.Run("video stops", func(t *testing.T) {
		r := newRig(t, AppOptions{})
		e := r.mustPublish("cam")
		e.run(10 * time.Second)
		e.video = nil
		n := len(r.snapshot().Rows)
		e.run(20 * time.Second)
		s := r.snapshot()
		if len(s.Rows) < n+4 {
			t.Errorf("%d segments in 20 s of sound", len(s.Rows)-n)
		}
	})
}

func TestTimeLineJumps(t *testing.T) {
	for _, jump := range []int64{-100 * Clock, 30 * Clock, 1 << 33} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			r := newRig(t, AppOptions{})
			e := r.mustPublish("cam")
			e.offset = 200 * Clock
			e.run(10 * time.Second)
			e.offset += jump
			e.run(10 * time.Second)
			s := r.snapshot()
			n, sum := 0, int64(0)
			for _, entry := range s.Rows {
				if entry.Discontinuity {
					n++
				}
				sum += entry.Duration
			}
			if n != 1 {
				t.Errorf("%d discontinuities", n)
			}
			if sum > 20*Clock || sum < 14*Clock {
				t.Errorf("%v of media listed", cut.Duration(sum))
			}
		})
	}
}

func TestSmallFaultsAreRepaired(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	e.run(3 * time.Second)
	e.send(&ingest.Frame{Track: e.video, DTS: e.n*Clock/e.fps - 9000, PTS: 0, Units: [][]byte{{0x41, 1}}})
	e.send(&ingest.Frame{Track: e.video, Units: nil})
	e.send(&ingest.Frame{Track: e.video, Units: [][]byte{{}, nil}})
	e.send(&ingest.Frame{Track: &ingest.Track{Codec: ingest.H264}, Units: [][]byte{{0x65, 1}}})
	e.send(&ingest.Frame{Track: &ingest.Track{Codec: ingest.AAC}, Units: [][]byte{{1}}})
	e.run(10 * time.Second)
	if n := r.reg.Stats().DTSRepaired.Load(); n == 0 {
		t.Error("nothing repaired")
	}
	if n := r.reg.Stats().DroppedEmpty.Load(); n != 2 {
		t.Errorf("%d empty frames", n)
	}
}

func TestRestore(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	e.run(15 * time.Second)
	s := r.snapshot()
	rec := Recovered{
		Key: s.Key, Recording: s.Recording, TargetDuration: s.TargetDuration, Rows: append([]Row(nil), s.Rows...),
		Next: s.Opened + 1, Variant: s.Variant, LastFrame: s.LastFrame,
	}
	t.Run("in time", func(t *testing.T) {
		r2 := newRig(t, AppOptions{})
		r2.now = r.now.Add(10 * time.Second)
		if err := r2.reg.Restore(rec); err != nil {
			t.Fatal(err)
		}
		if got := r2.snapshot(); got.State != Stalled || got.Next() != s.Next() || got.Opened != rec.Next {
			t.Errorf("%v, next %d, opened %d", got.State, got.Next(), got.Opened)
		}
		e := r2.mustPublish("cam")
		e.run(10 * time.Second)
		got := r2.snapshot()
		if got.Recording != s.Recording || !got.Rows[len(rec.Rows)].Gap || !got.Rows[rec.Next].Discontinuity {
			t.Errorf("not the same recording with a gap and a discontinuity: %s", got.Live.Body)
		}
	})
	t.Run("too late", func(t *testing.T) {
		r2 := newRig(t, AppOptions{})
		r2.now = r.now.Add(6 * time.Minute)
		if err := r2.reg.Restore(rec); err != nil {
			t.Fatal(err)
		}
		if got := r2.snapshot(); got.State != Ended || !r2.media().EndList || got.Next() != rec.Next || !got.Rows[len(rec.Rows)].Gap {
			t.Errorf("%v, next %d", got.State, got.Next())
		}
		e := r2.mustPublish("cam")
		e.run(10 * time.Second)
		if got := r2.snapshot().Recording; got == s.Recording {
			t.Error("an ended recording went on")
		}
		if r2.reg.Recording("live", "cam", s.Recording) == nil {
			t.Error("the old recording is gone before its time")
		}
	})
}

func TestWriteFrameDoesNotAllocate(t *testing.T) {
	r := newRig(t, AppOptions{SegmentDuration: 20 * time.Second, TargetDuration: 30 * time.Second})
	e := r.mustPublish("cam")
	e.gop = 1 << 40
	e.run(3 * time.Second)
	video := ingest.Frame{Track: e.video, Units: [][]byte{append([]byte{0x41}, make([]byte, 100)...)}, Arrival: r.now}
	audio := ingest.Frame{Track: e.audio, Units: [][]byte{make([]byte, 100)}, Arrival: r.now, Key: true}
	dts := e.n * Clock / e.fps
	avg := testing.AllocsPerRun(200, func() {
		dts += 1800
		video.DTS, video.PTS, audio.DTS, audio.PTS = dts, dts, dts, dts
		_ = e.s.WriteFrame(&video)
		_ = e.s.WriteFrame(&audio)
	})
	if avg > 0.1 { // a chunk of the buffer now and then
		t.Errorf("%v allocations per frame pair", avg)
	}
}

// A publisher that is sent away is told why, and its recording waits for it; one that is ended does not.
func TestDisconnectAndEnd(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	e.run(9 * time.Second)
	why := errors.New("sent away")
	if n := r.reg.Disconnect(Key{"live", "cam"}, why); n != 1 || r.snapshot().State != Stalled {
		t.Errorf("%d sent away, then the stream is %v", n, r.snapshot().State)
	}
	if _, on := r.reg.Publisher(Key{"live", "cam"}); on {
		t.Error("the publisher is still there")
	}
	if n := r.reg.Disconnect(Key{"live", "cam"}, why) + r.reg.Disconnect(Key{"live", "nobody"}, why); n != 0 {
		t.Errorf("%d sent away that are not there", n)
	}
	first := r.snapshot().Recording
	r.mustPublish("cam").run(9 * time.Second)
	if r.snapshot().Recording != first {
		t.Error("the recording did not go on")
	}
	ended, err := r.reg.End(Key{"live", "cam"}, why)
	if err != nil || ended != first || r.snapshot().State != Ended || !r.media().EndList {
		t.Errorf("%q ended, wanted %q: %v, %v", ended, first, r.snapshot().State, err)
	}
	if again, err := r.reg.End(Key{"live", "cam"}, why); again != "" || err != nil {
		t.Errorf("it ended twice: %q, %v", again, err)
	}
	r.mustPublish("cam").run(9 * time.Second)
	if r.snapshot().Recording == first || r.snapshot().State != Live {
		t.Errorf("what came later went into the same recording, or nowhere: %v", r.snapshot().State)
	}
}
