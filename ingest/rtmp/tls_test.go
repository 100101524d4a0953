package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"
)

// TestTLS publishes over TLS, and checks that a refusal can be read there too.
func TestTLS(t *testing.T) {
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS() // for its certificate
	web.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pub := newFakePublisher()
	s := New(Options{Publisher: pub, Authorizer: allow{}, Coalesce: every(100 * time.Millisecond)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, tls.NewListener(l, &tls.Config{Certificates: web.TLS.Certificates})) }()
	defer func() { cancel(); <-done }()
	connect := func() *peer {
		n, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		_ = n.SetDeadline(time.Now().Add(20 * time.Second))
		p := &peer{Conn: n, t: t, chunks: newChunks(n)}
		p.shake()
		return p
	}
	p := connect()
	p.publish("cam")
	p.audio(0, aacHeader)
	p.audio(0, aacFrame)
	_ = p.Close()
	if frames, cause := (<-pub.sessions).wait(t); len(frames) != 1 || !errors.Is(cause, io.EOF) {
		t.Errorf("%d frames, cause %v", len(frames), cause)
	}
	// Each message is its own record, as FFmpeg makes them: they are read as fast as they come.
	p = connect()
	p.publish("cam")
	p.audio(0, aacHeader)
	const many = 200
	began := time.Now()
	for i := range many {
		p.audio(uint32(i*23), aacFrame)
	}
	_ = p.Close()
	if frames, _ := (<-pub.sessions).wait(t); len(frames) != many || time.Since(began) > 5*time.Second {
		t.Errorf("%d frames in %v", len(frames), time.Since(began))
	}
	p = connect()
	p.connect("nope")
	id := p.createStream()
	p.command(id, publishCommand("cam")...)
	p.refused("NetStream.Publish.Denied", "use live")
}
