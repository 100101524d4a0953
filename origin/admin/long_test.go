package admin

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestLongAnswersAreBounded asks for one sync too many. Those under way hold their connections; all others make room.
func TestLongAnswersAreBounded(t *testing.T) {
	var busy atomic.Int64
	entered, leave := make(chan struct{}, maxLong), make(chan struct{})
	s := New(Options{
		Settle: func(_ net.Conn, now bool) {
			if now {
				busy.Add(1)
			} else {
				busy.Add(-1)
			}
		},
		Sync: syncFunc(func(context.Context) error {
			entered <- struct{}{}
			<-leave
			return nil
		}),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{}}
	get := func(path string) int {
		res, err := client.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	var all sync.WaitGroup
	for range maxLong {
		all.Go(func() {
			if status := get("/readyz?sync=1"); status != http.StatusOK {
				t.Errorf("a sync was answered %d", status)
			}
		})
	}
	for range maxLong {
		<-entered
	}
	if n := busy.Load(); n != maxLong {
		t.Errorf("%d connections are at work", n)
	}
	if status := get("/readyz?sync=1"); status != http.StatusServiceUnavailable {
		t.Errorf("one too many was answered %d", status)
	}
	if status := get("/healthz"); status != http.StatusOK {
		t.Errorf("health was answered %d", status)
	}
	close(leave)
	all.Wait()
	client.CloseIdleConnections()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if n := busy.Load(); n != 0 {
		t.Errorf("%d connections are at work afterwards", n)
	}
}

// pipes is a listener with one connection, in a test's own time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestBodiesAreNotWaitedFor holds that a body which never comes does not hold a connection for ever.
func TestBodiesAreNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := New(Options{}), make(pipes, 1)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, l) }()
		c, there := net.Pipe()
		defer c.Close()
		l <- there
		began := time.Now()
		_ = c.SetDeadline(began.Add(time.Hour))
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
		if _, err := io.Copy(io.Discard, c); err != nil || time.Since(began) > readTimeout+time.Second {
			t.Errorf("the connection was open for %v: %v", time.Since(began), err)
		}
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
