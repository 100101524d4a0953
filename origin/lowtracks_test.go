package origin

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// lowSound makes the rig's app one with low latency, and publishes d of a stream with sound.
func (r *rig) lowSound(stream string, d time.Duration) *speaker {
	r.t.Helper()
	r.reg.Reconfigure(map[string]segmenter.AppOptions{"live": {Window: 24 * time.Second, LowLatency: true}})
	s := r.speak(stream, ingest.AAC)
	s.run(d)
	return s
}

// With low latency the entry of CMAF leads to playlists of tracks that carry its tags, and parts are fragments that a player can begin
// with; one behind the other they are the segment.
func TestTracksOfLowLatency(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	s := r.lowSound("cam", 22*time.Second)
	msn, n := r.newest("cam")
	if n < 2 {
		t.Fatalf("%d has %d parts", msn, n)
	}
	m := r.get("/live/streams/cam_cmaf.m3u8").master(t)
	if len(m.Variants) != 1 || len(m.Renditions) != 1 {
		t.Fatalf("%+v", m)
	}
	early := map[string][]byte{}
	for track, uri := range map[string]string{"v": m.Variants[0].URI, "a": m.Renditions[0].URI} {
		list := beside("/live/streams/cam_cmaf.m3u8", uri)
		a := r.get(list)
		a.want(t, 200, "Cache-Control", "public, max-age=1", "X-Hls-Last-Sequence", strconv.FormatUint(msn-1, 10))
		text := string(a.body)
		other := map[string]string{"v": "a", "a": "v"}[track]
		id := string(r.snapshot("cam").Recording)
		for _, want := range []string{
			"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.500\n", "#EXT-X-PART-INF:PART-TARGET=0.500\n",
			`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="` + segmenter.FragmentPartFile(msn, n) + "\"\n",
			`#EXT-X-RENDITION-REPORT:URI="../../../cam/` + id + "/" + other + `/live.m3u8",LAST-MSN=` + strconv.FormatUint(msn, 10) + ",LAST-PART=" + strconv.Itoa(n-1) + "\n",
			"\n" + segmenter.FragmentFile(msn-1) + "\n",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", track, want, text)
			}
		}
		if strings.Contains(text, ".ts") || strings.Count(text, "#EXT-X-MAP:") != 1 {
			t.Errorf("%s:\n%s", track, text)
		}
		init := regexp.MustCompile(`#EXT-X-MAP:URI="([^"]*)"`).FindStringSubmatch(text)
		head := r.get(beside(list, init[1])).body
		for _, p := range regexp.MustCompile(`#EXT-X-PART:DURATION=([0-9.]*),URI="([^"]*)"(,INDEPENDENT=YES)?`).FindAllStringSubmatch(text, -1) {
			body := r.get(beside(list, p[2])).body
			f, err := mp4.DecodeFile(bytes.NewReader(append(bytes.Clone(head), body...)))
			if err != nil || len(f.Segments) != 1 || len(f.Segments[0].Fragments) != 1 {
				t.Fatalf("%s: %v", p[2], err)
			}
			samples, err := f.Segments[0].Fragments[0].GetFullSamples(f.Init.Moov.Mvex.Trex)
			if err != nil {
				t.Fatalf("%s: %v", p[2], err)
			}
			lasts, sync := 0.0, false
			for _, s := range samples {
				lasts += float64(s.Dur) / float64(f.Init.Moov.Trak.Mdia.Mdhd.Timescale)
				sync = sync || s.IsSync()
			}
			if said, _ := strconv.ParseFloat(p[1], 64); lasts < said-.025 || lasts > said+.025 {
				t.Errorf("%s: %s lasts %v, and %v is said", track, p[2], lasts, said)
			}
			if sync != (p[3] != "") {
				t.Errorf("%s: %s has a sync sample: %v, and the playlist says %q", track, p[2], sync, p[3])
			}
			early[track+p[2]] = body
		}
	}
	s.run(6 * time.Second)
	dir := strings.TrimSuffix(r.live("cam"), "live.m3u8")
	for _, track := range []string{"v/", "a/"} {
		for _, number := range []uint64{msn - 1, msn} {
			var all []byte
			for i := range r.snapshot("cam").Count(number) {
				file := segmenter.FragmentPartFile(number, i)
				body := r.get(dir + track + file).body
				if was := early[track[:1]+file]; was != nil && !bytes.Equal(was, body) {
					t.Errorf("%s%s is not what it was", track, file)
				}
				all = append(all, body...)
			}
			if a := r.get(dir + track + segmenter.FragmentFile(number)); a.StatusCode != 200 || !bytes.Equal(all, a.body) {
				t.Errorf("the parts of %s%d are not the segment", track, number)
			}
		}
	}
}

// A part that nobody kept is rendered again as it was, and so is one of which those before are not kept.
func TestPartsOfTracksAreRenderedAnew(t *testing.T) {
	r := newRig(t, Options{FragmentBytes: 1})
	r.serve()
	r.lowSound("cam", 22*time.Second)
	msn, n := r.newest("cam")
	kept := newRig(t, Options{})
	kept.reg = r.reg
	kept.origin = New(Options{Streams: r, Now: time.Now, Archive: r.archive})
	kept.serve()
	dir := strings.TrimSuffix(r.live("cam"), "live.m3u8")
	for i := n - 1; i >= 0; i-- {
		path := dir + "v/" + segmenter.FragmentPartFile(msn, i)
		a, b := r.get(path), kept.get(path)
		if a.want(t, 200); !bytes.Equal(a.body, b.body) || len(a.body) == 0 {
			t.Errorf("part %d is %d bytes, and %d where it was kept", i, len(a.body), len(b.body))
		}
	}
}

// A change of the encoder's settings has an init segment of its own, which stands before the first part that needs it.
func TestPartsOfTracksAfterAChange(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.low("cam", 22*time.Second)
	e.leave()
	sps := bytes.Clone(testSPS)
	sps[3] = 0x28 // another level
	next := r.publish("cam")
	next.track.SPS = [][]byte{sps}
	next.run(2 * time.Second)
	r.tracks = true
	edge := r.edge("cam")
	text := string(r.get(edge).body)
	at := strings.LastIndex(text, "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"")
	if at < 0 || strings.Count(text, "#EXT-X-MAP:") != 2 || !strings.Contains(text[at:], "#EXT-X-PART:") || strings.Contains(text[at:], "#EXTINF") {
		t.Fatalf("%s", text)
	}
	maps := regexp.MustCompile(`#EXT-X-MAP:URI="([^"]*)"`).FindAllStringSubmatch(text, -1)
	if maps[0][1] == maps[1][1] {
		t.Errorf("the same init segment: %s", maps[0][1])
	}
	for _, m := range maps {
		r.get(beside(edge, m[1])).want(t, 200, "Content-Type", "video/mp4")
	}
}

// A delta update of a track's playlist leaves out what that of the transport stream does, and begins with an init segment.
func TestDeltaUpdateOfTracks(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.reg.Reconfigure(map[string]segmenter.AppOptions{"live": {Window: 5 * time.Minute, LowLatency: true}})
	r.publish("cam").run(80 * time.Second)
	r.tracks = true
	whole, delta := string(r.get(r.edge("cam")).body), string(r.get(r.edge("cam")+"?_HLS_skip=YES").body)
	skipped := strings.Count(whole, "#EXTINF") - strings.Count(delta, "#EXTINF")
	for _, want := range []string{"#EXT-X-VERSION:9\n", ",CAN-SKIP-UNTIL=24,", "#EXT-X-SKIP:SKIPPED-SEGMENTS=" + strconv.Itoa(skipped) + "\n#EXT-X-MAP:"} {
		if skipped < 10 || !strings.Contains(delta, want) {
			t.Errorf("%d are left out; no %q in\n%s", skipped, want, delta)
		}
	}
	if strings.Contains(whole, "SKIPPED") || !strings.HasSuffix(whole, delta[strings.Index(delta, "#EXTINF"):]) {
		t.Errorf("whole:\n%s\ndelta:\n%s", whole, delta)
	}
}

// Where low latency is off, and of another time, the playlists of tracks are ordinary ones and know no directives.
func TestOrdinaryTracksStayAsTheyAre(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.publish("cam").run(41 * time.Second)
	r.low("low", 41*time.Second)
	r.tracks = true
	for _, query := range []string{"", "?_HLS_msn=999", "?_HLS_msn=x", "?_HLS_part=1"} {
		a := r.get(r.edge("cam") + query)
		if a.want(t, 200, "Cache-Control", "public, max-age=2, stale-if-error=4"); strings.Contains(string(a.body), "PART") || strings.Contains(string(a.body), "SERVER-CONTROL") {
			t.Errorf("%s", a.body)
		}
	}
	r.get(r.partPath("cam", 3, 0)).want(t, 404, "Cache-Control", "max-age=60")
	at := r.snapshot("low").Rows[2].Start.UTC().Format(time.RFC3339Nano)
	if a := r.get(r.edge("low") + "?start=" + at); a.StatusCode != 200 || strings.Contains(string(a.body), "PART") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	// The rows of both are the same.
	low, plain := string(r.get(r.edge("low")).body), string(r.get(r.edge("cam")).body)
	rows := func(s string) string {
		s = regexp.MustCompile(`(?m)^#EXT-X-(PART|SERVER|PRELOAD|RENDITION).*\n`).ReplaceAllString(s, "")
		s = regexp.MustCompile(`(?m)^#EXT-X-PROGRAM-DATE-TIME.*\n`).ReplaceAllString(s, "")
		return s[:strings.LastIndex(s, ".m4s")]
	}
	if rows(low) != rows(plain) {
		t.Errorf("with low latency:\n%s\nwithout:\n%s", low, plain)
	}
}

// Where CMAF is off there are no parts of it.
func TestWithoutCMAFThereAreNoPartsOfTracks(t *testing.T) {
	r := newRig(t, Options{NoCMAF: []string{"live"}})
	r.serve()
	r.low("cam", 21*time.Second)
	r.tracks = true
	msn, n := r.newest("cam")
	r.get(r.edge("cam")).want(t, 404)
	r.get(r.edge("cam")+"?_HLS_msn="+strconv.FormatUint(msn, 10)).want(t, 404)
	r.get(r.partPath("cam", msn, n-1)).want(t, 404)
	r.get(r.partPath("cam", msn, n)).want(t, 404)
}
