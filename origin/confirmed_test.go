package origin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// numbers are the first and the last segment of a playlist; the text is what a test may show.
func (a reply) numbers(t *testing.T) (first, last uint64) {
	t.Helper()
	a.want(t, 200)
	m, err := m3u8.ParseMedia(a.body)
	if err != nil {
		t.Fatalf("%v\n%s", err, a.body)
	}
	return m.MediaSequence, m.MediaSequence + uint64(len(m.Segments)) - 1
}

// Where viewers wait for a store, nothing of what it has not confirmed is served in any form, and who asks for a first playlist is held until there
// is one.
func TestUnconfirmedIsNotServed(t *testing.T) {
	engines(t, Options{MaxHold: 20 * time.Second}, func(t *testing.T, r *rig) {
		r.reg.SetConfirmed(true)
		e := r.publish("cam")
		e.run(41 * time.Second)
		line := r.reg.Timeline("live", "cam")
		held := make(chan reply, 1)
		go func() { held <- r.get("/live/streams/cam.m3u8") }()
		eventually(t, func() bool { return r.origin.Stats().Held.Load() > 0 })
		line.Confirm(2)
		entry := <-held
		entry.want(t, 200)

		dir := strings.TrimSuffix(r.live("cam"), "live.m3u8")
		archive := "/live/streams/cam-" + string(line.Recording()) + ".m3u8"
		for confirmed := uint64(2); confirmed < 6; confirmed++ {
			line.Confirm(confirmed)
			for _, path := range []string{r.live("cam"), archive, dir + "v/live.m3u8", dir + "iframes.m3u8", r.live("cam") + "?start=2001-01-01T00:00:00Z"} {
				if strings.Contains(path, "start=") {
					begun, _ := line.Recording().Time()
					path = fmt.Sprint(r.live("cam"), "?start=", begun.Add(time.Second).Unix())
				}
				a := r.get(path)
				if _, last := a.numbers(t); last != confirmed-1 {
					t.Errorf("%s ends with %d, and what comes before %d is confirmed:\n%s", path, last, confirmed, a.body)
				}
			}
			// The first segment is shorter than the others.
			if mpd := string(r.get("/live/streams/cam.mpd").body); confirmed > 2 && !strings.Contains(mpd, fmt.Sprintf(`d="360000" r="%d"/></SegmentTimeline>`, confirmed-2)) {
				t.Errorf("%d segments are confirmed:\n%s", confirmed, mpd)
			}
			r.get(r.segment("cam", confirmed-1)).want(t, 200)
			r.get(r.segment("cam", confirmed)).want(t, 404, "Cache-Control", "max-age=1")
			r.get(dir+fmt.Sprintf("v/%09d.m4s", confirmed)).want(t, 404, "Cache-Control", "max-age=1")
			r.get(r.live("cam")).want(t, 200, "X-HLS-Last-Sequence", fmt.Sprint(confirmed-1))
		}
	})
}

// Low-latency playlists have what is not confirmed, and it is served.
func TestUnconfirmedWithLowLatency(t *testing.T) {
	edges1(t, Options{MaxHold: 20 * time.Second}, func(t *testing.T, r *rig) {
		r.reg.SetConfirmed(true)
		e := r.low("cam", 31*time.Second)
		line := r.reg.Timeline("live", "cam")
		line.Confirm(2)
		_, last := r.get(r.live("cam")).numbers(t)
		_, low := r.get(r.edge("cam")).numbers(t)
		whole := line.Snapshot().Whole().Next()
		if last != 1 || low != whole-1 || whole < 6 {
			t.Fatalf("live.m3u8 ends with %d, low latency with %d, and there are %d segments", last, low, whole)
		}
		r.get(r.segment("cam", low)).want(t, 200)
		r.get(strings.TrimSuffix(r.live("cam"), "live.m3u8")+fmt.Sprintf("v/%09d.m4s", low)).want(t, 200)
		r.get(strings.TrimSuffix(r.live("cam"), "live.m3u8")+segmenter.PartFile(low, 0)).want(t, 200)

		// So has the low-latency manifest, which foretells what follows the newest segment, however long the store takes.
		manifest := func() string { return string(r.get("/live/streams/cam_ll.mpd").body) }
		first := manifest()
		e.run(5 * time.Second)
		if next := line.Snapshot().Whole().Next(); next <= whole || manifest() == first {
			t.Errorf("with %d segments, the manifest is the one of %d:\n%s", next, whole, first)
		}
		whole = line.Snapshot().Whole().Next()
		before := r.get("/live/streams/cam_ll.mpd")
		line.Confirm(3) // that changes nothing in it
		after := r.get("/live/streams/cam_ll.mpd")
		for _, name := range []string{"ETag", "Last-Modified", "X-HLS-Last-Sequence", "X-HLS-Last-Updated"} {
			if was, is := before.Header.Get(name), after.Header.Get(name); was == "" || is != was {
				t.Errorf("%s was %q, and is %q", name, was, is)
			}
		}

		held := make(chan reply, 1)
		go func() { held <- r.get(r.edge("cam") + fmt.Sprintf("?_HLS_msn=%d", whole)) }()
		eventually(t, func() bool { return r.origin.Stats().Held.Load() > 0 })
		e.run(6 * time.Second)
		if _, now := (<-held).numbers(t); now < whole {
			t.Errorf("it ends with %d", now)
		}
		if _, last := r.get(r.live("cam")).numbers(t); last != 2 {
			t.Errorf("live.m3u8 ends with %d", last)
		}
	})
}
