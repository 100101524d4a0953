package cdn

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestCDNFailover: with only the public port cut off, players play on from the bucket indefinitely. With the server dead they play
// everything that reached the bucket, keep polling, and resume when it is back.
func TestCDNFailover(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "varnishd", "nginx")
	dir := t.TempDir()
	p := rig.Serve(t, dir, behindEdge)
	c := front(t, p, filepath.Join(dir, "data", "bucket"))
	rig.Shoot(t, p, "cam")
	live := c.playable(t, "cam", 30*time.Second)
	a := gather(t, c.url+"streams/cam.m3u8", p.URL("live/"+live), 8, 2*time.Second)
	td := time.Duration(c.TargetDuration) * time.Second
	rig.Eventually(t, 40*time.Second, "everybody plays", func() bool { return a.newest() >= 3 })
	if n := len(c.bucket.log.since(time.Time{})); n > 0 {
		t.Errorf("the bucket was asked %d times while the server is well", n)
	}

	c.uploaded(t, p, live)
	shut := time.Now()
	c.tap.shut()
	time.Sleep(rig.Scaled(2*time.Minute, 12*time.Second))
	fromBucket := len(c.bucket.log.since(shut))
	reopened := time.Now()
	if wait := a.waitBetween(shut, reopened); wait > 3*td {
		t.Errorf("with the port shut a player waited %v for a segment", wait)
	}
	if late := a.silence(reopened); late > 3*td {
		t.Errorf("with the port shut a player has had nothing for %v", late)
	}
	c.tap.open()
	n := a.newest()
	rig.Eventually(t, 30*time.Second, "the server is asked again", func() bool {
		return a.newest() > n+1 && len(c.tap.log.since(reopened)) > 2
	})

	c.uploaded(t, p, live)
	p.Signal(syscall.SIGKILL, 10*time.Second)
	died := time.Now()
	_, body := c.askBucket(t, live)
	m, err := m3u8.ParseMedia([]byte(body))
	if err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	last := int64(m.MediaSequence) + int64(len(m.Segments)) - 1
	rig.Eventually(t, 20*time.Second, "everybody has played all that reached the bucket", func() bool { return a.newest() >= last })
	time.Sleep(rig.Scaled(time.Minute, 3*td))
	p.Start()
	back := time.Now()
	rig.Eventually(t, 60*time.Second, "everybody plays on", func() bool { return a.newest() >= last+3 })
	a.good()
	resumed := a.first(back)
	for i, s := range a.players {
		for k := range s.seen {
			if row := s.seen[k]; row.number == resumed.number && row.got.Sub(resumed.at) > 2*td {
				t.Errorf("player %d resumed %v after the server listed %d", i, row.got.Sub(resumed.at), row.number)
			}
		}
	}
	for _, e := range a.errors() {
		t.Errorf("shown to a player: %s", e)
	}
	t.Logf("the bucket was asked %d times in %v with the port shut, %d times while the server was dead for %v; playing %v after the server was back",
		fromBucket, reopened.Sub(shut).Round(time.Second), len(c.bucket.log.since(died)), back.Sub(died).Round(time.Second), resumed.at.Sub(back).Round(time.Millisecond))
}

// askBucket requests an object directly from the bucket.
func (c *cdn) askBucket(t *testing.T, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+c.bucket.address+c.BucketPath+"/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := plainly.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := readAll(res)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// uploaded waits for a moment at which the bucket has everything that the server lists. At another moment a viewer may have just learned of
// a segment that is still being uploaded.
func (c *cdn) uploaded(t *testing.T, p *rig.Process, live string) {
	t.Helper()
	rig.Eventually(t, 30*time.Second, "the bucket has what the server lists", func() bool {
		req := must(http.NewRequest(http.MethodGet, p.URL("live/"+live), nil))
		req.Header.Set("X-Origin-Secret", cdnSecret)
		res, err := plainly.RoundTrip(req)
		if err != nil {
			return false
		}
		body, err := readAll(res)
		_, there := c.askBucket(t, live)
		return err == nil && string(body) == there
	})
}

// waitBetween returns the longest that any player waited for its next segment between two instants.
func (a *audience) waitBetween(from, to time.Time) (longest time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.players {
		for k := 1; k < len(p.seen); k++ {
			if p.seen[k].got.After(from) && p.seen[k].got.Before(to) {
				longest = max(longest, p.seen[k].got.Sub(p.seen[k-1].got))
			}
		}
	}
	return longest
}

// silence returns for how long the hungriest player has had nothing at an instant.
func (a *audience) silence(at time.Time) (longest time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.players {
		var last time.Time
		for _, s := range p.seen {
			if s.got.Before(at) {
				last = s.got
			}
		}
		longest = max(longest, at.Sub(last))
	}
	return longest
}

// first returns the first number that the server listed after an instant, and when.
func (a *audience) first(after time.Time) (s shown) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n, at := range a.published {
		if at.After(after) && (s.at.IsZero() || n < s.number) {
			s = shown{number: n, at: at}
		}
	}
	return s
}

// TestCDNFailoverStatuses checks for which answers of the server the bucket is asked instead: a playlist's 404 and 403 are passed on, a
// segment's are not.
func TestCDNFailoverStatuses(t *testing.T) {
	t.Parallel()
	rig.Need(t, "nginx")
	p := rig.Serve(t, t.TempDir(), behindEdge) // for its template
	r := rulesFor(t, p, true)
	status := 0
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	origin := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })}
	go func() { _ = origin.Serve(l) }()
	defer origin.Close()
	bucket := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Origin-Secret") != "" {
			t.Error("the bucket was told the secret")
		}
		fmt.Fprint(w, "bucket "+r.URL.Path)
	})}
	b, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = bucket.Serve(b) }()
	defer bucket.Close()
	groups := startGroups(t, r, l.Addr().String(), b.Addr().String())
	ask := func(address, path string) (int, string) {
		res, err := plainly.RoundTrip(must(http.NewRequest(http.MethodGet, "http://"+address+path, nil)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := readAll(res)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	for _, c := range []struct {
		status            int
		playlist, segment bool // come from the bucket
	}{
		{200, false, false}, {304, false, false}, {400, false, false}, {403, false, true}, {404, false, true}, {405, false, false},
		{500, true, true}, {502, true, true}, {503, true, true}, {504, true, true},
	} {
		status = c.status
		for path, fails := range map[string]bool{"/streams/cam.m3u8": c.playlist, "/streams/cam/x/000000001.ts": c.segment} {
			got, body := ask(groups, path)
			want, wantBody := c.status, ""
			if fails {
				want, wantBody = 200, "bucket "+r.BucketPath+path
			}
			if got != want || !strings.HasPrefix(body, wantBody) {
				t.Errorf("the server says %d for %s: %d %q, want %d %q", c.status, path, got, body, want, wantBody)
			}
		}
	}

	// A server behind a firewall that drops packets: each attempt waits its time, then the bucket is asked.
	if runtime.GOOS != "linux" {
		return
	}
	hole := blackHole(t, 0)
	groups = startGroups(t, r, hole, b.Addr().String())
	began := time.Now()
	if got, body := ask(groups, "/streams/cam.m3u8"); got != http.StatusOK || !strings.HasPrefix(body, "bucket") {
		t.Errorf("a server that swallows: %d %q", got, body)
	}
	limit := time.Duration(r.Attempts*r.ConnectionTimeout) * time.Second
	if took := time.Since(began); took < limit-time.Second/2 || took > limit+5*time.Second {
		t.Errorf("the bucket was asked after %v, not %v", took, limit)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// blackHole returns an address that accepts no connection and refuses none: a listener from which nobody accepts, with a full queue. Port 0
// is any.
func blackHole(t *testing.T, port int) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		cancel()
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Skip("this machine's listeners never are full")
	return ""
}
