package rtsp

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hlsorigin/hlsorigin/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scaled shortens a duration by HLSORIGIN_TEST_SCALE; 1 is full length.
func scaled(full, least time.Duration) time.Duration {
	scale, err := strconv.ParseFloat(os.Getenv("HLSORIGIN_TEST_SCALE"), 64)
	if err != nil {
		scale = 0.1
	}
	return max(time.Duration(float64(full)*scale), least)
}

// got is a frame that a recorder received, with its own copy of the units.
type got struct {
	ingest.Frame
}

// recorder is a Publisher and Authorizer that keeps what it is given.
type recorder struct {
	authorize func(ingest.Request) (ingest.Grant, error)
	refuse    error                                           // of Publish
	onFrame   func(*ingest.Frame) error                       // nil: keep
	onSession func(ingest.Announce) func(*ingest.Frame) error // the onFrame of one session

	mu        sync.Mutex
	requests  []ingest.Request
	announces []ingest.Announce
	frames    []got
	closed    chan error // one cause per session
	want      int        // frames after which reached is closed
	reached   chan struct{}
	overlap   bool
}

func newRecorder() *recorder {
	return &recorder{closed: make(chan error, 16), want: 1, reached: make(chan struct{})}
}

func (r *recorder) Authorize(_ context.Context, q ingest.Request) (ingest.Grant, error) {
	r.mu.Lock()
	r.requests = append(r.requests, q)
	r.mu.Unlock()
	if r.authorize != nil {
		return r.authorize(q)
	}
	return ingest.Grant{Stream: q.Name, Identity: "test"}, nil
}

func (r *recorder) Publish(_ context.Context, a ingest.Announce) (ingest.Session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.announces = append(r.announces, a)
	if r.refuse != nil {
		return nil, r.refuse
	}
	s := &recorded{r: r}
	if r.onSession != nil {
		s.onFrame = r.onSession(a)
	}
	return s, nil
}

// recorded is one session.
type recorded struct {
	r       *recorder
	onFrame func(*ingest.Frame) error
	busy    bool // a method is running; guarded by recorder.mu
}

func (s *recorded) WriteFrame(f *ingest.Frame) error {
	r := s.r
	s.enter()
	defer s.leave()
	for _, on := range []func(*ingest.Frame) error{r.onFrame, s.onFrame} {
		if on == nil {
			continue
		}
		if err := on(f); err != nil {
			return err
		}
	}
	c := got{*f}
	c.Units = nil
	for _, u := range f.Units {
		c.Units = append(c.Units, bytes.Clone(u))
	}
	r.mu.Lock()
	r.frames = append(r.frames, c)
	if len(r.frames) == r.want {
		close(r.reached)
	}
	r.mu.Unlock()
	return nil
}

func (s *recorded) Close(cause error) {
	s.enter()
	defer s.leave()
	s.r.closed <- cause
}

func (s *recorded) enter() {
	s.r.mu.Lock()
	s.r.overlap = s.r.overlap || s.busy
	s.busy = true
	s.r.mu.Unlock()
}

func (s *recorded) leave() {
	s.r.mu.Lock()
	s.busy = false
	s.r.mu.Unlock()
}

func (r *recorder) all() []got {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.frames
}

// wait waits for the wanted number of frames.
func (r *recorder) wait(t *testing.T) {
	t.Helper()
	select {
	case <-r.reached:
	case <-time.After(30 * time.Second):
		t.Fatalf("%d frames came, want %d", len(r.all()), r.want)
	}
}

// cause waits for the end of a session.
func (r *recorder) cause(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.closed:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the session was not closed")
		return nil
	}
}

// logBuffer is a log that a test can read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a server under test.
type running struct {
	*Server
	addr string
	log  *logBuffer
	stop func() error
}

// serve runs a server on a free port. At the end of the test it stops the server and checks that it stopped properly.
func serve(t *testing.T, r *recorder, change func(*Options)) *running {
	t.Helper()
	log := &logBuffer{}
	o := Options{Publisher: r, Authorizer: r, UDPListen: "127.0.0.1:0",
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&o)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &running{Server: New(o), addr: l.Addr().String(), log: log}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	var once sync.Once
	var result error
	s.stop = func() error {
		once.Do(func() {
			cancel()
			select {
			case result = <-done:
			case <-time.After(10 * time.Second):
				result = errors.New("Serve did not return")
			}
		})
		return result
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		if r.overlap {
			t.Error("two methods of a Session ran at once")
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return s
}

func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
}

// patient is for encoders on a machine that does other work at the same time, which may hold up one of their tracks for longer than a
// server should wait for it.
func patient(o *Options) { o.InterleaveWait = 10 * time.Second }

// checkOrder checks the order that every publisher's frames have: decoding times rise per track, none is after its presentation time, and
// the tracks follow each other within slack.
func checkOrder(t *testing.T, frames []got, slack time.Duration) {
	t.Helper()
	last := map[bool]int64{}
	newest := int64(0)
	for i, f := range frames {
		v := f.Track.Codec.IsVideo()
		if f.DTS <= last[v] {
			t.Errorf("frame %d (%v): DTS %d does not rise from %d", i, f.Track.Codec, f.DTS, last[v])
		}
		if f.PTS < f.DTS {
			t.Errorf("frame %d (%v): PTS %d before DTS %d", i, f.Track.Codec, f.PTS, f.DTS)
		}
		if f.DTS < newest-ticks90(slack) {
			t.Errorf("frame %d (%v): DTS %d comes %d ticks late", i, f.Track.Codec, f.DTS, newest-f.DTS)
		}
		last[v] = f.DTS
		newest = max(newest, f.DTS)
	}
}

func byKind(frames []got) (video, audio []got) {
	for _, f := range frames {
		if f.Track.Codec.IsVideo() {
			video = append(video, f)
		} else {
			audio = append(audio, f)
		}
	}
	return video, audio
}
