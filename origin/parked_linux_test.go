package origin

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestParkedConnectionsKeepNoGoroutine checks that clients polling playlists are answered, and wait, without a goroutine each.
func TestParkedConnectionsKeepNoGoroutine(t *testing.T) {
	r := newRig(t, Options{})
	r.publish("cam").run(21 * time.Second)
	r.serve()
	path := r.live("cam")
	r.get(path).want(t, 200) // the path is known from now on
	before := runtime.NumGoroutine()
	var conns []net.Conn
	for range 100 {
		c := r.dial(t)
		conns = append(conns, c)
		for range 3 {
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			a, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || a.StatusCode != 200 {
				t.Fatal(err, a)
			}
			_, _ = io.Copy(io.Discard, a.Body)
		}
	}
	if n := runtime.NumGoroutine() - before; n > 20 {
		t.Errorf("%d goroutines more for %d connections", n, len(conns))
	}
}

// TestParkedConnectionTakesAllKindsOfRequest sends requests that a poller answers, and requests that it leaves to a goroutine, at once and
// byte by byte, and expects every answer in order.
func TestParkedConnectionTakesAllKindsOfRequest(t *testing.T) {
	r := newRig(t, Options{})
	r.publish("cam").run(21 * time.Second)
	r.serve()
	r.get(r.live("cam")).want(t, 200)
	live, segment := string(r.get(r.live("cam")).body), string(r.get(r.segment("cam", 1)).body)
	type exchange struct {
		request string
		status  int
		body    string
	}
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	kinds := []exchange{
		{get(r.live("cam")), 200, live},
		{get(r.segment("cam", 1)), 200, segment},
		{get(r.live("cam")), 200, live},
		{get("/nothing"), 404, "not found\n"},
		{"HEAD " + r.live("cam") + " HTTP/1.1\r\nHost: x\r\n\r\n", 200, ""},
		{strings.Replace(get(r.live("cam")), "Host: x", "Host: x\r\nX-Long: "+strings.Repeat("x", 3000), 1), 200, live},
		{get(r.live("cam")), 200, live},
		{get("/live/streams/cam.m3u8"), 200, string(r.get("/live/streams/cam.m3u8").body)},
	}
	for name, step := range map[string]int{"at once": 1 << 20, "in pieces": 7} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(t)
			var all bytes.Buffer
			for range 20 {
				for _, k := range kinds {
					all.WriteString(k.request)
				}
			}
			go func() {
				for all.Len() > 0 {
					if _, err := c.Write(all.Next(step)); err != nil {
						return
					}
				}
				_ = c.(*net.TCPConn).CloseWrite()
			}()
			in := bufio.NewReader(c)
			for i := range 20 * len(kinds) {
				k := kinds[i%len(kinds)]
				method, _, _ := strings.Cut(k.request, " ")
				a, err := http.ReadResponse(in, &http.Request{Method: method})
				if err != nil {
					t.Fatalf("answer %d: %v", i, err)
				}
				body, err := io.ReadAll(a.Body)
				if err != nil || a.StatusCode != k.status || string(body) != k.body {
					t.Fatalf("answer %d: %d, %d bytes, %v; want %d, %d bytes", i, a.StatusCode, len(body), err, k.status, len(k.body))
				}
			}
			if _, err := in.ReadByte(); err != io.EOF {
				t.Errorf("after the last answer: %v", err)
			}
		})
	}
}

// TestParkedConnectionOfASlowReader fills a socket with answers that are not read for a while.
func TestParkedConnectionOfASlowReader(t *testing.T) {
	r := newRig(t, Options{})
	r.publish("cam").run(21 * time.Second)
	r.serve()
	r.get(r.live("cam")).want(t, 200)
	const requests = 40_000 // more than the buffers of both sockets hold
	c := r.dial(t)
	go func() {
		one := "GET " + r.live("cam") + " HTTP/1.1\r\nHost: x\r\n\r\n"
		_, _ = io.WriteString(c, strings.Repeat(one, requests))
	}()
	time.Sleep(300 * time.Millisecond)
	in := bufio.NewReader(c)
	total := int64(0)
	for i := range requests {
		a, err := http.ReadResponse(in, nil)
		if err != nil || a.StatusCode != 200 {
			t.Fatalf("answer %d: %v", i, err)
		}
		n, _ := io.Copy(io.Discard, a.Body)
		total += n
	}
	before := int64(len(r.get(r.live("cam")).body))
	await(t, "all bytes to be counted", func() bool { return r.origin.Stats().Bytes[KindLive].Load() == total+2*before })
}

// TestParkedConnectionThatHangsUp checks that the end of a connection is seen at once, even if it came together with a request.
func TestParkedConnectionThatHangsUp(t *testing.T) {
	r := newRig(t, Options{})
	r.publish("cam").run(21 * time.Second)
	r.serve()
	r.get(r.live("cam")).want(t, 200)
	await(t, "one connection", func() bool { return r.origin.Stats().Connections.Load() <= 1 })
	before := r.origin.Stats().Connections.Load()
	for range 50 {
		c := r.dial(t)
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", r.live("cam"))
		_ = c.(*net.TCPConn).CloseWrite()
		if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") {
			t.Fatalf("%v: %q", err, b)
		}
		reset := r.dial(t).(*net.TCPConn)
		_ = reset.SetLinger(0)
		_ = reset.Close()
	}
	await(t, "the connections to be closed", func() bool { return r.origin.Stats().Connections.Load() <= before })
}

// TestHeldReloadsKeepNoGoroutine holds that low-latency players who wait for the next part, and for parts themselves, need no
// goroutine each, and are all answered, whoever waits for a playlist in the order in which they came.
func TestHeldReloadsKeepNoGoroutine(t *testing.T) {
	edges1(t, Options{MaxHeld: 10}, heldReloadsKeepNoGoroutine)
}

func heldReloadsKeepNoGoroutine(t *testing.T, r *rig) {
	const viewers = 1000
	e := r.low("cam", 21*time.Second)
	r.get(r.edge("cam")).want(t, 200)
	msn, n := r.newest("cam")
	before := runtime.NumGoroutine()
	var conns []net.Conn
	for i := range viewers {
		c := r.dial(t)
		conns = append(conns, c)
		path := fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", r.edge("cam"), msn, n)
		if i%4 == 3 {
			path = r.partPath("cam", msn, n)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	}
	eventually(t, func() bool { return r.origin.Stats().Held.Load() == viewers })
	if n := runtime.NumGoroutine() - before; n > 20 {
		t.Errorf("%d goroutines more for %d held requests", n, viewers)
	}
	e.run(partsLong)
	for i, c := range conns {
		a, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || a.StatusCode != 200 {
			t.Fatal(i, err, a)
		}
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.origin.Stats().Held.Load(); n != 0 {
		t.Errorf("%d are still held", n)
	}
	path := fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", r.edge("cam"), msn, n)
	fmt.Fprintf(conns[0], "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path) // the connection goes on
	if a, err := http.ReadResponse(bufio.NewReader(conns[0]), nil); err != nil || a.StatusCode != 200 {
		t.Error(err, a)
	}
}

// TestPipelinedBehindHeldReload sends what comes next while the request before it is held.
func TestPipelinedBehindHeldReload(t *testing.T) {
	r := newRig(t, Options{})
	e := r.low("cam", 21*time.Second)
	r.serve()
	r.get(r.edge("cam")).want(t, 200)
	msn, n := r.newest("cam")
	c := r.dial(t)
	fmt.Fprintf(c, "GET %s?_HLS_msn=%d&_HLS_part=%d HTTP/1.1\r\nHost: x\r\n\r\n", r.edge("cam"), msn, n)
	eventually(t, func() bool { return r.origin.Stats().Held.Load() == 1 })
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\nGET %s HTTP/1.1\r\nHost: x\r\n\r\n", r.segment("cam", msn-1), r.live("cam"))
	e.run(partsLong)
	b := bufio.NewReader(c)
	for _, kind := range []string{"application/vnd.apple.mpegurl", "video/mp2t", "application/vnd.apple.mpegurl"} {
		a, err := http.ReadResponse(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, a.Body); err != nil || a.StatusCode != 200 || a.Header.Get("Content-Type") != kind {
			t.Errorf("%v, %d, %s instead of %s", err, a.StatusCode, a.Header.Get("Content-Type"), kind)
		}
	}
}

// TestStopAnswersHeldReloads stops the server while requests are held.
func TestStopAnswersHeldReloads(t *testing.T) {
	r := newRig(t, Options{})
	r.low("cam", 21*time.Second)
	stop := r.start()
	r.get(r.edge("cam")).want(t, 200)
	msn, _ := r.newest("cam")
	var all []later
	for range 20 {
		all = append(all, r.ask(fmt.Sprintf("%s?_HLS_msn=%d", r.edge("cam"), msn)))
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, l := range all {
		l.answer(t).want(t, 503, "Cache-Control", "no-store")
	}
}
