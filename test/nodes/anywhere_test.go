package nodes

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// got is an answer to a viewer.
type got struct {
	status int
	header string
	body   []byte
}

// view asks as a viewer does, and returns all that does not change with the time.
func (s *server) view(method, path string, gzip bool) got {
	s.T.Helper()
	r, err := http.NewRequest(method, s.URL(path), nil)
	if err != nil {
		s.T.Fatal(err)
	}
	if gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.T.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.T.Fatalf("%s: %v after %d bytes of %v", path, err, len(body), res.Header)
	}
	res.Header.Del("Date")
	res.Header.Del("Connection")
	return got{res.StatusCode, fmt.Sprint(res.Header), body}
}

// Viewers of the server that does not have a stream get what those of the other one do, on every path; many of them cost the other one a request
// for each playlist. When that server dies, they get what they had.
func TestViewersMayAskAnyServer(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	bucket := t.TempDir()
	a, b := serve(t, bucket, "a"), serve(t, bucket, "b")
	rig.Shoot(t, b.Process, "cam")
	live := ""
	rig.Eventually(t, 60*time.Second, "the other server has the playlist", func() bool {
		id := b.RecordingOf("cam")
		live = rig.LiveKey("cam", id)
		return id != "" && strings.Count(rig.TryGet(a.URL(live)), "#EXTINF") >= 3
	})
	folder, entry := filepath.Dir(live)+"/", rig.EntryKey("cam")
	stem := strings.TrimSuffix(entry, ".m3u8")
	whole := strings.TrimSuffix(strings.Replace(folder, "cam/", "cam-", 1), "/")
	paths := []string{
		entry, stem + "_cmaf.m3u8", stem + ".mpd", live, folder + "v/live.m3u8", folder + "a/live.m3u8", folder + "iframes.m3u8", whole + ".m3u8", whole + ".mpd",
		entry + "?aws.manifestfilter=video_bitrate:0-1", "live/streams/none.m3u8", folder + "000009999.ts", "healthz",
	}
	init := regexp.MustCompile(`init-[0-9a-f]{8}\.mp4`).FindString(string(b.view("GET", folder+"v/live.m3u8", false).body))
	paths = append(paths, folder+"v/"+init)
	for _, m := range regexp.MustCompile(`[0-9]{9}\.ts`).FindAllString(rig.TryGet(b.URL(live)), -1) {
		paths = append(paths, folder+m, folder+"v/"+strings.TrimSuffix(m, "ts")+"m4s", folder+"a/"+strings.TrimSuffix(m, "ts")+"m4s")
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD"} {
			var x, y, z got
			rig.Eventually(t, 20*time.Second, method+" "+path+" is the same at both", func() bool { // a segment may come between two requests
				x, y, z = b.view(method, path, true), a.view(method, path, true), b.view(method, path, true)
				same := y.status == x.status && y.header == x.header && bytes.Equal(y.body, x.body)
				if !same && x.header == z.header {
					t.Logf("%s: %d %s\nnot\n%d %s", path, y.status, y.header, x.status, x.header)
				}
				return same
			})
			if want := 200; x.status != want && !strings.Contains(path, "none") && !strings.Contains(path, "9999") && !strings.Contains(path, "filter") {
				t.Errorf("%s: %d", path, x.status)
			}
		}
	}

	// A hundred viewers, for five target durations.
	asked := func() float64 {
		return a.Metric(`hlsorigin_remote_requests_total{result="answered"}`) + a.Metric(`hlsorigin_remote_requests_total{result="unchanged"}`)
	}
	before, began := asked(), time.Now()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			for time.Since(began) < 5*time.Second {
				rig.TryGet(a.URL(live))
				time.Sleep(200 * time.Millisecond)
			}
		})
	}
	var lags []time.Duration
	last := ""
	for time.Since(began) < 5*time.Second {
		if list := rig.TryGet(b.URL(live)); list != last && list != "" {
			last = list
			seen := time.Now()
			for rig.TryGet(a.URL(live)) != list && rig.TryGet(b.URL(live)) == list && time.Since(seen) < 5*time.Second {
				time.Sleep(time.Millisecond)
			}
			lags = append(lags, time.Since(seen))
		}
		time.Sleep(time.Millisecond)
	}
	all.Wait()
	slices.Sort(lags)
	t.Logf("%d new playlists, behind by %v in the median, %v at most, two requests included; %v requests at the owner in %v", len(lags), lags[len(lags)/2], lags[len(lags)-1], asked()-before, time.Since(began))
	if n := asked() - before; n > 100 {
		t.Errorf("%v requests at the owner", n)
	}
	if lags[len(lags)/2] > time.Second {
		t.Errorf("behind by %v", lags)
	}

	newest := rig.TryGet(a.URL(live))
	b.Kill()
	for range 10 {
		x := a.view("GET", live, false)
		if x.status != 200 || bytes.Contains(x.body, []byte("ENDLIST")) || sequence(string(x.body)) < sequence(newest) {
			t.Fatalf("%d %s, not %s", x.status, x.body, newest)
		}
		if x := a.view("GET", entry, false); x.status != 200 {
			t.Fatalf("the entry: %d %s", x.status, x.body)
		}
	}
	b.Start() // it takes its recording up again
	rig.Shoot(t, b.Process, "cam")
	rig.Eventually(t, 60*time.Second, "it goes on", func() bool {
		list := rig.TryGet(a.URL(rig.LiveKey("cam", b.RecordingOf("cam"))))
		return strings.Contains(list, "#EXTINF") && list != newest && sequence(list) != ""
	})
}

// A server dies and the encoder goes to another: viewers of a third one go on with the same recording. They get 200 all the time, no playlist goes
// back, and none says that the recording has ended.
func TestViewersOfAThirdServer(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	bucket := t.TempDir()
	a, b, c := serve(t, bucket, "a"), serve(t, bucket, "b"), serve(t, bucket, "c")
	rig.Shoot(t, b.Process, "cam")
	live := ""
	rig.Eventually(t, 60*time.Second, "the third server has the playlist", func() bool {
		id := b.RecordingOf("cam")
		live = rig.LiveKey("cam", id)
		return id != "" && strings.Count(rig.TryGet(c.URL(live)), "#EXTINF") >= 3
	})
	last, folder := "", filepath.Dir(live)+"/"
	poll := func() string {
		t.Helper()
		x := c.view("GET", live, false)
		list := string(x.body)
		if n := sequence(list); x.status != 200 || strings.Contains(list, "ENDLIST") || n < last {
			t.Fatalf("after %s: %d %s", last, x.status, list)
		} else if n != last {
			last = n
			if y := c.view("GET", folder+n, false); y.status != 200 {
				t.Fatalf("%s is listed, and gives %d %s", n, y.status, y.body)
			}
		}
		if x := c.view("GET", rig.EntryKey("cam"), false); x.status != 200 {
			t.Fatalf("the entry: %d %s", x.status, x.body)
		}
		return list
	}
	poll()
	b.Kill()
	for range 5 {
		poll()
	}
	died, had := time.Now(), last
	rig.Shoot(t, a.Process, "cam")
	rig.Eventually(t, 60*time.Second, "it goes on at the third server", func() bool {
		return strings.Contains(poll(), "#EXT-X-DISCONTINUITY\n") && last > had
	})
	t.Logf("a new segment %v after the death", time.Since(died))
	for range 40 {
		poll()
		time.Sleep(100 * time.Millisecond)
	}
}

// sequence is the last number that a playlist lists.
func sequence(list string) string {
	all := regexp.MustCompile(`[0-9]{9}\.ts`).FindAllString(list, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}
