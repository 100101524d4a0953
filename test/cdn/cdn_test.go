package cdn

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// behindEdge is the configuration of a server that serves only the edge. The target duration is 2 s.
const behindEdge = "http: {cdn_secret: {values: [\"" + cdnSecret + "\"]}}\n" +
	"hls: {segment_duration: 2s, target_duration: 2s, window: 20s, end_grace: 10s, ended_ttl: 4s}\nrtsp: {listen: \"\"}\n"

// targetDuration is that of behindEdge, in seconds.
const targetDuration = 2

// plainly requests nothing that it was not told to request.
var plainly = &http.Transport{DisableCompression: true, DisableKeepAlives: true}

// ask requests a path from the edge, and returns its body.
func (c *cdn) ask(t *testing.T, path string, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, c.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := plainly.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// playable waits until a stream can be played through the edge, and returns the URL of its live playlist there.
func (c *cdn) playable(t *testing.T, stream string, within time.Duration) (live string) {
	t.Helper()
	rig.Eventually(t, within, stream+" is playable at the edge", func() bool {
		res, body := c.ask(t, "streams/"+stream+".m3u8")
		if res.StatusCode == http.StatusOK {
			live = "streams/" + lastLine(body)
		}
		return res.StatusCode == http.StatusOK
	})
	return live
}

// begin is when the first segment of a live playlist begins, as a parameter says it.
func (c *cdn) begin(t *testing.T, live string) string {
	t.Helper()
	_, body := c.ask(t, live)
	m, err := m3u8.ParseMedia([]byte(body))
	if err != nil || len(m.Segments) == 0 {
		t.Fatalf("%v in %q", err, body)
	}
	return m.Segments[0].ProgramDateTime.UTC().Format("2006-01-02T15:04:05.000Z")
}

func lastLine(s string) string {
	s = strings.TrimRight(s, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// TestCDNCollapses checks that many viewers are one to the server. It sees each object at most once per age, no viewer sees a 404, and none
// a playlist that was replaced more than a target duration ago.
func TestCDNCollapses(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "varnishd")
	p := rig.Serve(t, t.TempDir(), behindEdge)
	c := front(t, p, "")
	rig.Shoot(t, p, "cam")
	live := c.playable(t, "cam", 30*time.Second)

	// A crowd that requests at once what nobody has requested before.
	begin := time.Now()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if res, body := c.ask(t, live+"?start="+begin.Add(-time.Second).UTC().Format(time.RFC3339)); res.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", res.Status, body)
			}
		})
	}
	wg.Wait()
	if n := c.tap.log.of("?start="); n > 1+int(time.Since(begin)/time.Second) {
		t.Errorf("%d of 100 requests at once reached the server", n)
	}

	n, length := max(30, int(300*rig.Scale())), rig.Scaled(3*time.Minute, 25*time.Second)
	before := len(c.tap.log.since(time.Time{}))
	a := gather(t, c.url+"streams/cam.m3u8", p.URL("live/"+live), n, 4*time.Second)
	time.Sleep(length)
	a.good()
	for _, f := range c.tap.excess(c.rules) {
		t.Error(f)
	}
	for _, e := range a.errors() {
		t.Error(e)
	}
	seen := c.tap.log.since(time.Time{})
	for _, v := range seen {
		if v.fields.Get("Cookie") != "" || v.fields.Get("Origin") != "" || v.fields.Get("X-Origin-Secret") == "" {
			t.Fatalf("%s came with %v", v.key, v.fields)
		}
	}
	ratio := 1 - float64(len(seen)-before)/float64(a.requests)
	t.Logf("%d players, %v: %d requests, %d of them at the server, hit ratio %.4f; superseded playlists for %v, Age at most %d s",
		n, length, a.requests, len(seen)-before, ratio, a.lag.Round(time.Millisecond), a.age)
	if least := 1 - 4/float64(n); ratio < least {
		t.Errorf("hit ratio %.4f, at least %.4f was expected", ratio, least)
	}
	td := time.Duration(c.TargetDuration) * time.Second
	if a.lag >= td || a.age >= c.TargetDuration {
		t.Errorf("a playlist was shown %v after the next was there, with an Age of %d s", a.lag, a.age)
	}
	if len(a.published) == 0 || a.newest() < 3 {
		t.Errorf("nothing was measured: %d numbers, up to %d", len(a.published), a.newest())
	}
	if wait := a.wait(); wait > 3*td {
		t.Errorf("a player waited %v for a segment", wait)
	}
}
