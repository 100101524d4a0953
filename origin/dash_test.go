package origin

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"
	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/id3"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// manifest parses an answer with another's reader.
func (a reply) manifest(t testing.TB) *mpd.MPD {
	t.Helper()
	m, err := mpd.ReadFromString(string(a.body))
	if err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return m
}

// play fetches what a manifest leads to, and holds it to what a player needs: each fragment where the manifest says it is.
func (r *rig) play(t *testing.T, at string) (m *mpd.MPD, fetched []string) {
	t.Helper()
	a := r.get(at)
	a.want(t, 200, "Content-Type", "application/dash+xml")
	m = a.manifest(t)
	from, _, _ := strings.Cut(at, "?")
	fetch := func(uri string) []byte {
		p := beside(from, uri)
		b := r.get(p)
		if b.StatusCode != 200 {
			t.Fatalf("%s: %d %s in %s", p, b.StatusCode, b.body, a.body)
		}
		b.want(t, 200)
		fetched = append(fetched, p)
		return b.body
	}
	for _, p := range m.Periods {
		for _, set := range p.AdaptationSets {
			for _, rep := range set.Representations {
				st := rep.SegmentTemplate
				init := fetch(st.Initialization)
				number, next := *st.StartNumber, uint64(0)
				for _, s := range st.SegmentTimeline.S {
					if s.T != nil {
						next = *s.T
					}
					for range s.R + 1 {
						body := fetch(strings.Replace(st.Media, "$Number%09d$", fmt.Sprintf("%09d", number), 1))
						f, err := mp4.DecodeFile(bytes.NewReader(append(bytes.Clone(init), body...)))
						if err != nil {
							t.Fatal(err)
						}
						samples, err := f.Segments[0].Fragments[0].GetFullSamples(f.Init.Moov.Mvex.Trex)
						if err != nil || len(samples) == 0 {
							t.Fatal(len(samples), err)
						}
						scale := uint64(f.Init.Moov.Trak.Mdia.Mdhd.Timescale)
						if d := (float64(samples[0].PresentationTime())/float64(scale) - float64(next)/90000) * 1000; d > 50 || d < -50 {
							t.Errorf("%s %d is %.1f ms from where the manifest has it", rep.Id, number, d)
						}
						next += s.D
						number++
					}
				}
			}
		}
	}
	return m, fetched
}

func TestDASHLive(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(45 * time.Second)
	for seq := range r.snapshot("cam").Next() { // what leaves memory is here
		p := r.segment("cam", seq)
		if a := r.get(p); a.StatusCode == 200 {
			r.archive.put(t, p[1:], a.body)
		}
	}
	m, fetched := r.play(t, "/live/streams/cam.mpd")
	s := r.snapshot("cam")
	begun, _ := s.Recording.Time()
	r.get("/live/streams/cam.mpd").want(t, 200, "Cache-Control", "public, max-age=2", "Last-Modified", r.get(r.live("cam")).Header.Get("Last-Modified"))
	if *m.Type != "dynamic" || string(m.AvailabilityStartTime) != begun.Format("2006-01-02T15:04:05.000Z") || len(m.Periods) != 1 || len(m.Periods[0].AdaptationSets) != 2 ||
		time.Duration(*m.MinimumUpdatePeriod) != 2*time.Second || time.Duration(*m.TimeShiftBufferDepth) < 20*time.Second || len(m.UTCTimings) != 1 {
		t.Errorf("manifest %s", r.get("/live/streams/cam.mpd").body)
	}
	// The fragments are those of HLS.
	hls := r.watch(t, "/live/streams/cam_cmaf.m3u8")
	for _, p := range fetched {
		if _, ok := hls[p]; !ok {
			t.Errorf("%s is not of HLS", p)
		}
	}
	// The period stays where it was while the window slides.
	before := m.Periods[0]
	e.run(12 * time.Second)
	m, _ = r.play(t, "/live/streams/cam.mpd")
	after := m.Periods[0]
	st1, st2 := before.AdaptationSets[0].Representations[0].SegmentTemplate, after.AdaptationSets[0].Representations[0].SegmentTemplate
	if before.Id != after.Id || *before.Start != *after.Start || *st1.PresentationTimeOffset != *st2.PresentationTimeOffset || *st1.StartNumber == *st2.StartNumber {
		t.Errorf("the period moved: %+v, %+v; %+v, %+v", before, after, st1, st2)
	}
	e.leave()
	e = r.speak("cam", ingest.AAC)
	e.run(9 * time.Second)
	m, _ = r.play(t, "/live/streams/cam.mpd")
	if len(m.Periods) != 2 || *m.Periods[0].Start != *after.Start || *m.Periods[1].Start <= *m.Periods[0].Start {
		t.Errorf("%d periods after a discontinuity", len(m.Periods))
	}
	e.end()
	m, _ = r.play(t, "/live/streams/cam.mpd")
	if *m.Type != "static" || m.MediaPresentationDuration == nil || *m.Periods[0].Start != *after.Start {
		t.Errorf("after the end: %s", r.get("/live/streams/cam.mpd").body)
	}
	whole := "/live/streams/cam-" + string(s.Recording) + ".mpd"
	m, fetched = r.play(t, whole)
	if n := int(r.snapshot("cam").Next()); *m.Type != "static" || len(fetched) != 2*n+4 || *m.Periods[0].Start != 0 {
		t.Errorf("%d fetched of %d segments, %s", len(fetched), n, r.get(whole).body)
	}
	r.get("/live/streams/none.mpd").want(t, 404, "Cache-Control", "max-age=3")
}

// An ad break is an event of the manifests as it is a date range of the playlists: on the air, of the whole, and of another time.
func TestDASHOfAdBreaks(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(14 * time.Second)
	number, err := r.reg.Cue(segmenter.Key{App: "live", Stream: "cam"}, "ad", 8*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	e.run(30 * time.Second)
	s := r.snapshot("cam")
	begun, _ := s.Recording.Time()
	events := func(path string) (all []string) {
		t.Helper()
		m, _ := r.play(t, path)
		for _, s := range m.Periods[0].EventStreams {
			for _, e := range s.Events {
				all = append(all, fmt.Sprint(time.Duration(e.PresentationTime)*time.Millisecond, " ", time.Duration(e.Duration)*time.Millisecond))
			}
		}
		return all
	}
	row := s.Rows[number-s.Base]
	out, live := row.Start.Sub(begun), "/live/streams/cam.mpd"
	if got, want := events(live), fmt.Sprintf("[%v 8s %v 0s]", out, out+8*time.Second); fmt.Sprint(got) != want {
		t.Errorf("live: %v, want %s", got, want)
	}
	whole := "/live/streams/cam-" + string(s.Recording) + ".mpd"
	if got := events(whole); fmt.Sprint(got) != fmt.Sprint(events(live)) {
		t.Errorf("of the whole recording: %v", got)
	}
	middle := row.Start.Add(row.End().Sub(row.Start) + time.Second) // in the second segment of the break, which is the first shown
	if got := events(live + "?start=" + at(middle) + "&end=" + at(middle.Add(20*time.Second))); fmt.Sprint(got) != "[0s 4s 4s 0s]" {
		t.Errorf("of another time: %v", got)
	}
}

// Timed metadata is in the fragments of the pictures, at the time that the answer to who sent it had, on the time lines of HLS and DASH.
func TestMetadataInCMAF(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(10 * time.Second)
	id := string(r.snapshot("cam").Recording)
	list := "/live/streams/cam/" + id + "/v/live.m3u8"
	inband := func() (n int) {
		m, _ := r.play(t, "/live/streams/cam.mpd")
		for _, set := range m.Periods[0].AdaptationSets {
			for _, s := range set.InbandEventStreams {
				if s.SchemeIdUri != "https://aomedia.org/emsg/ID3" || set.ContentType != "video" {
					t.Errorf("%+v in %s", s, set.ContentType)
				}
				n++
			}
		}
		return n
	}
	if n := inband(); n != 1 { // players look no further than the first manifest
		t.Errorf("%d streams of events before there are any", n)
	}
	want := map[string]time.Time{}
	for i := range 4 {
		tag, err := id3.Tag([]id3.Text{{Description: "test", Value: fmt.Sprint("tag ", i)}})
		if err != nil {
			t.Fatal(err)
		}
		place, err := r.reg.Metadata(segmenter.Key{App: "live", Stream: "cam"}, tag)
		if err != nil || place.Deferred != (i == 0) {
			t.Fatal(place, err)
		}
		want[string(tag)] = place.At
		e.run(5 * time.Second)
	}
	e.run(5 * time.Second)
	if n := inband(); n != 1 {
		t.Errorf("%d streams of events", n)
	}
	m, _ := r.play(t, "/live/streams/cam.mpd")
	st := m.Periods[0].AdaptationSets[0].Representations[0].SegmentTemplate
	begun, _ := segmenter.RecordingID(id).Time()
	begun = begun.Add(time.Duration(*m.Periods[0].Start))
	seen := 0
	for _, s := range r.get(list).media(t).Segments {
		f, err := mp4.DecodeFile(bytes.NewReader(r.get(beside(list, s.URI)).body))
		if err != nil {
			t.Fatal(err)
		}
		first := f.Segments[0].Fragments[0]
		start := int64(first.Moof.Traf.Tfdt.BaseMediaDecodeTime()) + int64(first.Moof.Traf.Trun.Samples[0].CompositionTimeOffset)
		for _, box := range first.Children {
			e, ok := box.(*mp4.EmsgBox)
			if !ok {
				continue
			}
			seen++
			at, known := want[string(e.MessageData)]
			if !known {
				t.Errorf("%s: %q", s.URI, e.MessageData)
			}
			hls := s.ProgramDateTime.Add(time.Duration(int64(e.PresentationTime)-start) * time.Second / 90000)
			dash := begun.Add(time.Duration(int64(e.PresentationTime)-int64(*st.PresentationTimeOffset)) * time.Second / 90000)
			if at.IsZero() {
				at = s.ProgramDateTime
			}
			if hls.Sub(at).Abs() > 2*time.Millisecond || dash.Sub(at).Abs() > 2*time.Millisecond {
				t.Errorf("%q is at %v by HLS and %v by DASH, answered was %v", e.MessageData, hls, dash, at)
			}
		}
	}
	if seen != 4 {
		t.Errorf("%d events", seen)
	}
}

func TestDASHFromTheArchiveAndShifted(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(45 * time.Second)
	s := r.snapshot("cam")
	query := "?start=" + at(s.Rows[2].Start) + "&end=" + at(s.Rows[5].Start)
	m, fetched := r.play(t, "/live/streams/cam.mpd"+query)
	if *m.Type != "static" || len(fetched) != 8 || time.Duration(*m.MediaPresentationDuration) != 12*time.Second {
		t.Errorf("%v of %s", fetched, r.get("/live/streams/cam.mpd"+query).body)
	}
	r.get("/live/streams/cam.mpd?start=yesterday").want(t, 400, "Cache-Control", "no-store")
	r.get("/live/streams/cam.mpd?aws.manifestfilter=video_height:0-100").want(t, 400, "Cache-Control", "no-store")
	e.end()
	whole := "/live/streams/cam-" + string(s.Recording) + ".mpd"
	_, before := r.play(t, whole)
	for seq := range r.snapshot("cam").Next() {
		p := r.segment("cam", seq)
		r.archive.put(t, p[1:], r.get(p).body)
	}
	list := r.timestamped("cam")
	r.archive.put(t, list[1:], r.get(list).body)
	r.forgetful.Store(true)
	_, after := r.play(t, whole)
	if fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("from the archive\n%v, before\n%v", after, before)
	}
}

func TestDASHRefusesAndTellsTheTime(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.speak("cam", ingest.MP3).run(12 * time.Second)
	a := r.get("/live/streams/cam.mpd")
	if a.want(t, 404); !strings.Contains(string(a.body), "MP3 has no form") {
		t.Errorf("%s", a.body)
	}
	for _, p := range []string{"/time", "/live/time"} {
		a := r.get(p)
		a.want(t, 200, "Cache-Control", "no-store")
		if at, err := time.Parse(time.RFC3339, strings.TrimSpace(string(a.body))); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("%s: %s, %v", p, a.body, err)
		}
	}
	for _, p := range []string{"/a/b/time", "//time", "/time/", "/-a/time"} {
		r.get(p).want(t, 404)
	}
}

// A channel that has been split or restored has no beginning in memory. What is live is in memory, and a bucket that is away takes
// none of it.
func TestDASHLiveWithoutTheArchive(t *testing.T) {
	r := newRig(t, Options{})
	begun := r.clock().Add(-time.Minute)
	rows := make([]segmenter.Row, 4)
	for i := range rows {
		rows[i] = segmenter.Row{Sequence: 20 + uint64(i), Start: begun.Add(time.Duration(i) * 4 * time.Second), Duration: 4 * segmenter.Clock, Size: 1, Independent: true}
	}
	if err := r.reg.Restore(segmenter.Recovered{
		Key: segmenter.Key{App: "live", Stream: "cam"}, Recording: segmenter.NewRecordingID(begun.Add(-time.Hour)), TargetDuration: 4,
		Base: 20, Rows: rows, Next: 24, LastFrame: r.clock().Add(-time.Second), Variant: variant.Variant{VideoCodec: "avc1.64001f", AudioCodec: "mp4a.40.2"},
	}); err != nil {
		t.Fatal(err)
	}
	r.serve()
	fail := errors.New("the archive is away")
	r.archive.fail.Store(&fail)
	r.speak("cam", ingest.AAC).run(61 * time.Second)
	if s := r.snapshot("cam"); s.Base != 20 || s.Next() < 30 {
		t.Fatalf("numbers from %d to %d", s.Base, s.Next())
	}
	if m, fetched := r.play(t, "/live/streams/cam.mpd"); len(m.Periods) != 1 || len(fetched) < 10 {
		t.Errorf("%d periods, %d fetched", len(m.Periods), len(fetched))
	}
	if all := r.watch(t, "/live/streams/cam_cmaf.m3u8"); len(all) < 10 {
		t.Errorf("%d fetched", len(all))
	}
}

// A rung that is not there takes neither the manifest nor its sound with it.
func TestDASHWithoutARung(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(25 * time.Second)
	e.end()
	id := r.snapshot("cam").Recording
	r.keep(t, "cam", "cam", id, 0, len(r.snapshot("cam").Rows))
	for name, order := range map[string][]string{"the first": {"gone", "cam"}, "the last": {"cam", "gone"}, "all": {"gone"}} {
		text := "#EXTM3U\n"
		for _, rung := range order {
			text += "#EXT-X-STREAM-INF:BANDWIDTH=1000000,CODECS=\"avc1.64001f,mp4a.40.2\"\n" + rung + "-" + string(id) + ".m3u8\n"
		}
		show := segmenter.Name{Kind: segmenter.KindArchive, App: "live", Stream: "show", Recording: id}
		r.archive.put(t, show.String(), []byte(text))
		cold := newRig(t, Options{Archive: r.archive})
		cold.forgetful.Store(true)
		cold.serve()
		show.Kind = segmenter.KindDASHArchive
		if len(order) == 1 {
			cold.get("/"+show.String()).want(t, 404)
			continue
		}
		if m, _ := cold.play(t, "/"+show.String()); len(m.Periods) != 1 || len(m.Periods[0].AdaptationSets) != 2 {
			t.Errorf("without %s: %d periods", name, len(m.Periods))
		}
	}
}
