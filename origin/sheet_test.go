package origin

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// What players of CMAF and DASH poll is made once for each segment, and costs no goroutine until the next.
func TestMadeOncePerSegment(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(21 * time.Second)
	live := strings.TrimSuffix(r.live("cam"), "live.m3u8")
	quick := func(path string) bool {
		req := http1.Request{Path: path, Method: http1.MethodGet}
		return r.origin.quick(&req)
	}
	for _, path := range []string{live + "v/live.m3u8", live + "a/live.m3u8", "/live/streams/cam_cmaf.m3u8", "/live/streams/cam.mpd"} {
		if quick(path) {
			t.Errorf("%s is there before anybody asked", path)
		}
		first := r.get(path)
		first.want(t, 200)
		if !quick(path) {
			t.Errorf("%s is made again", path)
		}
		again := r.get(path)
		again.want(t, 200, "Cache-Control", first.Header.Get("Cache-Control"), "ETag", first.Header.Get("ETag"), "Content-Type", first.Header.Get("Content-Type"))
		if !bytes.Equal(again.body, first.body) {
			t.Errorf("%s is another", path)
		}
		e.run(4 * time.Second)
		next := r.get(path)
		next.want(t, 200)
		if entry := strings.HasSuffix(path, "_cmaf.m3u8"); bytes.Equal(next.body, first.body) != entry {
			t.Errorf("%s after the next segment: the same is %v", path, !entry)
		}
		r.get(path+"?start=2000-01-01T00:00:00Z").want(t, 404)
		r.get(path+"?aws.manifestfilter=video_height:0-1").want(t, map[bool]int{true: 200, false: 400}[strings.HasSuffix(path, "live.m3u8")])
	}
	r.origin.Reconfigure(Rules{FailOnStale: true})
	r.get(live+"v/live.m3u8").want(t, 200)
	e.leave()
	if s := r.snapshot("cam").State; s != segmenter.Stalled {
		t.Fatal(s)
	}
	r.get(live+"v/live.m3u8").want(t, 404)
	r.get("/live/streams/cam.mpd").want(t, 404)
	r.forgetful.Store(true)
	r.get(live+"a/live.m3u8").want(t, 404)
}
