package rtmp

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/listen"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// TestFullTable fills a table of four with peers in every state before a publish: a publisher stays, and newcomers can publish.
func TestFullTable(t *testing.T) {
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS() // for its certificate
	web.Close()
	for name, wrap := range map[string]func(net.Listener) net.Listener{
		"RTMP": func(l net.Listener) net.Listener { return l },
		"RTMPS": func(l net.Listener) net.Listener {
			return tls.NewListener(l, &tls.Config{Certificates: web.TLS.Certificates})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l := listen.New(inner, listen.Options{MaxConns: 4})
			pub := newFakePublisher()
			s := New(Options{Publisher: pub, Authorizer: allow{}})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.Serve(ctx, wrap(l)) }()
			defer func() { cancel(); <-done }()
			dial := func() *peer {
				n, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				if name == "RTMPS" {
					n = tls.Client(n, &tls.Config{InsecureSkipVerify: true})
				}
				t.Cleanup(func() { _ = n.Close() })
				_ = n.SetDeadline(time.Now().Add(20 * time.Second))
				return &peer{Conn: n, t: t, chunks: newChunks(n)}
			}
			first := dial()
			first.shake()
			first.publish("first")
			show := <-pub.sessions
			for range 3 {
				for range 4 { // half-open: not a byte
					n, err := net.Dial("tcp", l.Addr().String())
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = n.Close() })
				}
				p := dial() // connected, and no more
				p.shake()
				p.connect("live")
				p = dial()
				p.shake()
				p.publish("next")
				p.command(0, amf.Text("FCUnpublish"), amf.Num(6), amf.Value{}, amf.Text("next"))
				(<-pub.sessions).wait(t) // idle from here on
			}
			first.audio(0, aacHeader)
			first.audio(0, aacFrame)
			_ = first.Close()
			if frames, _ := show.wait(t); len(frames) != 1 {
				t.Errorf("the first publisher has %d frames", len(frames))
			}
			if l.Stats.Displaced.Load() < 10 || l.Stats.RejectedTotal.Load() != 0 {
				t.Errorf("%d went for newcomers, %d were turned away", l.Stats.Displaced.Load(), l.Stats.RejectedTotal.Load())
			}
		})
	}
}

// TestStrayFlood checks that a peer that publishes nothing cannot keep the server reading: neither with media nor with messages that never
// leave the chunk reader.
func TestStrayFlood(t *testing.T) {
	for name, m := range map[string]chunk.Message{
		"media":      {Type: chunk.TypeVideo, Payload: make([]byte, 60<<10)},
		"chunk size": {Type: chunk.TypeSetChunkSize, Payload: be32(128)},
		"unknown":    {Type: 99, Payload: make([]byte, 100)},
	} {
		t.Run(name, func(t *testing.T) {
			ts := serve(t, Options{})
			p := dialPeer(t, ts)
			p.connect("live")
			go func() { _, _ = io.Copy(io.Discard, p.Conn) }()
			flood := chunk.Append(nil, 4, 128, m)
			sent := 0
			for ; sent < 64<<20; sent += len(flood) {
				if _, err := p.Write(flood); err != nil {
					break
				}
			}
			if sent >= 64<<20 || ts.Stats.Malformed.Load() != 1 {
				t.Errorf("%d bytes were taken, %d were malformed", sent, ts.Stats.Malformed.Load())
			}
		})
	}
}
