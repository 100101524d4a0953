package origin

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// A segment counts as served when its bytes are, not when it is looked at, or made into something else.
func TestServedIsWhatIsSent(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.speak("cam", ingest.AAC).run(21 * time.Second)
	s := r.segment("cam", 1)
	r.get(strings.Replace(path.Dir(s)+"/v/"+path.Base(s), ".ts", ".m4s", 1)).want(t, 200)
	r.get(path.Dir(s)+"/v/live.m3u8").want(t, 200)
	r.do("HEAD", s).want(t, 200)
	if n := r.origin.Stats().FromMemory.Load(); n != 0 {
		t.Errorf("%d segments were served before any was", n)
	}
	r.get(s).want(t, 200)
	if n := r.origin.Stats().FromMemory.Load(); n != 1 {
		t.Errorf("%d segments were served, not one", n)
	}
}

// Whichever way a player follows a stream, it asks for the live playlist once.
func TestRequestsOfALiveStream(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.speak("cam", ingest.AAC).run(21 * time.Second)
	live := path.Dir(r.live("cam"))
	before := int64(0)
	for _, c := range []struct {
		path string
		want int64
	}{
		{live + "/live.m3u8", 1}, {live + "/v/live.m3u8", 1}, {live + "/a/live.m3u8", 0}, {"/live/streams/cam.mpd", 1}, {"/live/streams/cam_cmaf.m3u8", 0}, {"/live/streams/cam.m3u8", 0},
	} {
		for range 2 {
			r.get(c.path).want(t, 200)
			n := int64(0)
			for _, v := range r.reg.Vitals() {
				n += v.Read().Requests
			}
			if n-before != c.want {
				t.Errorf("%s counts %d times", c.path, n-before)
			}
			before = n
		}
	}
}

// What cannot be made of a playlist that was read is not said to be unreadable.
func TestUnmadeIsSaid(t *testing.T) {
	said := ""
	r := newRig(t, Options{Warn: func(kind, _, _ string, _ ...any) { said = kind }})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(12 * time.Second)
	e.end()
	list := r.timestamped("cam")
	r.archive.put(t, list[1:], []byte(strings.ReplaceAll(string(r.get(list).body), "000000001.ts", "another.ts")))
	r.forgetful.Store(true)
	r.get(strings.Replace(list, ".m3u8", "_cmaf.m3u8", 1)).want(t, 503, "Cache-Control", "no-store")
	if said != "http-unmade" {
		t.Errorf("said %q", said)
	}
	if err := r.origin.asRefusal(t.Context(), &ask{}, errors.New("odd")); !errors.Is(err, unmade) {
		t.Error(err)
	}
}
