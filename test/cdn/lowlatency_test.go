package cdn

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// lowBehindEdge is behindEdge with low latency, and a window in which delta updates are offered.
const lowBehindEdge = "http: {cdn_secret: {values: [\"" + cdnSecret + "\"]}}\n" +
	"hls: {segment_duration: 2s, target_duration: 2s, max_target_duration: 2s, window: 300s, end_grace: 10s, ended_ttl: 4s, low_latency: true}\nrtsp: {listen: \"\"}\n"

// lowPlayable waits until a stream can be played with low latency through the edge, and returns the path of its media playlist there.
func (c *cdn) lowPlayable(t *testing.T, stream string) (path string) {
	t.Helper()
	rig.Eventually(t, 30*time.Second, stream+" is playable at the edge with low latency", func() bool {
		res, body := c.ask(t, "streams/"+stream+"_ll.m3u8")
		path = "streams/" + lastLine(body)
		return res.StatusCode == http.StatusOK
	})
	return path
}

// edgeOf is the newest that a low-latency playlist has at the server: what it hints at.
func (c *cdn) edgeOf(t *testing.T, p *rig.Process, path string) place {
	t.Helper()
	body := c.atServer(t, p, path)
	_, hint, ok := listed(body)
	if !ok {
		t.Fatalf("no hint in %s", body)
	}
	return hint
}

// end is when the newest part at the server ends.
func (c *cdn) end(t *testing.T, p *rig.Process, path string) time.Time {
	t.Helper()
	return endOf(c.atServer(t, p, path))
}

// atServer is a playlist as the server has it, past the edge.
func (c *cdn) atServer(t *testing.T, p *rig.Process, path string) string {
	t.Helper()
	req, _ := http.NewRequest(http.MethodGet, p.URL("live/"+path), nil)
	req.Header.Set("X-Origin-Secret", cdnSecret)
	res, err := plainly.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := readAll(res)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v: %s", err, res.Status)
	}
	return string(body)
}

func awaiting(path string, at place) string {
	return fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", path, at.sequence, at.part)
}

// TestCDNLowLatency holds what low latency needs of an edge that is set up from the template: those who wait for one thing are one request to the
// server, the directives tell copies apart, and what was refused because it came early is had when it is due.
func TestCDNLowLatency(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "varnishd")
	p := rig.Serve(t, t.TempDir(), lowBehindEdge)
	c := front(t, p, "")
	line := rig.NewValve(t, p.RTMP)
	rig.Shoot(t, p, "cam", rig.Through(line))
	path := c.lowPlayable(t, "cam")
	folder := strings.TrimSuffix(path, "ll.m3u8")

	// A crowd that waits for the playlist with the next part but one, each in words of its own, and for the part that is hinted at.
	const crowd = 200
	for _, what := range []string{"playlist", "part"} {
		at := c.edgeOf(t, p, path)
		at.part++
		url, key := awaiting(path, at), fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d ", at.sequence, at.part)
		if what == "part" {
			at.part--
			url = folder + fmt.Sprintf("%09d.%d.ts", at.sequence, at.part)
			key = "/" + url + " "
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		bodies := map[string]int{}
		for i := range crowd {
			wg.Go(func() {
				own := map[string]string{"playlist": fmt.Sprintf("&viewer=%d", i), "part": fmt.Sprintf("?viewer=%d", i)}[what]
				res, body := c.ask(t, url+own, "Cookie", fmt.Sprintf("id=%d", i))
				mu.Lock()
				defer mu.Unlock()
				bodies[fmt.Sprint(res.StatusCode, body)]++
			})
		}
		wg.Wait()
		if len(bodies) != 1 {
			t.Errorf("of one %s there are %d answers", what, len(bodies))
		}
		for body := range bodies {
			if !strings.HasPrefix(body, "200") {
				t.Errorf("%s: %.300s", url, body)
			}
		}
		c.tap.saw(t, key)
	}

	// Each directive tells copies apart, and other parameters do not.
	at := c.edgeOf(t, p, path)
	whole, old := awaiting(path, at), place{at.sequence, 0}
	for i, url := range []string{whole, whole + "&_HLS_skip=YES", awaiting(path, old), fmt.Sprintf("%s?_HLS_msn=%d", path, at.sequence-1)} {
		for range 2 {
			if res, body := c.ask(t, url+fmt.Sprintf("&x=%d", i)); res.StatusCode != http.StatusOK || !strings.Contains(body, "#EXT-X-PART:") {
				t.Errorf("%s: %s\n%s", url, res.Status, body)
			}
		}
		c.tap.saw(t, url+" ")
	}

	// Who asks again and again for what it has, as video.js does at the end of a segment, sees what is new.
	_, body := c.ask(t, whole)
	rig.Eventually(t, 4*time.Second, "the same request has another answer", func() bool {
		time.Sleep(200 * time.Millisecond)
		_, now := c.ask(t, whole)
		return now != body
	})

	// Too early: refused, as often as it is asked, and had when it is due.
	early := place{c.edgeOf(t, p, path).sequence + 4, 0}
	for range 2 {
		if res, body := c.ask(t, awaiting(path, early)); res.StatusCode != http.StatusBadRequest {
			t.Errorf("too early: %s\n%s", res.Status, body)
		}
	}
	rig.Eventually(t, 20*time.Second, "it is not too early", func() bool { return c.edgeOf(t, p, path).sequence >= early.sequence-1 })
	if res, body := c.ask(t, awaiting(path, early)); res.StatusCode != http.StatusOK || !strings.Contains(body, fmt.Sprintf("%09d.0.ts", early.sequence)) {
		t.Errorf("due now: %s\n%s", res.Status, body)
	}
	c.lateThenDue(t, p, line, path, http.StatusServiceUnavailable)
	for _, v := range c.tap.log.since(time.Time{}) {
		if strings.Contains(v.key, "viewer=") || strings.Contains(v.key, "x=") || v.fields.Get("Cookie") != "" {
			t.Fatalf("the server was asked for %s with %v", v.key, v.fields)
		}
	}
	for _, f := range c.tap.excess(c.rules) {
		t.Error(f)
	}
}

// lateThenDue blocks the uplink while somebody waits for what comes next: after three target durations that is 503, is kept by nobody, and
// the same request is answered when the uplink is back. part is the status of the part that they wait for.
func (c *cdn) lateThenDue(t *testing.T, p *rig.Process, line *rig.Valve, path string, part int) {
	t.Helper()
	line.Hold()
	var next place
	still := 0
	rig.Eventually(t, 10*time.Second, "nothing comes any more", func() bool {
		before := next
		time.Sleep(300 * time.Millisecond)
		if next = c.edgeOf(t, p, path); next == before {
			still++
		}
		return still >= 3
	})
	begun := time.Now()
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if res, body := c.ask(t, awaiting(path, next)); res.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("after %v in vain: %s\n%s", time.Since(begun), res.Status, body)
			}
		})
	}
	wg.Go(func() {
		if res, body := c.ask(t, strings.TrimSuffix(path, "ll.m3u8")+fmt.Sprintf("%09d.%d.ts", next.sequence, next.part)); res.StatusCode != part {
			t.Errorf("a part, in vain: %s\n%s", res.Status, body)
		}
	})
	wg.Wait()
	if took := time.Since(begun); took < time.Duration(3*c.TargetDuration)*time.Second-200*time.Millisecond {
		t.Errorf("it was held for %v", took)
	}
	line.Release()
	res, body := c.ask(t, awaiting(path, next))
	if _, hint, ok := listed(body); res.StatusCode != http.StatusOK || !ok || !next.before(hint) {
		t.Errorf("due now: %s\n%s", res.Status, body)
	}
}

// TestCDNHeldIsNoFailover: a request that is held is not late for the origin group, however long the server may hold it. What comes of it in
// vain is no reason to ask the bucket, whose playlist is older still.
func TestCDNHeldIsNoFailover(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "varnishd", "nginx")
	p := rig.Serve(t, t.TempDir(), lowBehindEdge+"storage: {url: file://bucket}\nspool: {dir: spool}\n")
	c := front(t, p, filepath.Join(p.Dir, "bucket"))
	if longest := 3 * c.TargetDuration; c.ReadTimeout <= longest || c.ReadTimeout > longest+10 {
		t.Fatalf("the origin's time-out is %d s, and it holds for up to %d", c.ReadTimeout, longest)
	}
	line := rig.NewValve(t, p.RTMP)
	rig.Shoot(t, p, "cam", rig.Through(line))
	path := c.lowPlayable(t, "cam")
	at := c.edgeOf(t, p, path)
	at.sequence++ // in about two seconds
	if res, body := c.ask(t, awaiting(path, at)); res.StatusCode != http.StatusOK || !strings.Contains(body, "#EXT-X-PART-INF:") {
		t.Errorf("%s\n%s", res.Status, body)
	}
	// The bucket is asked for a part that came too late, as for any segment, and has none.
	c.lateThenDue(t, p, line, path, http.StatusNotFound)
	if n := c.bucket.log.of("m3u8"); n != 0 {
		t.Errorf("the bucket was asked for playlists, %d times", n)
	}
}

// TestCDNLowLatencyIsFlat: of a thousand low-latency viewers the server notices no more than of one.
func TestCDNLowLatencyIsFlat(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "varnishd")
	p := rig.Serve(t, t.TempDir(), "http: {cdn_secret: {values: [\""+cdnSecret+"\"]}}\nhls: {low_latency: true}\nrtsp: {listen: \"\"}\n")
	c := front(t, p, "")
	rig.Shoot(t, p, "cam")
	path := c.lowPlayable(t, "cam")
	length := rig.Scaled(60*time.Second, 8*time.Second)
	var alone float64
	for _, n := range []int{1, max(40, int(1000*rig.Scale()))} {
		f := follow(t, c.url+path, n, rig.Scaled(10*time.Second, time.Second))
		f.playing(60 * time.Second)
		from, begin := c.end(t, p, path), time.Now()
		time.Sleep(length)
		seen, lasted := c.tap.log.since(begin), c.end(t, p, path).Sub(from).Seconds()
		f.good(false)
		rate := float64(len(seen)) / lasted
		t.Logf("%d viewers: %d requests at the server for %.1f s of the stream, %.2f for each; %d at the edge, %d parts; %d stalls, longest %v",
			n, len(seen), lasted, rate, f.requests, f.parts, len(f.stalls), f.late.Round(time.Millisecond))
		const edges = 8 // requests: the parts at both ends of the time
		if most := 4.5*lasted + edges; float64(len(seen)) > most {
			t.Errorf("%d viewers are %.2f requests for each second of the stream", n, rate)
		}
		if n == 1 {
			alone = rate
		} else if rate > 1.1*alone+edges/lasted {
			t.Errorf("one viewer is %.2f requests for each second of the stream, %d are %.2f", alone, n, rate)
		}
	}
	for _, f := range c.tap.excess(c.rules) {
		t.Error(f)
	}
}

// TestCDNNginxLowLatency has a crowd wait for one playlist behind the nginx of deploy/nginx: it is one request to the server. nginx looks at what
// another fetches twice a second, so the crowd has it later than at other CDNs, as docs/cdn.md says.
func TestCDNNginxLowLatency(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "nginx")
	p := rig.Serve(t, t.TempDir(), lowBehindEdge)
	c := frontByNginx(t, p)
	rig.Shoot(t, p, "cam")
	path := c.lowPlayable(t, "cam")
	var longest time.Duration
	for range 4 {
		at := c.edgeOf(t, p, path)
		at.part++
		var mu sync.Mutex
		var came []time.Time
		var wg sync.WaitGroup
		for range 30 {
			wg.Go(func() {
				if res, body := c.ask(t, awaiting(path, at)); res.StatusCode != http.StatusOK {
					t.Errorf("%s\n%s", res.Status, body)
				}
				mu.Lock()
				defer mu.Unlock()
				came = append(came, time.Now())
			})
		}
		wg.Wait()
		c.tap.saw(t, awaiting(path, at)+" ")
		longest = max(longest, came[len(came)-1].Sub(came[0]))
	}
	t.Logf("from the first of them to the last: up to %v", longest.Round(time.Millisecond))
}
