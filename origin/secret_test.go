package origin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// threeGuesses admits three wrong guesses from all peers together, and no more.
type threeGuesses struct {
	mu    sync.Mutex
	taken int
	asked int
}

func (g *threeGuesses) Take(peer net.Addr) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if peer.(*net.TCPAddr).IP.String() != "127.0.0.1" {
		return time.Hour
	}
	g.asked++
	if g.taken == 3 {
		return time.Second
	}
	g.taken++
	return 0
}

func (g *threeGuesses) Return(net.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken--
}

func (g *threeGuesses) forgive() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken = 0
}

// Wrong secrets are limited by address, counted by reason, reported as one kind, and each ends its connection.
func TestSecretIsGuessedSeldom(t *testing.T) {
	for _, mode := range []string{pollers, goroutines, overTLS, http2} {
		t.Run(mode, func(t *testing.T) {
			g := &threeGuesses{}
			var mu sync.Mutex
			told := map[string]int{}
			r := newRigOver(t, Options{Secret: Secret{Header: "X-CDN", Values: []string{"right"}, Guesses: g}, Warn: func(kind, who, msg string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				told[kind+" "+who]++
				if s := fmt.Sprint(args...); strings.Contains(s, "right") || strings.Contains(s, "wrong1") {
					t.Errorf("a secret is told of: %s", s)
				}
			}}, mode)
			r.publish("cam").run(21 * time.Second)
			r.serve()
			path := r.live("cam")
			for range 5 {
				r.get(path, "X-CDN", "right").want(t, 200)
				r.get(path).want(t, 403) // not a guess
			}
			for i := range 3 {
				r.get(path, "X-CDN", fmt.Sprint("wrong", i)).want(t, 403, "Cache-Control", "no-store")
			}
			for range 4 { // the address must wait, whatever it sends
				r.get(path, "X-CDN", "right").want(t, 403)
			}
			r.get("/healthz").want(t, 200)
			st := r.origin.Stats()
			if m, w, l := st.SecretMissing.Load(), st.SecretWrong.Load(), st.SecretLimited.Load(); m != 5 || w != 3 || l != 4 {
				t.Errorf("%d missing, %d wrong, %d limited", m, w, l)
			}
			g.forgive()
			r.get(path, "X-CDN", "right").want(t, 200)
			mu.Lock()
			defer mu.Unlock()
			if len(told) != 1 || told["http-secret 127.0.0.1"] != 7 {
				t.Errorf("told of %v", told)
			}
		})
	}
}

// On a connection that has shown the secret, it is compared and not counted, so that polls cost no more; a request without it ends the
// connection.
func TestSecretOnAKeptConnection(t *testing.T) {
	for _, mode := range []string{pollers, goroutines, overTLS} {
		t.Run(mode, func(t *testing.T) {
			g := &threeGuesses{}
			r := newRigOver(t, Options{Secret: Secret{Header: "X-CDN", Values: []string{"right"}, Guesses: g}}, mode)
			r.publish("cam").run(21 * time.Second)
			r.serve()
			c := r.dial(t)
			b := bufio.NewReader(c)
			for i, secret := range []string{"right", "right", "right", "wrong"} {
				fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nX-CDN: %s\r\n\r\n", r.live("cam"), secret)
				res, err := http.ReadResponse(b, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				if want := map[bool]int{true: 200, false: 403}[secret == "right"]; res.StatusCode != want || res.Close != (want == 403) {
					t.Errorf("request %d: %d, close %v", i, res.StatusCode, res.Close)
				}
			}
			if _, err := b.ReadByte(); err != io.EOF {
				t.Errorf("after 403: %v", err)
			}
			if g.asked != 1 {
				t.Errorf("%d guesses were counted", g.asked)
			}
			if n := r.origin.Stats().SecretWrong.Load(); n != 1 {
				t.Errorf("%d wrong ones", n)
			}
		})
	}
}

// When all places are taken, the CDN still gets in.
func TestSecretGetsInWhereAllPlacesAreTaken(t *testing.T) {
	engines1(t, Options{MaxConnections: 2, TargetDuration: time.Hour, MaxHold: time.Hour, Secret: Secret{Header: "X-CDN", Values: []string{"right"}}}, func(t *testing.T, r *rig) {
		r.publish("cam").run(time.Second)
		for i := range 2 {
			fmt.Fprint(r.dial(t), "GET /live/streams/cam.m3u8 HTTP/1.1\r\nHost: x\r\nX-CDN: right\r\n\r\n")
			await(t, "a held request", func() bool { return r.origin.Stats().Held.Load() == int64(i+1) })
		}
		for range 3 {
			r.get("/live/streams/other.m3u8").want(t, 503)
			r.get("/live/streams/other.m3u8", "X-CDN", "wrong").want(t, 503)
			r.get("/live/streams/other.m3u8", "X-CDN", "right").want(t, 404)
		}
		if n := r.origin.Stats().Held.Load(); n != 2 {
			t.Errorf("%d requests of the CDN are still held", n)
		}
		r.get("/healthz").want(t, 200)
	})
}
