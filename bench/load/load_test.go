//go:build linux

package load

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// stage serves a stream whose playlist a test sets.
type stage struct {
	mu       sync.Mutex
	playlist string
	chunked  bool
}

func (s *stage) set(text string) { s.mu.Lock(); defer s.mu.Unlock(); s.playlist = text }

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.URL.Path == "/entry.m3u8":
		http.Redirect(w, r, "/a/master.m3u8?x=1", http.StatusFound)
	case r.URL.Path == "/a/master.m3u8":
		http.SetCookie(w, &http.Cookie{Name: "who", Value: "me", Path: "/"})
		fmt.Fprint(w, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb/live.m3u8\n")
	case r.URL.Path == "/a/b/live.m3u8":
		if c, err := r.Cookie("who"); err != nil || c.Value != "me" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprint(w, s.playlist)
	case strings.HasSuffix(r.URL.Path, ".ts"):
		segment := bytes.Repeat(append([]byte{0x47}, make([]byte, 187)...), 100)
		if s.chunked {
			_, _ = w.Write(segment[:188])
			_ = http.NewResponseController(w).Flush()
			segment = segment[188:]
		}
		_, _ = w.Write(segment)
	default:
		http.NotFound(w, r)
	}
}

func playlist(sequence int, names ...string) string {
	b := fmt.Sprintf("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:%d\n", sequence)
	for _, n := range names {
		b += "#EXTINF:2.000,\n" + n + ".ts\n"
	}
	return b
}

func open(t *testing.T, s *stage) (Target, *Playlist) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	target, p, err := Resolve(ctx, server.URL+"/entry.m3u8", 1, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return target, p
}

func TestResolveFollowsRedirectsCookiesAndVariants(t *testing.T) {
	target, p := open(t, &stage{playlist: playlist(7, "seven", "eight")})
	if target.Path != "/a/b/live.m3u8" || target.Cookie != "who=me" || p.Next() != 9 || p.Target != 2*time.Second {
		t.Errorf("target %+v, playlist %+v", target, p)
	}
	if path, err := target.Beside(p.Segments[0].URI); err != nil || path != "/a/b/seven.ts" {
		t.Errorf("segment at %q, %v", path, err)
	}
}

func TestPlayerSeesWhatIsWrong(t *testing.T) {
	s := &stage{playlist: playlist(1, "a")}
	target, p := open(t, s)
	w, tally := NewWatch(target, p, 0), &Tally{}
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { w.Player(ctx, 0, time.Millisecond, true, tally) })
	until := func(what string, n *atomic.Int64, least int64) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); n.Load() < least; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d, want %d; %v", what, n.Load(), least, tally.Words())
			}
			<-time.After(time.Millisecond)
		}
	}
	until("segments", &tally.Segments, 1)
	if n := tally.Errors(); n != 0 {
		t.Fatalf("%d errors while all is well: %v", n, tally.Words())
	}
	s.set(playlist(4, "d"))
	until("missed", &tally.Missed, 2)
	s.set(playlist(4, "other"))
	until("renamed", &tally.Renamed, 1)
	s.set(playlist(2, "b"))
	until("backwards", &tally.Backwards, 1)
	s.set("<html>")
	until("failed", &tally.Failed, 1)
	cancel()
	wait.Wait()
}

func TestWatchFindsLateSegments(t *testing.T) {
	p, err := ParsePlaylist([]byte(playlist(1, "a")))
	if err != nil {
		t.Fatal(err)
	}
	w, tally := NewWatch(Target{}, p, 100*time.Millisecond), &Tally{}
	now := w.newer
	next := func(after time.Duration, n int) {
		now = now.Add(after)
		p, _ := ParsePlaylist([]byte(playlist(n, fmt.Sprint(n))))
		w.see(p, now, tally)
	}
	next(3*time.Second, 2)
	if tally.Late.Load() != 0 {
		t.Error("a segment after 1.5 target durations is late")
	}
	next(3200*time.Millisecond, 3)
	if tally.Late.Load() != 1 {
		t.Error("a segment after 1.6 target durations is not late")
	}
}

func TestHammerCountsWholeAnswers(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		target, p := open(t, &stage{playlist: playlist(1, "a"), chunked: chunked})
		var err error
		if target.Path, err = target.Beside(p.Segments[0].URI); err != nil {
			t.Fatal(err)
		}
		h, err := StartHammer(target, false, 8, 2)
		if err != nil {
			t.Fatal(err)
		}
		for h.Read().Requests < 100 {
			<-time.After(time.Millisecond)
		}
		m := h.Read()
		if err := h.Stop(); err != nil {
			t.Fatal(err)
		}
		// At most one answer per connection is in progress.
		if low := m.Bytes / (188 * 100); low < m.Requests-8 || low > m.Requests+8 || m.Failed > 0 || m.Took.N() < 100 {
			t.Errorf("chunked %v: %d requests, %d bytes, %d failed", chunked, m.Requests, m.Bytes, m.Failed)
		}
	}
}

func TestHammerCountsFailures(t *testing.T) {
	target, _ := open(t, &stage{playlist: playlist(1, "a")})
	target.Path = "/nothing"
	h, err := StartHammer(target, true, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for h.Read().Failed == 0 {
		<-time.After(time.Millisecond)
	}
	if err := h.Stop(); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error %v", err)
	}
}

func TestProbeWaitsForTheNextSegment(t *testing.T) {
	s := &stage{playlist: playlist(1, "a")}
	target, p := open(t, s)
	probe := NewProbe(target, p)
	defer probe.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	begin := time.Now()
	time.AfterFunc(20*time.Millisecond, func() { s.set(playlist(1, "a", "b")) })
	listed, fetched, err := probe.Await(ctx, time.Millisecond)
	if err != nil || listed.Sub(begin) < 20*time.Millisecond || fetched.Before(listed) {
		t.Errorf("listed after %v, fetched after %v, %v", listed.Sub(begin), fetched.Sub(begin), err)
	}
}
