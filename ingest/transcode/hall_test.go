package transcode

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// hall is the Publisher behind the one under test: it records what came.
type hall struct {
	t *testing.T

	mu       sync.Mutex
	changed  chan struct{}
	sessions map[string][]*heard // by stream, in order
	refuse   map[string]bool
	log      bytes.Buffer
}

// heard is one session.
type heard struct {
	hall   *hall
	a      ingest.Announce
	frames []packet
	ended  bool
	cause  error
}

func newHall(t *testing.T) *hall {
	return &hall{t: t, changed: make(chan struct{}), sessions: map[string][]*heard{}, refuse: map[string]bool{}}
}

func (h *hall) change() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hall) Publish(_ context.Context, a ingest.Announce) (ingest.Session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse[a.Stream] {
		return nil, ingest.Refuse(ingest.NameTaken, "taken")
	}
	if a.Cancel == nil {
		h.t.Error("an announcement without Cancel")
	}
	s := &heard{hall: h, a: a}
	h.sessions[a.Stream] = append(h.sessions[a.Stream], s)
	h.change()
	return s, nil
}

func (s *heard) WriteFrame(f *ingest.Frame) error {
	s.hall.mu.Lock()
	defer s.hall.mu.Unlock()
	if s.ended {
		s.hall.t.Errorf("%s: a frame after the end", s.a.Stream)
	}
	if f.Arrival.IsZero() {
		s.hall.t.Errorf("%s: a frame without its arrival", s.a.Stream)
	}
	size := 0
	for _, u := range f.Units {
		size += len(u)
	}
	s.frames = append(s.frames, copyOf(f, size))
	s.hall.change()
	return nil
}

func (s *heard) Close(cause error) {
	s.hall.mu.Lock()
	defer s.hall.mu.Unlock()
	s.ended, s.cause = true, cause
	s.hall.change()
}

// Write takes the log.
func (h *hall) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log.Write(b)
	h.change()
	return len(b), nil
}

// until waits for a condition of the hall, which is locked while it is checked.
func (h *hall) until(what string, ok func() bool) {
	h.t.Helper()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for {
		h.mu.Lock()
		done, changed := ok(), h.changed
		h.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			h.mu.Lock()
			defer h.mu.Unlock()
			h.t.Fatalf("not in time: %s\n%s", what, h.log.String())
		}
	}
}

// last returns a stream's newest session, or nil. The hall is locked.
func (h *hall) last(stream string) *heard {
	if s := h.sessions[stream]; len(s) > 0 {
		return s[len(s)-1]
	}
	return nil
}

// has reports whether a stream's n-th session has a number of video frames. The hall is locked.
func (h *hall) has(stream string, n, frames int) bool {
	return len(h.sessions[stream]) > n && len(h.sessions[stream][n].video()) >= frames
}

func (h *hall) said(text string) int { return strings.Count(h.log.String(), text) }

func (s *heard) video() []packet {
	return slices.DeleteFunc(slices.Clone(s.frames), func(p packet) bool { return !p.video() })
}

func (s *heard) audio() []packet {
	return slices.DeleteFunc(slices.Clone(s.frames), func(p packet) bool { return p.video() })
}

var rungs = []Rung{{"720p", 720, 2_500_000}, {"480p", 480, 1_000_000}}

// publisher returns a Publisher with a fake ffmpeg in front of the hall.
func (h *hall) publisher(modes string, change func(*Options)) *Publisher {
	o := Options{
		Publisher: h, Apps: map[string][]Rung{"live": rungs}, Log: slog.New(slog.NewTextHandler(h, nil)),
		Command: os.Args[0], Env: []string{fakeModes + "=" + modes, fakeRuns + "=" + h.t.TempDir()},
		MaxLag: time.Minute, MinBackoff: time.Millisecond, MaxBackoff: time.Minute,
		StallTimeout: 400 * time.Millisecond, StartTimeout: 2 * time.Second, FlushTimeout: 10 * time.Second,
	}
	if change != nil {
		change(&o)
	}
	p := New(o)
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			h.t.Error(err)
		}
		if n := p.Stats().Processes.Load(); n != 0 {
			h.t.Errorf("%d processes are left", n)
		}
	})
	return p
}

var (
	testSPS = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}
	testPPS = []byte{0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0}
)

// camera is a publisher: 25 pictures a second of media time, a keyframe every second, and audio.
type camera struct {
	t       *testing.T
	session ingest.Session
	video   *ingest.Track
	audio   *ingest.Track
	n       int   // pictures sent
	base    int64 // DTS of the first
	worst   time.Duration
}

const pictureTicks = ingest.Clock / 25

func connect(t *testing.T, p ingest.Publisher, stream string) *camera {
	t.Helper()
	s, err := p.Publish(context.Background(), ingest.Announce{
		App: "live", Stream: stream, Protocol: "rtmp", Remote: "192.0.2.1:4444", Identity: "alice", Cancel: func(error) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &camera{
		t: t, session: s, base: 1<<33 + 12345,
		video: &ingest.Track{Codec: ingest.H264, SPS: [][]byte{testSPS}, PPS: [][]byte{testPPS}, Width: 1280, Height: 720, FrameRate: 25, KeyframeInterval: time.Second},
		audio: &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x12, 0x10}, SampleRate: 44100, Channels: 2},
	}
}

// shoot sends the next picture, and an audio frame with the same time.
func (c *camera) shoot() {
	dts := c.base + int64(c.n)*pictureTicks
	key := c.n%25 == 0
	units := [][]byte{append([]byte{0x41, byte(c.n), byte(c.n >> 8)}, bytes.Repeat([]byte{0xAA}, 500)...)}
	if key {
		units[0][0] = 0x65
	}
	c.write(&ingest.Frame{Track: c.video, PTS: dts + 2*pictureTicks, DTS: dts, Key: key, Units: units})
	c.write(&ingest.Frame{Track: c.audio, PTS: dts + 7, DTS: dts + 7, Key: true, Units: [][]byte{{1, byte(c.n), byte(c.n >> 8)}}})
	c.n++
}

func (c *camera) write(f *ingest.Frame) {
	f.Arrival = time.Now()
	if err := c.session.WriteFrame(f); err != nil {
		c.t.Error(err)
	}
	c.worst = max(c.worst, time.Since(f.Arrival))
	for _, u := range f.Units { // the payload was borrowed
		clear(u)
	}
}

// film sends pictures at forty times normal speed until stop is called.
func (c *camera) film() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				c.shoot()
			case <-quit:
				return
			}
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { close(quit); <-done }) }
	c.t.Cleanup(stop)
	return stop
}

// whole checks that a source got every frame, with unchanged times, and was not delayed.
func (c *camera) whole(s *heard) {
	c.t.Helper()
	s.hall.mu.Lock()
	defer s.hall.mu.Unlock()
	if len(s.frames) != 2*c.n {
		c.t.Errorf("the source has %d frames of %d", len(s.frames), 2*c.n)
	}
	if c.worst > time.Second {
		c.t.Errorf("a frame of the source took %v", c.worst)
	}
	c.t.Logf("%d frames, the slowest took %v", len(s.frames), c.worst)
}
