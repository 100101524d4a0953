package rtmp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// pipes is a listener of net.Pipes, whose deadlines follow the test's own clock.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// timed runs f with one connection to a server, on a clock of its own. The server's log goes to said, unless that is nil.
func timed(t *testing.T, said io.Writer, f func(t *testing.T, p *peer, s *Server, pub *fakePublisher)) {
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
		pub := newFakePublisher()
		o := Options{Publisher: pub, Authorizer: allow{}}
		if said != nil {
			o.Log = slog.New(slog.NewTextHandler(said, nil))
		}
		s := New(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Serve(ctx, l) }()
		here, there := net.Pipe()
		l.conns <- there
		f(t, &peer{Conn: here, t: t, chunks: chunk.NewReader(here, nil, chunk.Limits{})}, s, pub)
		_ = here.Close()
		cancel()
		<-done
	})
}

// after returns how long f took.
func after(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func TestSlowHandshake(t *testing.T) {
	timed(t, nil, func(t *testing.T, p *peer, s *Server, _ *fakePublisher) {
		go func() { _, _ = io.Copy(io.Discard, p.Conn) }()
		got := after(func() {
			for {
				if _, err := p.Write([]byte{3}); err != nil {
					return
				}
				time.Sleep(300 * time.Millisecond)
			}
		})
		if got < 10*time.Second || got > 11*time.Second || s.Stats.TimedOut.Load() != 1 {
			t.Errorf("closed after %v", got)
		}
	})
}

func TestNeverPublishes(t *testing.T) {
	timed(t, nil, func(t *testing.T, p *peer, s *Server, _ *fakePublisher) {
		got := after(func() {
			p.shake()
			p.connect("live")
			for {
				if _, err := p.Write(chunk.Append(nil, 4, 128, chunk.Message{Type: chunk.TypeAudio, Payload: aacFrame})); err != nil {
					return
				}
				time.Sleep(300 * time.Millisecond)
			}
		})
		if got < 10*time.Second || got > 11*time.Second || s.Stats.TimedOut.Load() != 1 {
			t.Errorf("closed after %v", got)
		}
	})
}

// TestIdle checks that a publisher may be silent for a little less than the timeout, any number of times.
func TestIdle(t *testing.T) {
	timed(t, nil, func(t *testing.T, p *peer, s *Server, pub *fakePublisher) {
		p.shake()
		p.publish("cam")
		p.audio(0, aacHeader)
		for range 10 {
			time.Sleep(29 * time.Second)
			p.audio(0, aacFrame)
		}
		got := after(func() { _, _ = io.Copy(io.Discard, p.Conn) })
		if got != 30*time.Second || s.Stats.TimedOut.Load() != 1 {
			t.Errorf("closed after %v", got)
		}
		if frames, cause := (<-pub.sessions).wait(t); len(frames) != 10 || errors.Is(cause, ingest.ErrUnpublished) {
			t.Errorf("%d frames, cause %v", len(frames), cause)
		}
	})
}

// TestAnswersUnread checks that a peer that never reads cannot hold a connection.
func TestAnswersUnread(t *testing.T) {
	timed(t, nil, func(t *testing.T, p *peer, s *Server, _ *fakePublisher) {
		p.send(append([]byte{3}, make([]byte, 1536)...))
		synctest.Wait()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := s.Stats.Connections.Load(); n != 0 {
			t.Error("the connection is still open")
		}
	})
}

// TestAcknowledgementsUnread checks that a publisher that stops reading can go on publishing.
func TestAcknowledgementsUnread(t *testing.T) {
	timed(t, nil, func(t *testing.T, p *peer, s *Server, pub *fakePublisher) {
		p.shake()
		p.publish("cam")
		p.audio(0, aacHeader)
		body := append([]byte{0xaf, 1}, make([]byte, 5000)...)
		for range 600 { // 3 MB, past the window
			p.audio(0, body)
		}
		p.command(0, amf.Text("FCUnpublish"), amf.Num(6), amf.Value{}, amf.Text("cam"))
		if frames, cause := (<-pub.sessions).wait(t); len(frames) != 600 || !errors.Is(cause, ingest.ErrUnpublished) {
			t.Errorf("%d frames, cause %v", len(frames), cause)
		}
		if n := s.Stats.Acks.Load(); n != 0 {
			t.Errorf("%d acknowledgements were counted as sent", n)
		}
	})
}

// TestShutdownOfStrangers checks that stopping the server ends connections in every state at once.
func TestShutdownOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{conns: make(chan net.Conn, 4), closed: make(chan struct{})}
		s := New(Options{Publisher: newFakePublisher(), Authorizer: allow{}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Serve(ctx, l) }()
		silent, serverSide := net.Pipe()
		l.conns <- serverSide
		here, serverSide := net.Pipe()
		l.conns <- serverSide
		p := &peer{Conn: here, t: t, chunks: chunk.NewReader(here, nil, chunk.Limits{})}
		p.shake()
		p.connect("live")
		deaf, serverSide := net.Pipe() // makes the server's answer hang
		l.conns <- serverSide
		_, _ = deaf.Write(append([]byte{3}, make([]byte, 1536)...))
		synctest.Wait()
		if took := after(func() { cancel(); <-done }); took > 3*time.Second {
			t.Errorf("the stop took %v", took)
		}
		_, _, _ = silent.Close(), here.Close(), deaf.Close()
	})
}
