package origin

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

const lowManifest = "/live/streams/cam_ll.mpd"

// inParts is what a manifest of low latency says: the parts of each segment, by track and number, with their paths.
func (r *rig) inParts(t *testing.T, m *mpd.MPD) map[string]map[uint64][]string {
	t.Helper()
	all := map[string]map[uint64][]string{}
	for _, p := range m.Periods {
		for _, set := range p.AdaptationSets {
			st := set.Representations[0].SegmentTemplate
			track, number := string(set.ContentType), uint64(*st.StartNumber)
			if all[track] == nil {
				all[track] = map[uint64][]string{}
			}
			for _, s := range st.SegmentTimeline.S {
				for range s.R + 1 {
					if s.K == nil || *s.K == 0 {
						t.Fatalf("%s %d has no parts", track, number)
					}
					for i := range *s.K {
						uri := strings.NewReplacer("$Number%09d$", fmt.Sprintf("%09d", number), "$SubNumber$", fmt.Sprint(i)).Replace(st.Media)
						all[track][number] = append(all[track][number], beside(lowManifest, uri))
					}
					number++
				}
			}
		}
	}
	return all
}

// A manifest of low latency lists segments in parts, which are those of low-latency HLS, and two that are not complete; whoever asks for a
// part of these is let wait.
func TestLowLatencyDASH(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.lowSound("cam", 31*time.Second)
	a := r.get(lowManifest)
	a.want(t, 200, "Cache-Control", "public, max-age=1", "Content-Type", "application/dash+xml")
	m := a.manifest(t)
	if *m.Type != "dynamic" || time.Duration(*m.MinimumUpdatePeriod) != time.Second || len(m.Periods) != 1 || len(m.ServiceDescription) != 2 || len(m.UTCTimings) != 1 {
		t.Errorf("%s", a.body)
	}
	next, _ := r.newest("cam")
	all := r.inParts(t, m)
	for _, track := range []string{"video", "audio"} {
		for n, parts := range all[track] {
			if n >= next {
				continue
			}
			var whole []byte
			for _, p := range parts {
				part := r.get(p)
				part.want(t, 200, "Cache-Control", segmenter.AgeSegment)
				whole = append(whole, part.body...)
			}
			if !bytes.Equal(whole, r.get(parts[0][:strings.LastIndex(parts[0], ".0.")]+".m4s").body) {
				t.Errorf("%s: the parts of %d are not all of it", track, n)
			}
		}
		if n := len(all[track]); n < 4 || all[track][next] == nil || all[track][next+1] == nil || all[track][next+2] != nil || all[track][next-1] == nil {
			t.Errorf("%s: %d segments, of which %d is being written: %v", track, n, next, all[track])
		}
	}
	var waiting []later
	for _, p := range append(all["video"][next], all["audio"][next+1][0]) {
		if sequence, n := r.newest("cam"); sequence != next || !strings.HasSuffix(p, segmenter.FragmentPartFile(next, n)) && !strings.HasSuffix(p, segmenter.FragmentPartFile(next, n+1)) && !strings.HasSuffix(p, segmenter.FragmentPartFile(next+1, 0)) {
			continue
		}
		l := r.ask(p)
		l.waits(t)
		waiting = append(waiting, l)
	}
	if len(waiting) != 3 {
		t.Fatalf("%d wait", len(waiting))
	}
	e.run(5 * time.Second)
	for _, l := range waiting {
		l.answer(t).want(t, 200, "Cache-Control", segmenter.AgeSegment)
	}
	// Nobody is let wait for what lies farther ahead.
	next, _ = r.newest("cam")
	r.get(strings.Replace(all["video"][next-1][0], segmenter.FragmentPartFile(next-1, 0), segmenter.FragmentPartFile(next+2, 0), 1)).want(t, 404)

	before := r.get(lowManifest).manifest(t).Periods[0]
	e.run(4 * time.Second)
	after := r.get(lowManifest).manifest(t).Periods[0]
	if before.Id != after.Id || *before.Start != *after.Start || *before.AdaptationSets[0].Representations[0].SegmentTemplate.PresentationTimeOffset != *after.AdaptationSets[0].Representations[0].SegmentTemplate.PresentationTimeOffset {
		t.Errorf("the period moved: %+v, %+v", before, after)
	}
	past := "?time_delay=8"
	if a, b := r.get(lowManifest+past), r.get("/live/streams/cam.mpd"+past); !bytes.Equal(a.body, b.body) {
		t.Errorf("of another time:\n%s\n%s", a.body, b.body)
	}
	e.end()
	a = r.get(lowManifest)
	if m = a.manifest(t); *m.Type != "static" || r.inParts(t, m)["video"][r.snapshot("cam").Next()] != nil {
		t.Errorf("after the end: %s", a.body)
	}
}

// Where low latency is off there is no such manifest.
func TestWithoutLowLatencyThereIsNoManifestOfIt(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.speak("cam", ingest.AAC).run(21 * time.Second)
	r.get(lowManifest).want(t, 404, "Cache-Control", "max-age=3")
	r.get("/live/streams/none_ll.mpd").want(t, 404, "Cache-Control", "max-age=3")
}

// A segment of another length shows with its own parts, and what follows is not foretold before it is complete. Each breaks off in its own period.
func TestLowLatencyDASHWhereTheCadenceBreaks(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.lowSound("cam", 31*time.Second)
	e.leave()
	e = r.speak("cam", ingest.AAC)
	e.run(6 * time.Second)
	a := r.get(lowManifest)
	m := a.manifest(t)
	next, _ := r.newest("cam")
	all := r.inParts(t, m)
	if len(m.Periods) != 2 || all["video"][next] != nil || all["video"][next-1] == nil {
		t.Errorf("%d is being written: %s", next, a.body)
	}
	for n, parts := range all["video"] {
		for _, p := range parts {
			if got := r.get(p); got.StatusCode != 200 {
				t.Errorf("%s of %d: %d", p, n, got.StatusCode)
			}
		}
	}
	e.run(20 * time.Second)
	if next, _ = r.newest("cam"); r.inParts(t, r.get(lowManifest).manifest(t))["video"][next] == nil {
		t.Errorf("%d is being written: %s", next, r.get(lowManifest).body)
	}
}
