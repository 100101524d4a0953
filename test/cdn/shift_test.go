package cdn

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestCDNTimeShift tests start, end, time_delay and aws.manifestfilter, used correctly and incorrectly in each way, directly and through
// the edge, which distinguishes them and nothing else.
func TestCDNTimeShift(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "varnishd")
	p := rig.Serve(t, t.TempDir(), behindEdge)
	c := front(t, p, "")
	rig.Shoot(t, p, "cam")
	live := c.playable(t, "cam", 30*time.Second)
	entry := "streams/cam.m3u8"
	direct := func(path string) (*http.Response, string) {
		req := must(http.NewRequest(http.MethodGet, p.URL("live/"+path), nil))
		req.Header.Set("X-Origin-Secret", cdnSecret)
		res, err := plainly.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(must(readAll(res)))
	}
	media := func(body string) *m3u8.Media {
		t.Helper()
		m, err := m3u8.ParseMedia([]byte(body))
		if err != nil {
			t.Fatalf("%v in %q", err, body)
		}
		return m
	}
	var m *m3u8.Media
	rig.Eventually(t, 60*time.Second, "five segments are there", func() bool {
		_, body := direct(live)
		m = media(body)
		return len(m.Segments) >= 5
	})
	begin := m.Segments[0].ProgramDateTime
	at := func(d time.Duration) string { return begin.Add(d).UTC().Format("2006-01-02T15:04:05.000Z") }
	span := func(body string) string {
		m := media(body)
		s := fmt.Sprintf("%d-%d", m.MediaSequence, m.MediaSequence+uint64(len(m.Segments))-1)
		switch {
		case m.EndList:
			s += " vod"
		case m.Type == m3u8.Event:
			s += " event"
		default:
			s += " sliding"
		}
		return s
	}
	starts := []time.Duration{0} // of each segment
	for _, s := range m.Segments {
		starts = append(starts, starts[len(starts)-1]+time.Duration(s.Duration)*time.Second/90000)
	}
	mid := func(i int) time.Duration { return (starts[i] + starts[i+1]) / 2 }

	// Each case is requested once from the server and twice from the edge: the second time from its cache.
	for _, k := range []struct {
		path   string
		status int
		want   string // of a media playlist: its span, where "…" is any end
		age    string
		kept   time.Duration // by the edge, at least
	}{
		{live + "?start=" + at(mid(1)) + "&end=" + at(mid(3)), 200, "1-3 vod", "public, max-age=3600", time.Hour},
		{live + "?start=" + fmt.Sprint(begin.Add(mid(2)).Unix()) + "&end=" + at(mid(3)), 200, "", "public, max-age=3600", time.Hour},
		{live + "?start=" + at(mid(1)), 200, "1-… event", "public, max-age=1", time.Second},
		{live + "?start=" + at(mid(1)) + "&end=" + at(time.Hour), 200, "1-… event", "public, max-age=1", time.Second},
		{live + "?end=" + at(mid(1)), 200, "0-… sliding", "public, max-age=1, stale-if-error=2", time.Second},
		{live + "?time_delay=0", 200, "0-… sliding", "public, max-age=1, stale-if-error=2", time.Second},
		{live + "?time_delay=4", 200, "0-… sliding", "public, max-age=1", time.Second},
		{entry + "?start=" + at(mid(1)), 200, "", "public, max-age=1", time.Second},
		{entry + "?aws.manifestfilter=video_height:0-4000;video_codec:h264;audio_codec:aacl", 200, "", "public, max-age=1", time.Second},
		{live + "?start=" + at(-time.Hour), 404, "", "max-age=1", 3 * time.Second},
		{live + "?start=" + at(time.Hour), 404, "", "max-age=1", 3 * time.Second},
		{live + "?time_delay=3600", 404, "", "max-age=1", 3 * time.Second},
		{entry + "?start=" + at(-time.Hour), 404, "", "max-age=1", 3 * time.Second},
		{live + "?start=yesterday", 400, "", "no-store", 10 * time.Second},
		{live + "?start=", 400, "", "no-store", 10 * time.Second},
		{live + "?start=" + at(0) + "&start=" + at(0), 400, "", "no-store", 10 * time.Second},
		{live + "?start=" + at(mid(2)) + "&end=" + at(mid(1)), 400, "", "no-store", 10 * time.Second},
		{live + "?start=" + at(0) + "&time_delay=5", 400, "", "no-store", 10 * time.Second},
		{live + "?time_delay=-1", 400, "", "no-store", 10 * time.Second},
		{live + "?time_delay=1.5", 400, "", "no-store", 10 * time.Second},
		{entry + "?aws.manifestfilter=video_height", 400, "", "no-store", 10 * time.Second},                      // malformed
		{entry + "?aws.manifestfilter=colour:red", 400, "", "no-store", 10 * time.Second},                        // unknown
		{entry + "?aws.manifestfilter=video_codec:av1", 400, "", "no-store", 10 * time.Second},                   // unknown value
		{entry + "?aws.manifestfilter=video_height:0-9;video_height:0-9", 400, "", "no-store", 10 * time.Second}, // twice
		{entry + "?aws.manifestfilter=video_height:9-0", 400, "", "no-store", 10 * time.Second},                  // reversed
		{entry + "?aws.manifestfilter=video_height:4000-5000", 400, "", "no-store", 10 * time.Second},            // nothing is left
	} {
		for turn, ask := range []func(string) (*http.Response, string){
			direct,
			func(path string) (*http.Response, string) { return c.ask(t, path) },
			func(path string) (*http.Response, string) { return c.ask(t, path+"&session=me&_HLS_msn=1") },
		} {
			res, body := ask(k.path)
			if got := res.Header.Get("Cache-Control"); res.StatusCode != k.status || got != k.age {
				t.Errorf("%s, turn %d: %d %q, want %d %q\n%s", k.path, turn, res.StatusCode, got, k.status, k.age, body)
			}
			if k.want != "" && res.StatusCode == http.StatusOK {
				got := span(body)
				if from, kind, open := strings.Cut(k.want, "…"); got != k.want && !(open && strings.HasPrefix(got, from) && strings.HasSuffix(got, kind)) {
					t.Errorf("%s, turn %d: %s, want %s", k.path, turn, got, k.want)
				}
			}
			if hit := strings.HasPrefix(res.Header.Get("X-Cache"), "Hit"); turn == 2 && !hit && k.kept >= 3*time.Second {
				t.Errorf("%s: asked of the server again: %s", k.path, res.Header.Get("X-Cache"))
			}
		}
		if got := c.rules.age(k.path, k.status, k.age); got != k.kept {
			t.Errorf("%s: the edge keeps it for %v, want %v", k.path, got, k.kept)
		}
	}

	// The children of a shifted entry carry the parameters on, and play through the edge.
	res, body := c.ask(t, entry+"?start="+at(mid(1))+"&end="+at(mid(3)))
	child := lastLine(body)
	if u, err := url.Parse(child); res.StatusCode != http.StatusOK || err != nil || u.Query().Get("start") == "" || u.Query().Get("end") == "" {
		t.Fatalf("%s: %s", res.Status, body)
	}
	if res, body := c.ask(t, "streams/"+child); res.StatusCode != http.StatusOK || span(body) != "1-3 vod" {
		t.Errorf("%s: %s %s", child, res.Status, body)
	} else {
		m := media(body)
		if res, _ := c.ask(t, rig.Resolve("streams/"+child[:strings.Index(child, "?")], m.Segments[0].URI)); res.StatusCode != http.StatusOK {
			t.Errorf("its segment: %s", res.Status)
		}
	}

	// A delayed playlist ends that much earlier.
	now := time.Now()
	_, body = direct(live + "?time_delay=4")
	m = media(body)
	end := m.Segments[0].ProgramDateTime
	for _, s := range m.Segments {
		end = end.Add(time.Duration(s.Duration) * time.Second / 90000)
	}
	if off := now.Sub(end); off < 4*time.Second-frame || off > 8*time.Second {
		t.Errorf("a playlist delayed by 4 s ends %v ago", off)
	}
	for _, f := range c.tap.excess(c.rules) {
		t.Error(f)
	}
}
