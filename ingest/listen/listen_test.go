package listen

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hlsorigin/hlsorigin/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a listener with prepared answers to Accept.
type script struct {
	next   chan any // net.Conn or error
	closed chan struct{}
	once   sync.Once
}

func newScript() *script { return &script{next: make(chan any, 64), closed: make(chan struct{})} }

func (s *script) Accept() (net.Conn, error) {
	select {
	case v := <-s.next:
		if err, ok := v.(error); ok {
			return nil, err
		}
		return v.(net.Conn), nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *script) Close() error   { s.once.Do(func() { close(s.closed) }); return nil }
func (s *script) Addr() net.Addr { return &net.TCPAddr{} }

// from is a connection with a peer's address.
type from struct {
	net.Conn
	addr   string
	closed bool
}

func (f *from) RemoteAddr() net.Addr { a, _ := net.ResolveTCPAddr("tcp", f.addr); return a }
func (f *from) Close() error         { f.closed = true; return nil }

// Changed caps apply to newcomers; lowering a cap closes no connection.
func TestSetCaps(t *testing.T) {
	l := New(newScript(), Options{MaxConns: 3, MaxPerAddress: 3})
	defer l.Close()
	var open []*from
	enter := func(addr string) bool {
		f := &from{addr: addr}
		c := &conn{Conn: f, listener: l, from: prefixOf(f.RemoteAddr())}
		if !l.enter(c) {
			return false
		}
		Settle(c, true) // busy, so that it makes room for nobody
		open = append(open, f)
		return true
	}
	for _, step := range []struct {
		total, each int
		addr        string
		want        bool
	}{
		{3, 3, "192.0.2.1:1", true},
		{3, 3, "192.0.2.1:2", true},
		{3, 1, "192.0.2.1:3", false},
		{3, 1, "192.0.2.2:1", true},
		{1, 9, "192.0.2.3:1", false},
		{5, 9, "192.0.2.1:4", true},
		{4, 9, "192.0.2.3:1", false},
		{-1, -1, "192.0.2.3:1", true}, // none
	} {
		l.SetCaps(step.total, step.each)
		if got := enter(step.addr); got != step.want {
			t.Errorf("with %d and %d for each, %s is let in: %v", step.total, step.each, step.addr, got)
		}
	}
	for _, f := range open {
		if f.closed {
			t.Errorf("%s was ended", f.addr)
		}
	}
}

func TestCaps(t *testing.T) {
	for _, tc := range []struct {
		name  string
		o     Options
		peers []string
		let   []bool
	}{
		{"total", Options{MaxConns: 2}, []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"}, []bool{true, true, false}},
		{"per address", Options{MaxPerAddress: 1}, []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"}, []bool{true, false, true}},
		{"per IPv6 network", Options{MaxPerAddress: 1}, []string{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::1]:1"}, []bool{true, false, true}},
		{"mapped", Options{MaxPerAddress: 1}, []string{"192.0.2.1:1", "[::ffff:192.0.2.1]:2"}, []bool{true, false}},
		{"loopback is a proxy", Options{MaxPerAddress: 1}, []string{"127.0.0.1:1", "127.0.0.1:2", "[::1]:1", "[::1]:2"}, []bool{true, true, true, true}},
		{"loopback counts in total", Options{MaxConns: 1}, []string{"127.0.0.1:1", "127.0.0.1:2"}, []bool{true, false}},
		{"none", Options{MaxConns: -1, MaxPerAddress: -1}, []string{"192.0.2.1:1", "192.0.2.1:2"}, []bool{true, true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inner := newScript()
			l := New(inner, tc.o)
			var conns []*from
			let := 0
			for i, p := range tc.peers {
				conns = append(conns, &from{addr: p})
				inner.next <- conns[i]
				if tc.let[i] {
					let++
				}
			}
			var open []net.Conn
			for range let {
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				Settle(c, true)
				open = append(open, c)
			}
			_ = l.Close()
			for range 4 { // the rest was rejected before Accept noticed the end
				if _, err := l.Accept(); err == nil {
					t.Fatal("one too many was let in")
				}
			}
			if got := int(l.Stats.Open.Load()); got != let {
				t.Errorf("%d open, want %d", got, let)
			}
			for _, c := range open {
				_, _ = c.Close(), c.Close() // twice, but the place is released once
			}
			if got := l.Stats.Open.Load(); got != 0 || len(l.places.crowds) != 0 {
				t.Errorf("%d open, %d addresses are left", got, len(l.places.crowds))
			}
		})
	}
}

// TestPlaceIsGivenBack rejects two connections each time the only place is taken: one episode in the log, with its count.
func TestPlaceIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		inner := newScript()
		episodes := ingest.NewEpisodes(slog.New(slog.NewTextHandler(&log, nil)), time.Now)
		l := New(inner, Options{MaxConns: 1, Warn: episodes.Warn})
		let := make(chan net.Conn, 1)
		go func() {
			defer close(let)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				Settle(c, true)
				let <- c
			}
		}()
		for range 3 {
			inner.next <- &from{addr: "192.0.2.1:1"}
			c := <-let
			away := []*from{{addr: "192.0.2.9:1"}, {addr: "192.0.2.9:2"}}
			inner.next <- away[0]
			inner.next <- away[1]
			synctest.Wait()
			if !away[0].closed || !away[1].closed {
				t.Error("a connection that was turned away is open")
			}
			_ = c.Close()
		}
		_ = l.Close()
		<-let
		if n := l.Stats.RejectedTotal.Load(); n != 6 {
			t.Errorf("%d were turned away", n)
		}
		if n := strings.Count(log.String(), "are turned away"); n != 1 {
			t.Errorf("%d episodes were logged:\n%s", n, &log)
		}
		episodes.Expire(time.Now().Add(time.Hour))
		if !strings.Contains(log.String(), "times=6") {
			t.Errorf("the end is not logged:\n%s", &log)
		}
	})
}

// TestAcceptErrors checks that a shortage is waited out with growing pauses, that it is logged once, and that Close ends the wait.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		inner := newScript()
		episodes := ingest.NewEpisodes(slog.New(slog.NewTextHandler(&log, nil)), time.Now)
		l := New(inner, Options{Warn: episodes.Warn})
		for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ECONNABORTED} {
			inner.next <- &net.OpError{Op: "accept", Err: err}
		}
		inner.next <- &from{addr: "192.0.2.1:1"}
		start := time.Now()
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 75*time.Millisecond { // 5 + 10 + 20 + 40
			t.Errorf("took %v", took)
		}
		episodes.Expire(time.Now().Add(time.Hour))
		if l.Stats.AcceptErrors.Load() != 4 || strings.Count(log.String(), "\n") != 2 || !strings.Contains(log.String(), "times=4") {
			t.Errorf("%d errors, log:\n%s", l.Stats.AcceptErrors.Load(), &log)
		}
		for range 20 {
			inner.next <- syscall.EMFILE
		}
		done := make(chan error)
		go func() { _, err := l.Accept(); done <- err }()
		time.Sleep(5 * time.Second) // in the middle of pauses of a second
		start = time.Now()
		_ = l.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) || time.Since(start) != 0 {
			t.Errorf("ended with %v after %v", err, time.Since(start))
		}
	})
}

func TestRealConnection(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := New(inner, Options{})
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.(*conn).CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer read %v", err)
	}
}
