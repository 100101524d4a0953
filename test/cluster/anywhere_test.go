package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// said is an answer.
type said struct {
	status int
	header http.Header
	body   []byte
}

var client = &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}, Timeout: 60 * time.Second}

// ask asks a server for a path. Fields that say when it answered, or how the connection goes on, are left out.
func (n *node) ask(t *testing.T, method, path, encoding string) said {
	t.Helper()
	req, err := http.NewRequest(method, n.URL(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", encoding)
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s at %s: %v", method, path, n.name, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s at %s: %v", method, path, n.name, err)
	}
	res.Header.Del("Date")
	res.Header.Del("Connection")
	return said{res.StatusCode, res.Header, body}
}

// differs says in what an answer differs from another; "": in nothing.
func (s said) differs(from said) string {
	switch {
	case s.status != from.status:
		return fmt.Sprintf("%d instead of %d: %.200s", s.status, from.status, s.body)
	case !bytes.Equal(s.body, from.body):
		return fmt.Sprintf("another body, of %d bytes instead of %d:\n%.600s\ninstead of\n%.600s", len(s.body), len(from.body), s.body, from.body)
	}
	for name := range maps.Keys(from.header) {
		if !slices.Equal(s.header[name], from.header[name]) {
			return fmt.Sprintf("%s: %q instead of %q", name, s.header[name], from.header[name])
		}
	}
	if len(s.header) != len(from.header) {
		return fmt.Sprintf("%v instead of %v", s.header, from.header)
	}
	return ""
}

var uri = regexp.MustCompile(`(?m)^[^#\n].*$|URI="([^"]+)"`)

// links are what a playlist names, resolved.
func links(path string, body []byte) (all []string) {
	for _, m := range uri.FindAllStringSubmatch(string(body), -1) {
		ref := m[0]
		if m[1] != "" {
			ref = m[1]
		}
		all = append(all, rig.Resolve(path, ref))
	}
	return all
}

// everything are paths of all kinds that a stream has at its owner.
func everything(t *testing.T, owner *node, stream string) (paths []string) {
	t.Helper()
	entries := "live/streams/" + stream
	for _, p := range []string{entries + ".m3u8", entries + "_ll.m3u8", entries + "_cmaf.m3u8", entries + ".mpd", entries + "_ll.mpd"} {
		paths = append(paths, p)
		for _, media := range links(p, owner.ask(t, "GET", p, "identity").body) {
			if !strings.HasSuffix(media, ".m3u8") || slices.Contains(paths, media) {
				continue
			}
			paths = append(paths, media)
			of := links(media, owner.ask(t, "GET", media, "identity").body)
			if n := len(of); n > 4 {
				of = slices.Concat(of[:2], of[n-3:n-1]) // what is hinted at last may be held
			}
			paths = append(paths, of...)
		}
	}
	id := owner.RecordingOf(stream)
	folder := entries + "/" + id + "/"
	return append(paths, rig.ArchiveKey(stream, id), folder+"live.m3u8?time_delay=3", folder+"999999999.ts", folder+"000000000.ts", entries+"none.m3u8")
}

// TestAnyServerAnswers has streams on three servers, and asks each of them for all there is of each: the answers are equal, byte for byte and
// field for field.
func TestAnyServerAnswers(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	t.Parallel()
	v := rig.NewVault(t)
	all := serveAs(t, 3, strings.Replace(rig.Brisk, "hls: {", "hls: {low_latency: true, ", 1), v.YAML())
	streams := max(3, int(30*rig.Scale()))
	for i := range streams {
		rig.Shoot(t, all[i%3].Process, fmt.Sprintf("cam%d", i))
	}
	for i := range streams {
		for _, n := range all {
			rig.Eventually(t, 90*time.Second, fmt.Sprintf("cam%d is on the air at %s", i, n.name), func() bool {
				return strings.Count(rig.TryGet(n.URL(rig.LiveKey(fmt.Sprintf("cam%d", i), all[i%3].RecordingOf(fmt.Sprintf("cam%d", i))))), "#EXTINF") >= 3
			})
		}
	}
	asked := 0
	for i := range streams {
		owner, stream := all[i%3], fmt.Sprintf("cam%d", i)
		for _, path := range everything(t, owner, stream) {
			for _, way := range [][2]string{{"GET", "identity"}, {"GET", "gzip"}, {"HEAD", "gzip"}} {
				for _, n := range all {
					if n == owner {
						continue
					}
					asked++
					why := "never"
					for range 20 { // the owner may have more by now, or less
						before, got, after := owner.ask(t, way[0], path, way[1]), n.ask(t, way[0], path, way[1]), owner.ask(t, way[0], path, way[1])
						if why = got.differs(before); why == "" || got.differs(after) == "" {
							why = ""
							break
						}
						time.Sleep(50 * time.Millisecond)
					}
					if why != "" {
						t.Errorf("%s %s (%s) at %s, of %s: %s", way[0], path, way[1], n.name, owner.name, why)
					}
				}
			}
		}
	}
	t.Logf("%d streams, %d answers compared", streams, asked)
	followed(t, all, "cam0")
}

var last = regexp.MustCompile(`(?m)^(\d+)\.ts$`)

// newest is the newest segment that a server lists.
func (n *node) newest(path string) string {
	m := last.FindAllString(rig.TryGet(n.URL(path)), -1)
	if len(m) == 0 {
		return ""
	}
	return m[len(m)-1]
}

// followed measures how far a server is behind the owner with a playlist, and what a crowd of viewers there costs the owner: one request for
// each version of it.
func followed(t *testing.T, all []*node, stream string) {
	owner, crowd := all[0], 50
	path := rig.LiveKey(stream, owner.RecordingOf(stream))
	pressed := rig.StartPressure()
	seen := make([]map[string]time.Time, len(all))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i, n := range all {
		seen[i] = map[string]time.Time{}
		wg.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
				if now := n.newest(path); now != "" && seen[i][now].IsZero() {
					seen[i][now] = time.Now()
				}
			}
		})
	}
	for range crowd {
		wg.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(500 * time.Millisecond) {
				rig.TryGet(all[1].URL(path))
			}
		})
	}
	rig.Eventually(t, 60*time.Second, "nothing else is followed any more", func() bool { return all[1].Metric("hlsorigin_remote_polls") == 1 })
	const answers = `hlsorigin_remote_requests_total{result="answered"}`
	before, from := all[1].Metric(answers), owner.newest(path)
	time.Sleep(rig.Scaled(60*time.Second, 6*time.Second))
	asked, to := all[1].Metric(answers)-before, owner.newest(path)
	stop()
	wg.Wait()
	versions := 0.0
	for name := range seen[0] {
		if name > from && name <= to {
			versions++
		}
	}
	t.Logf("%d viewers elsewhere of %v versions of a playlist cost its owner %v requests", crowd, versions, asked)
	if asked > versions+2 {
		t.Errorf("the owner was asked %v times for %v versions", asked, versions)
	}
	var behind []time.Duration
	for name, at := range seen[0] {
		for _, there := range seen[1:] {
			if other := there[name]; !other.IsZero() {
				behind = append(behind, other.Sub(at))
			}
		}
	}
	slices.Sort(behind)
	if len(behind) < 6 {
		t.Fatalf("%d new segments were seen", len(behind))
	}
	share := pressed.Share()
	median := behind[len(behind)/2]
	t.Logf("the playlist is %v behind at the median, %v at most; the machine was pressed for %.0f %%", median, behind[len(behind)-1], 100*share)
	if median > 50*time.Millisecond+rig.Slack(share, time.Second) {
		t.Errorf("the playlist is %v behind", median)
	}
}

// TestOwnerSaysNothing stops the process of the server that has a stream, so that it takes connections and answers nobody: viewers at another
// server are answered all the same, soon.
func TestOwnerSaysNothing(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	t.Parallel()
	v := rig.NewVault(t)
	all := serve(t, 2, v.YAML())
	rig.Shoot(t, all[0].Process, "cam")
	live := ""
	rig.Eventually(t, 60*time.Second, "the stream is in the bucket, and at the other server", func() bool {
		live = rig.LiveKey("cam", all[0].RecordingOf("cam"))
		return v.Has(live) && strings.Contains(rig.TryGet(all[1].URL(live)), "#EXTINF")
	})
	paths := append(everything(t, all[0], "cam")[:12], live)
	if err := all[0].Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = all[0].Cmd.Process.Signal(syscall.SIGCONT) }()
	pressed := rig.StartPressure()
	for _, path := range paths {
		began := time.Now()
		got := all[1].ask(t, "GET", path, "identity")
		if took := time.Since(began); took > 4*time.Second+rig.Slack(pressed.Share(), 10*time.Second) {
			t.Errorf("%s: %d after %v", path, got.status, took)
		}
		if strings.HasSuffix(path, "live.m3u8") && !strings.Contains(path, "/v/") && !strings.Contains(path, "/a/") && got.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}
