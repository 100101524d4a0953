package rtsp

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// single is a listener with one connection, as if it came over TCP.
type single struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *single) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *single) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *single) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8554} }

// addressed is a pipe with addresses.
type addressed struct{ net.Conn }

func (addressed) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8554} }
func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

// FuzzServer checks that no bytes, from a stranger or from a recording publisher, make a server panic, hang or leak.
func FuzzServer(f *testing.F) {
	const head = "rtsp://127.0.0.1/live/cam RTSP/1.0\r\nCSeq: 1\r\n"
	f.Add([]byte("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"), false)
	f.Add([]byte("ANNOUNCE "+head+"Content-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\nTEARDOWN "+head+"\r\n"), false)
	f.Add([]byte("ANNOUNCE "+head+"Authorization: Digest username=\"x\", realm=\"hlsorigin\", nonce=\"\", uri=\"*\", response=\"\"\r\n\r\n"), false)
	f.Add([]byte("SETUP "+head+"Transport: RTP/AVP/TCP;interleaved=0-1;mode=record,RTP/AVP;client_port=1-2;destination=x\r\n\r\n"), false)
	f.Add([]byte("$\x00\x00\x0d\x80\xe0\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x65"), true)
	f.Add([]byte("$\x01\x00\x1c\x80\xc8\x00\x06"+strings.Repeat("\x00", 24)+"TEARDOWN "+head+"\r\n"), true)
	f.Fuzz(func(t *testing.T, b []byte, recording bool) {
		r := newRecorder()
		s := New(Options{Publisher: r, Authorizer: r})
		l := &single{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		here, there := net.Pipe()
		l.conn <- addressed{there}
		_ = here.SetDeadline(time.Now().Add(20 * time.Second))
		e := &raw{t: t, c: here, r: bufio.NewReader(here)}
		if recording {
			const url = "rtsp://127.0.0.1/live/cam"
			e.announce(url, sdpH264)
			e.setup(url+"/streamid=0", 0)
			if a := e.ask("RECORD", url, ""); a.status != 200 {
				t.Fatalf("RECORD: %v", a)
			}
		}
		read := make(chan int64, 1)
		go func() { n, _ := io.Copy(io.Discard, e.r); read <- n }()
		_, _ = here.Write(b)
		_ = here.Close()
		<-read
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("Serve did not return")
		}
		if c, p := s.Stats.ConnectionsOpen.Load(), s.Stats.SessionsOpen.Load(); c != 0 || p != 0 {
			t.Errorf("%d connections and %d publishers are left", c, p)
		}
	})
}
