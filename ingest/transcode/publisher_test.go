package transcode

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

func TestRungsFollowTheirSource(t *testing.T) {
	h := newHall(t)
	p := h.publisher("copy", nil)
	c := connect(t, p, "cam")
	for range 100 {
		c.shoot()
	}
	c.session.Close(ingest.ErrUnpublished)
	h.until("the rungs have ended", func() bool {
		return h.last("cam_720p") != nil && h.last("cam_720p").ended && h.last("cam_480p") != nil && h.last("cam_480p").ended
	})
	source := h.last("cam_source")
	c.whole(source)
	for _, r := range rungs {
		s := h.last("cam_" + r.Name)
		if len(h.sessions[s.a.Stream]) != 1 || !errors.Is(s.cause, ingest.ErrUnpublished) {
			t.Errorf("%s: %d sessions, ended with %v", s.a.Stream, len(h.sessions[s.a.Stream]), s.cause)
		}
		if s.a.Protocol != "ladder" || s.a.Identity != "alice" || s.a.Remote != "192.0.2.1:4444" {
			t.Errorf("announced as %+v", s.a)
		}
		follows(t, source, s)
		if track := s.video()[0].track; track.Bitrate != r.Bitrate || track.KeyframeInterval != time.Second || track.Alone {
			t.Errorf("%s has the track %+v", s.a.Stream, track)
		}
	}
	if st := p.Stats(); st.Starts.Load() != 1 || st.Restarts.Load() != 0 || st.FramesIn.Load() != 100 || st.FramesOut.Load() != 396 || st.DroppedFrames.Load() != 0 {
		t.Errorf("starts %d, restarts %d, in %d, out %d, dropped %d", st.Starts.Load(), st.Restarts.Load(), st.FramesIn.Load(), st.FramesOut.Load(), st.DroppedFrames.Load())
	}
}

// follows checks that a rung has what its source has: pictures to within a millisecond, audio exactly.
func follows(t *testing.T, source, s *heard) {
	t.Helper()
	want, got := source.video(), s.video()
	if len(got) != len(want) {
		t.Fatalf("%s: %d pictures of %d", s.a.Stream, len(got), len(want))
	}
	for i := range got {
		if d, e := got[i].pts-want[i].pts, got[i].dts-want[i].dts; d < -90 || d > 90 || e < -90 || e > 90 || got[i].key != want[i].key || !bytes.Equal(got[i].units[0], want[i].units[0]) {
			t.Fatalf("%s, picture %d: PTS %d, DTS %d, key %v; the source's %d, %d, %v", s.a.Stream, i, got[i].pts, got[i].dts, got[i].key, want[i].pts, want[i].dts, want[i].key)
		}
	}
	wantAudio, gotAudio := source.audio(), s.audio()
	skipped := len(wantAudio) - len(gotAudio) // from before the first picture's PTS
	if skipped < 0 || skipped > 3 {
		t.Fatalf("%s: %d frames of audio of %d", s.a.Stream, len(gotAudio), len(wantAudio))
	}
	for i := range gotAudio {
		if w := wantAudio[i+skipped]; gotAudio[i].pts != w.pts || !bytes.Equal(gotAudio[i].units[0], w.units[0]) || gotAudio[i].track != w.track {
			t.Fatalf("%s: audio frame %d is another", s.a.Stream, i)
		}
	}
}

// TestProcessFails makes ffmpeg fail in every way: the source does not notice, and the rungs end and begin again together.
func TestProcessFails(t *testing.T) {
	for _, tt := range []struct{ mode, reason string }{
		{"exit:30", "out of luck"},
		{"exit:0", "out of luck"},
		{"garbage", "is no FLV"},
		{"hang", "no picture of rung 720p"},
		{"mute", "no picture of rung 720p"},
		{"half", "no picture of rung 480p"},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			p := h.publisher(tt.mode+","+tt.mode+",copy", nil)
			c := connect(t, p, "cam")
			stop := c.film()
			h.until("both rungs play in the end", func() bool {
				a, b := h.last("cam_720p"), h.last("cam_480p")
				return p.Stats().Restarts.Load() >= 2 && a != nil && b != nil && !a.ended && !b.ended && len(a.video()) > 50 && len(b.video()) > 50
			})
			stop()
			c.session.Close(ingest.ErrUnpublished)
			h.until("they have ended", func() bool { return h.last("cam_720p").ended && h.last("cam_480p").ended })
			c.whole(h.last("cam_source"))
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.said("the transcoder failed") != 1 || !strings.Contains(h.log.String(), tt.reason) {
				t.Errorf("the log does not say once that %q:\n%s", tt.reason, h.log.String())
			}
			if tt.mode == "exit:30" && (len(h.sessions["cam_720p"]) < 3 || len(h.sessions["cam_480p"]) < 3) {
				t.Errorf("%d and %d sessions", len(h.sessions["cam_720p"]), len(h.sessions["cam_480p"]))
			}
			for _, s := range h.sessions["cam_720p"] {
				if !s.frames[0].keyframe() {
					t.Error("a rung does not begin with a keyframe")
				}
			}
		})
	}
}

func TestSlowProcessLosesWholeGroups(t *testing.T) {
	h := newHall(t)
	p := h.publisher("slow:5", func(o *Options) { o.MaxFrames = 200; o.StallTimeout, o.StartTimeout = time.Minute, time.Minute })
	c := connect(t, p, "cam")
	stop := c.film()
	h.until("groups are dropped, and others come", func() bool {
		return p.Stats().DroppedGOPs.Load() > 4 && h.has("cam_480p", 2, 10)
	})
	h.until("it is said", func() bool { return h.said("too slow") == 1 })
	stop()
	c.session.Close(ingest.ErrUnpublished)
	// What is still in transit may be one more session: it ends with the publisher.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if !h.last("cam_480p").ended {
		t.Error("the rung has not ended")
	}
	c.whole(h.last("cam_source"))
	for n, s := range h.sessions["cam_480p"] {
		v := s.video()
		if !s.frames[0].keyframe() {
			t.Errorf("session %d does not begin with a keyframe", n)
		}
		for i := 1; i < len(v); i++ {
			if d := v[i].dts - v[i-1].dts; d > pictureTicks+90 {
				t.Errorf("session %d: picture %d comes %d ticks after the one before", n, i, d)
			}
		}
	}
	if h.said("too slow") != 1 || p.Stats().Restarts.Load() != 0 {
		t.Errorf("%d restarts, and in the log:\n%s", p.Stats().Restarts.Load(), h.log.String())
	}
}

// TestTurnover makes a process hand over to the next: when it gets old, and when the picture's size changes, which also leaves out a rung.
// No picture is missing and no rung is published anew.
func TestTurnover(t *testing.T) {
	h := newHall(t)
	p := h.publisher("copy", func(o *Options) { o.MaxAge, o.StallTimeout, o.StartTimeout = 4*time.Second, time.Minute, time.Minute })
	c := connect(t, p, "cam")
	for range 200 {
		c.shoot()
	}
	if a := p.Absent("live", "cam_720p"); a != (Absence{}) {
		t.Errorf("720p is not made because of %+v", a)
	}
	small := *c.video
	small.Width, small.Height = 854, 480
	c.video = &small
	for range 50 {
		c.shoot()
	}
	h.until("720p is left out", func() bool { return p.Absent("live", "cam_720p").Usual && !p.Absent("live", "cam_480p").Usual })
	c.session.Close(ingest.ErrUnpublished)
	h.until("the rungs have ended", func() bool {
		return h.last("cam_720p") != nil && h.last("cam_720p").ended && h.last("cam_480p") != nil && h.last("cam_480p").ended
	})
	if len(h.sessions["cam_480p"]) != 1 || len(h.sessions["cam_720p"]) != 1 {
		t.Errorf("the rungs have %d and %d sessions", len(h.sessions["cam_720p"]), len(h.sessions["cam_480p"]))
	}
	follows(t, h.last("cam_source"), h.last("cam_480p"))
	if n := len(h.last("cam_720p").video()); n != 200 || !errors.Is(h.last("cam_720p").cause, errLower) {
		t.Errorf("720p has %d pictures and ended with %v", n, h.last("cam_720p").cause)
	}
	if p.Stats().Turnovers.Load() != 2 || p.Stats().Restarts.Load() != 0 {
		t.Errorf("%d turnovers, %d restarts", p.Stats().Turnovers.Load(), p.Stats().Restarts.Load())
	}
}

func TestWithoutFFmpeg(t *testing.T) {
	h := newHall(t)
	p := h.publisher("", func(o *Options) { o.Command = "no-such-ffmpeg" })
	if h.said("apps.live.ladder") != 1 {
		t.Errorf("not said at the start:\n%s", h.log.String())
	}
	c := connect(t, p, "cam")
	stop := c.film()
	h.until("it was tried", func() bool { return p.Stats().Restarts.Load() > 2 })
	if a := p.Absent("live", "cam_480p"); a.Usual || !strings.Contains(a.Reason, "no-such-ffmpeg") {
		t.Errorf("480p is not made because of %+v", a)
	}
	if a := p.Absent("live", "cam_source"); a != (Absence{}) {
		t.Errorf("the source is not made because of %+v", a)
	}
	stop()
	c.session.Close(ingest.ErrUnpublished)
	c.whole(h.last("cam_source"))
	if len(h.sessions) != 1 {
		t.Errorf("%d streams", len(h.sessions))
	}
}

func TestOtherAppsPassThrough(t *testing.T) {
	h := newHall(t)
	p := h.publisher("copy", func(o *Options) { o.Apps = nil })
	connect(t, p, "cam")
	if h.last("cam") == nil {
		t.Error("the stream has another name")
	}
	h.refuse["x"] = true
	if _, err := p.Publish(context.Background(), ingest.Announce{App: "live", Stream: "x"}); err == nil {
		t.Error("a refusal got lost")
	}
}

func TestMaxPublishers(t *testing.T) {
	h := newHall(t)
	p := h.publisher("copy", func(o *Options) { o.MaxPublishers = 1 })
	a := connect(t, p, "a")
	stopA := a.film()
	h.until("the first plays", func() bool { return h.has("a_480p", 0, 1) })
	b := connect(t, p, "b")
	stopB := b.film()
	h.until("the second waits", func() bool { return p.Stats().Waiting.Load() == 1 && h.has("b_source", 0, 100) })
	if p.Stats().Processes.Load() != 1 || h.last("b_480p") != nil {
		t.Error("the second has a process")
	}
	stopA()
	a.session.Close(ingest.ErrUnpublished)
	h.until("the second plays", func() bool { return h.has("b_480p", 0, 10) && h.has("b_720p", 0, 10) })
	stopB()
	b.session.Close(ingest.ErrUnpublished)
	b.whole(h.last("b_source"))
}

// TestReplacedPublisher tests an encoder that returns while its old connection is still open.
func TestReplacedPublisher(t *testing.T) {
	h := newHall(t)
	p := h.publisher("copy", nil)
	a := connect(t, p, "cam")
	stop := a.film()
	h.until("the first plays", func() bool { return h.has("cam_480p", 0, 10) })
	stop()
	b := connect(t, p, "cam")
	defer b.film()()
	h.until("the second plays", func() bool { return h.has("cam_480p", 1, 10) && h.has("cam_720p", 1, 10) })
	h.mu.Lock()
	if s := h.sessions["cam_480p"][0]; !s.ended || !errors.Is(s.cause, ingest.ErrReplaced) {
		t.Errorf("the first ended %v, with %v", s.ended, s.cause)
	}
	h.mu.Unlock()
	a.session.Close(ingest.ErrReplaced)
}

func TestRefusedRungIsAskedForAgain(t *testing.T) {
	h := newHall(t)
	h.refuse["cam_720p"] = true
	p := h.publisher("copy", nil)
	c := connect(t, p, "cam")
	defer c.film()()
	h.until("the other plays and it was said", func() bool { return h.has("cam_480p", 0, 30) && h.said("cannot be published") == 1 })
	h.mu.Lock()
	h.refuse["cam_720p"] = false
	h.mu.Unlock()
	h.until("it plays", func() bool { return h.has("cam_720p", 0, 30) })
	if p.Stats().Refused.Load() != 1 || p.Stats().Restarts.Load() != 0 {
		t.Errorf("%d refused, %d restarts", p.Stats().Refused.Load(), p.Stats().Restarts.Load())
	}
}

// TestFlushTimeout tests a process that does not end with its input: it is killed, and the rungs end with their source's cause.
func TestFlushTimeout(t *testing.T) {
	h := newHall(t)
	p := h.publisher("late", func(o *Options) { o.FlushTimeout = 200 * time.Millisecond })
	c := connect(t, p, "cam")
	stop := c.film()
	h.until("it plays", func() bool { return h.has("cam_480p", 0, 10) })
	stop()
	c.session.Close(ingest.ErrUnpublished)
	h.until("the rungs have ended", func() bool { return h.last("cam_720p").ended && h.last("cam_480p").ended })
	if !errors.Is(h.last("cam_720p").cause, ingest.ErrUnpublished) {
		t.Errorf("ended with %v", h.last("cam_720p").cause)
	}
}

// TestCloseKills stops the server with no time left.
func TestCloseKills(t *testing.T) {
	h := newHall(t)
	p := h.publisher("late", func(o *Options) { o.FlushTimeout = time.Hour })
	c := connect(t, p, "cam")
	stop := c.film()
	h.until("it plays", func() bool { return h.has("cam_480p", 0, 10) })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
	if p.Stats().Processes.Load() != 0 || !h.last("cam_480p").ended {
		t.Error("something is left")
	}
	stop()
	c.whole(h.last("cam_source")) // its end is up to whoever published it
	connect(t, p, "late")
	if h.last("late_source") == nil {
		t.Error("a publisher that comes after the end is the next stage's to refuse")
	}
}
