package nodes

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// Players that wait for each part get it at the server that does not have the stream as at the one that has, and when that one has it.
func TestLowLatencyViewersMayAskAnyServer(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	bucket := t.TempDir()
	start := func(name string) *server {
		at := rig.FreeAddress(t)
		return &server{rig.Serve(t, t.TempDir(), strings.Replace(yaml(bucket, name, at, secret), "hls: {", "hls: {low_latency: true, ", 1)), at}
	}
	a, b := start("a"), start("b")
	rig.Shoot(t, b.Process, "cam")
	edge := ""
	rig.Eventually(t, 60*time.Second, "there are parts", func() bool {
		id := b.RecordingOf("cam")
		edge = filepath.Dir(rig.LiveKey("cam", id)) + "/ll.m3u8"
		return id != "" && strings.Count(rig.TryGet(a.URL(edge)), "#EXT-X-PART:") >= 3
	})
	hint := regexp.MustCompile(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="([0-9]{9})\.([0-9]+)\.ts"`)
	var lags []time.Duration
	for range 12 {
		m := hint.FindStringSubmatch(string(a.view("GET", edge, false).body))
		if m == nil {
			t.Fatalf("no hint: %s", a.view("GET", edge, false).body)
		}
		n, _ := strconv.Atoi(m[1])
		reload, part := fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%s", edge, n, m[2]), fmt.Sprintf("%s/%s.%s.ts", filepath.Dir(edge), m[1], m[2])
		type timed struct {
			got
			at time.Time
		}
		ask := func(s *server, path string) chan timed {
			c := make(chan timed, 1)
			go func() {
				x := s.view("GET", path, true)
				c <- timed{x, time.Now()}
			}()
			return c
		}
		there, here, partThere, partHere := ask(b, reload), ask(a, reload), ask(b, part), ask(a, part)
		x, y, px, py := <-there, <-here, <-partThere, <-partHere
		if y.status != x.status || y.status == 200 && !bytes.Equal(y.body, x.body) || y.header != x.header {
			t.Logf("%s: %d %s, not %d %s", reload, y.status, y.header, x.status, x.header) // there may be one part more by then
		}
		if y.status != 200 || py.status != px.status || py.header != px.header || !bytes.Equal(py.body, px.body) {
			t.Errorf("%s: %d; %s: %d %s, not %d %s", reload, y.status, part, py.status, py.header, px.status, px.header)
		}
		lags = append(lags, y.at.Sub(x.at), py.at.Sub(px.at))
	}
	slices.Sort(lags)
	t.Logf("behind by %v in the median, %v at most", lags[len(lags)/2], lags[len(lags)-1])
	if lags[len(lags)/2] > time.Second {
		t.Errorf("behind by %v", lags)
	}
}
