package rtmp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hlsorigin/hlsorigin/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakePublisher keeps a copy of every frame.
type fakePublisher struct {
	sessions chan *fakeSession
	refuse   error
}

func newFakePublisher() *fakePublisher { return &fakePublisher{sessions: make(chan *fakeSession, 64)} }

func (p *fakePublisher) Publish(_ context.Context, a ingest.Announce) (ingest.Session, error) {
	if p.refuse != nil {
		return nil, p.refuse
	}
	s := &fakeSession{Announce: a, closed: make(chan struct{}), first: make(chan struct{}), tenth: make(chan struct{})}
	p.sessions <- s
	return s, nil
}

type fakeSession struct {
	ingest.Announce
	mu     sync.Mutex
	frames []ingest.Frame
	fail   error
	cause  error
	closes int
	first  chan struct{}
	tenth  chan struct{}
	closed chan struct{}
}

func (s *fakeSession) WriteFrame(f *ingest.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := *f
	c.Units = nil
	for _, u := range f.Units {
		c.Units = append(c.Units, slices.Clone(u))
	}
	s.frames = append(s.frames, c)
	switch len(s.frames) {
	case 1:
		close(s.first)
	case 10:
		close(s.tenth)
	}
	return s.fail
}

func (s *fakeSession) Close(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cause = cause
	if s.closes++; s.closes == 1 {
		close(s.closed)
	}
}

// wait returns the frames and the cause once the session is closed.
func (s *fakeSession) wait(t *testing.T) ([]ingest.Frame, error) {
	t.Helper()
	select {
	case <-s.closed:
	case <-time.After(30 * time.Second):
		t.Fatal("the session was not closed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closes != 1 {
		t.Errorf("closed %d times", s.closes)
	}
	return s.frames, s.cause
}

// allow authorizes every name.
type allow struct{}

func (allow) Authorize(_ context.Context, r ingest.Request) (ingest.Grant, error) {
	if r.App != "live" {
		return ingest.Grant{}, ingest.Refuse(ingest.UnknownApp, "this app does not exist: use live")
	}
	if r.Name == "" {
		return ingest.Grant{}, ingest.Refuse(ingest.BadName, "the stream name is empty")
	}
	return ingest.Grant{Stream: r.Name, Identity: "test"}, nil
}

type testServer struct {
	*Server
	addr string
	pub  *fakePublisher
	stop func()
}

// serve runs a server on loopback until the test ends.
func serve(t testing.TB, o Options) *testServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ts := &testServer{addr: l.Addr().String(), pub: newFakePublisher()}
	if o.Publisher == nil {
		o.Publisher = ts.pub
	} else if p, ok := o.Publisher.(*fakePublisher); ok {
		ts.pub = p
	}
	if o.Authorizer == nil {
		o.Authorizer = allow{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ts.Server = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ts.Serve(ctx, l) }()
	ts.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Serve did not return")
		}
	})
	t.Cleanup(ts.stop)
	return ts
}

func (ts *testServer) url(path string) string { return "rtmp://" + ts.addr + "/" + path }

// session returns the next session to begin.
func (ts *testServer) session(t *testing.T) *fakeSession {
	t.Helper()
	select {
	case s := <-ts.pub.sessions:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("nobody published")
		return nil
	}
}
