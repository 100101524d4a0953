package http1

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// wanted is a body whose memory may be wanted back.
type wanted struct {
	pieces
	back *atomic.Bool
}

func (w wanted) Revoked() bool { return w.back.Load() }

// lender answers everything with a body larger than a socket buffers.
type lender struct {
	echo
	back atomic.Bool
}

func (l *lender) Answer(_ context.Context, _ *Request, res *Response) {
	const size = 64 << 20
	res.Status, res.Pieces, res.Length = 200, wanted{pieces(size), &l.back}, size
	res.Add("Content-Length", fmt.Sprint(size))
}

// TestSlowClientsGiveBackWhatIsWanted checks that a client that reads a little now and then is dropped when the memory of its answer is
// wanted back, and not before.
func TestSlowClientsGiveBackWhatIsWanted(t *testing.T) {
	h := &lender{}
	s := New(Options{Handler: h, WriteTimeout: 2 * time.Second}) // a busy machine makes the client slower than it is meant to be
	r := &rig{t: t, s: s}
	c, err := net.Dial("tcp", r.serve(s.Serve))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
	if _, err := io.WriteString(c, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 128<<10) // the whole takes ten seconds so
	for i := range 500 {
		if i == 10 {
			if s.Stats().Revoked.Load()+s.Stats().SlowViewers.Load() != 0 {
				t.Fatal("it was dropped before")
			}
			h.back.Store(true)
		}
		if s.Stats().Revoked.Load() == 1 {
			return
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadAtLeast(c, b, 1<<16); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond) // a slow client
	}
	if s.Stats().Revoked.Load() != 1 {
		t.Errorf("it keeps the memory; %d were slow", s.Stats().SlowViewers.Load())
	}
}

// TestSlowHTTP2ClientsGiveBackWhatIsWanted checks the same for a stream whose client stalls beside others on its connection.
func TestSlowHTTP2ClientsGiveBackWhatIsWanted(t *testing.T) {
	h := &lender{}
	s := New(Options{Handler: h, WriteTimeout: 2 * time.Second}) // a busy machine makes the client slower than it is meant to be
	r := &rig{t: t, s: s}
	cfg := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, NextProtos: []string{"h2"}}
	addr := r.serve(func(ctx context.Context, l net.Listener) error { return s.ServeTLS(ctx, l, cfg) })
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get("https://" + addr + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 {
		t.Fatal(res.Proto)
	}
	b := make([]byte, 128<<10) // the whole takes ten seconds so
	for i := range 500 {
		if i == 10 {
			if s.Stats().Revoked.Load()+s.Stats().SlowViewers.Load() != 0 {
				t.Fatal("it was cut off before")
			}
			h.back.Store(true)
		}
		if _, err = io.ReadAtLeast(res.Body, b, 1<<16); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond) // a slow client
	}
	if n := s.Stats().Revoked.Load(); n != 1 || err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
		t.Errorf("cut off %d times; the client sees %v; %d were slow", n, err, s.Stats().SlowViewers.Load())
	}
}
