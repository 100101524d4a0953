package origin

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// wantSets holds the playlist of a video track to this: the init segment of each row has the picture parameter set that the row's own
// segment has.
func (r *rig) wantSets(t *testing.T, list string, sets ...[]byte) (maps []string) {
	t.Helper()
	a := r.get(list)
	a.want(t, 200)
	var init []byte
	for i, s := range a.media(t).Segments {
		if s.Map != "" {
			maps = append(maps, beside(list, s.Map))
			init = r.get(maps[len(maps)-1]).body
		}
		ts := r.get(path.Dir(path.Dir(list)) + "/" + strings.Replace(path.Base(s.URI), ".m4s", ".ts", 1)).body
		for _, set := range sets {
			if has := bytes.Contains(ts, set); has != bytes.Contains(init, set) {
				t.Errorf("row %d: the segment has the set % x: %v, and its init segment not so", i, set, has)
			}
		}
		if i > 0 && s.Discontinuity {
			t.Errorf("row %d begins with a discontinuity", i)
		}
	}
	return maps
}

// A parameter set that changes without a discontinuity is another init segment, on the air and from the archive, and those that were
// handed out stay.
func TestInitsOfChangingSets(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	first, second := []byte{0x68, 0xee, 0x3c, 0x80}, []byte{0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0}
	e.run(22 * time.Second) // the first segment has 2 s, the others 4 s
	list := "/live/streams/cam/" + string(r.snapshot("cam").Recording) + "/v/live.m3u8"
	old := r.wantSets(t, list, first, second)
	track := *e.track
	track.PPS = [][]byte{second}
	e.track = &track
	e.run(6 * time.Second)
	if maps := r.wantSets(t, list, first, second); len(maps) != 2 || maps[0] != old[0] || maps[1] == old[0] {
		t.Errorf("init segments %v, before %v", maps, old)
	}
	e.run(10 * time.Second)
	r.wantSets(t, list, first, second)
	sound := strings.Replace(list, "/v/", "/a/", 1)
	if n := bytes.Count(r.get(sound).body, []byte("#EXT-X-MAP:")); n != 1 {
		t.Errorf("%d init segments of a sound that is the same", n)
	}
	e.end()
	for seq := range r.snapshot("cam").Next() {
		p := r.segment("cam", seq)
		r.archive.put(t, p[1:], r.get(p).body)
	}
	stamped := r.timestamped("cam")
	r.archive.put(t, stamped[1:], r.get(stamped).body)
	cold := newRig(t, Options{Archive: r.archive})
	cold.forgetful.Store(true)
	cold.serve()
	a := cold.get(old[0])
	a.want(t, 200)
	id := string(r.snapshot("cam").Recording)
	if maps := cold.wantSets(t, fmt.Sprintf("/live/streams/cam/%s/v/%s.m3u8", id, id), first, second); len(maps) != 2 || maps[0] != old[0] {
		t.Errorf("from the archive %v, before %v", maps, old)
	}
}

// In DASH a change is a period, which stays the same while its beginning leaves the window, and ends with the next change.
func TestDASHOfChangingSets(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	sets := [][]byte{{0x68, 0xee, 0x3c, 0x80}, {0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0}}
	change := func(to int, d time.Duration) {
		track := *e.track
		track.PPS = [][]byte{sets[to]}
		e.track = &track
		e.run(d)
	}
	e.run(22 * time.Second) // the first segment has 2 s, the others 4 s
	starts := map[string]string{}
	seen := func(want string) {
		t.Helper()
		m, _ := r.play(t, "/live/streams/cam.mpd")
		var ids []string
		for _, p := range m.Periods {
			ids = append(ids, p.Id)
			if at := p.Start.String(); starts[p.Id] == "" {
				starts[p.Id] = at
			} else if starts[p.Id] != at {
				t.Errorf("period %s is at %s, and was at %s", p.Id, at, starts[p.Id])
			}
			video := p.AdaptationSets[0].Representations[0].SegmentTemplate
			init := r.get(beside("/live/streams/cam.mpd", video.Initialization)).body
			ts := r.get(strings.Replace(strings.Replace(beside("/live/streams/cam.mpd", video.Media), "$Number%09d$.m4s", fmt.Sprintf("%09d.ts", *video.StartNumber), 1), "/v/", "/", 1)).body
			for _, set := range sets {
				if bytes.Contains(ts, set) != bytes.Contains(init, set) {
					t.Errorf("period %s: its first segment has not the sets of its init segment", p.Id)
				}
			}
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("periods %s, want %s", got, want)
		}
	}
	seen("0")
	change(1, 8*time.Second)
	e.run(2 * time.Second)
	seen("0 0-6")
	e.run(10 * time.Second)
	seen("0 0-6")
	e.run(20 * time.Second)
	seen("0-6")
	e.run(2 * time.Second)
	change(0, 10*time.Second)
	seen("0-6 0-17")
	change(1, 30*time.Second)
	seen("0-20") // when it was first missed: nobody asked when it came
	e.run(4 * time.Second)
	seen("0-20")
}

// The last segment before a break may be so short that it has no sound, and one in the middle too: the others tell how it is coded.
func TestTrackMissingAtTheEnd(t *testing.T) {
	for _, archived := range []bool{false, true} {
		r := newRig(t, Options{})
		r.serve()
		e := r.speak("cam", ingest.AAC)
		e.run(10 * time.Second) // so it is cut there
		e.encoder.run(200 * time.Millisecond)
		e.leave()
		e = r.speak("cam", ingest.AAC)
		e.run(9 * time.Second)
		s := r.snapshot("cam")
		entry, manifest := "/live/streams/cam_cmaf.m3u8", "/live/streams/cam.mpd"
		if archived {
			whole := "/live/streams/cam-" + string(s.Recording)
			e.end()
			for seq := range r.snapshot("cam").Next() {
				p := r.segment("cam", seq)
				r.archive.put(t, p[1:], r.get(p).body)
			}
			r.archive.put(t, whole[1:]+".m3u8", r.get(whole+".m3u8").body)
			r.forgetful.Store(true)
			entry, manifest = whole+"_cmaf.m3u8", whole+".mpd"
		}
		sound := 0
		for p, a := range r.watch(t, entry) {
			if strings.Contains(p, "/a/") && strings.HasSuffix(p, ".m4s") && len(a.body) > 0 {
				sound++
			}
		}
		m, _ := r.play(t, manifest)
		for i, p := range m.Periods {
			if len(p.AdaptationSets) != 2 {
				t.Errorf("archived %v: period %d has %d tracks", archived, i, len(p.AdaptationSets))
			}
		}
		if len(m.Periods) != 2 || sound < 5 {
			t.Errorf("archived %v: %d periods, %d segments with sound", archived, len(m.Periods), sound)
		}
	}
}
