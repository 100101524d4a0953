package rtsp

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"

	"github.com/hlsorigin/hlsorigin/ingest/listen"
)

// TestFullTable fills a table of four with peers that do not record: a publisher stays, and newcomers can record.
func TestFullTable(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listen.New(inner, listen.Options{MaxConns: 4})
	r := newRecorder()
	r.want = 2 // set before the first frame, which no rule orders before or after the next
	s := New(Options{Publisher: r, Authorizer: r, UDPListen: "127.0.0.1:0"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	defer func() { cancel(); <-done }()
	address := l.Addr().String()
	first := newPusher(gortsplib.TransportTCP)
	defer first.Close()
	if err := first.record("rtsp://"+address+"/live/first", first.video); err != nil {
		t.Fatal(err)
	}
	first.picture(t, 0, idr)
	for i, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		for range 4 {
			newRaw(t, address)
		}
		if a := newRaw(t, address).ask("OPTIONS", "*", ""); a.status != 200 {
			t.Errorf("OPTIONS: %v", a)
		}
		if a := newRaw(t, address).ask("DESCRIBE", "rtsp://"+address+"/live/first", ""); a.status != 501 {
			t.Errorf("DESCRIBE: %v", a)
		}
		p := newPusher(transport)
		defer p.Close()
		if err := p.record("rtsp://"+address+"/live/next", p.video); err != nil {
			t.Fatalf("newcomer %d: %v", i, err)
		}
	}
	first.picture(t, 3600, slice)
	r.wait(t)
	if l.Stats.Displaced.Load() < 6 || l.Stats.RejectedTotal.Load() != 0 {
		t.Errorf("%d went for newcomers, %d were turned away", l.Stats.Displaced.Load(), l.Stats.RejectedTotal.Load())
	}
}

// TestRequestFlood checks that a peer that does not record cannot keep the server answering or reading.
func TestRequestFlood(t *testing.T) {
	for name, one := range map[string]string{
		"OPTIONS":  "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"PLAY":     "PLAY rtsp://x/live/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"DESCRIBE": "DESCRIBE rtsp://x/live/cam RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"packets":  "$\x00\x04\x00" + strings.Repeat("x", 1024),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, newRecorder(), nil)
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(8 * time.Second)) // less than the time allowed for recording
			read := make(chan int64, 1)
			go func() { n, _ := io.Copy(io.Discard, c); read <- n }()
			const most = 64 << 20
			sent := 0
			for ; sent < most; sent += 16 * len(one) {
				if _, err := io.WriteString(c, strings.Repeat(one, 16)); err != nil {
					break
				}
			}
			if sent >= most {
				t.Errorf("%d bytes were taken", sent)
			}
			if n := <-read; n > 64<<10 {
				t.Errorf("%d bytes were answered", n)
			}
			if log := s.log.String(); len(log) > 4<<10 {
				t.Errorf("%d bytes of log", len(log))
			}
		})
	}
}
