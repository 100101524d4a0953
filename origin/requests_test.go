package origin

import (
	"strings"
	"testing"
	"time"
)

func TestLoopMalformedRequests(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	for _, c := range []struct {
		text   string
		status int
	}{
		{"GET /healthz HTTP/1.1\nHost: x\n\n", 400},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", 405},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400}, // TLS on the plain port
		{"GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n", 505},
		{"GET /" + strings.Repeat("a", 40<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
	} {
		a := r.raw(c.text, "GET")[0]
		a.want(t, c.status, "Cache-Control", "no-store")
		if !a.Close {
			t.Errorf("%.40q: the connection goes on", c.text)
		}
	}
	await(t, "the end of the connections", func() bool { return r.origin.Stats().Connections.Load() == 0 })
}

func TestPipelining(t *testing.T) {
	engines1(t, Options{}, func(t *testing.T, r *rig) {
		r.publish("cam").run(21 * time.Second)
		one := "GET /live/streams/cam.m3u8 HTTP/1.1\r\nHost: x\r\nX-Filler: " + strings.Repeat("f", 700) + "\r\n\r\n"
		two := "HEAD " + r.segment("cam", 1) + " HTTP/1.1\r\nHost: x\r\n\r\n"
		three := "GET " + r.segment("cam", 2) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
		one = "\r\n" + one // an empty line between requests is harmless
		replies := r.raw(strings.Repeat(one+two, 20)+three, append(strings.Fields(strings.Repeat("GET HEAD ", 20)), "GET")...)
		want := r.snapshot("cam").Entry.Body
		for i := 0; i < 40; i += 2 {
			if replies[i].want(t, 200); string(replies[i].body) != string(want) {
				t.Fatalf("answer %d: %q", i, replies[i].body)
			}
			replies[i+1].want(t, 200)
		}
		if replies[40].want(t, 200); len(replies[40].body) == 0 {
			t.Error("no segment")
		}
	})
}

func TestHeadInPieces(t *testing.T) {
	engines1(t, Options{}, func(t *testing.T, r *rig) {
		c := r.dial(t)
		for range 2 {
			for _, b := range []byte("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 1100) + "\r\n\r\n") {
				if _, err := c.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
			buf := make([]byte, 2000)
			if n, err := c.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 200 OK\r\n") {
				t.Fatalf("%q %v", buf[:n], err)
			}
		}
	})
}

func TestPipelinedRequestDuringAHold(t *testing.T) {
	engines1(t, Options{TargetDuration: time.Hour, MaxHold: time.Hour}, func(t *testing.T, r *rig) {
		e := r.publish("cam")
		e.run(time.Second)
		got := make(chan []reply)
		go func() {
			one := "GET /live/streams/cam.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n"
			got <- r.raw(one+"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "GET")
		}()
		await(t, "a held request", func() bool { return r.origin.Stats().Held.Load() == 1 })
		e.run(20 * time.Second)
		for _, a := range <-got {
			a.want(t, 200)
		}
	})
}

func TestOldProtocolVersion(t *testing.T) {
	engines1(t, Options{}, func(t *testing.T, r *rig) {
		a := r.raw("GET /healthz HTTP/1.0\r\n\r\n", "GET")[0]
		if a.want(t, 200); !a.Close {
			t.Error("HTTP/1.0 without the end of the connection")
		}
	})
}
