package origin

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// speaker publishes video as encoder does, and AAC or MP3 with it.
type speaker struct {
	encoder
	audio *ingest.Track
	sound []byte
	at    int64 // 90 kHz
}

func (r *rig) speak(stream string, codec ingest.Codec) *speaker {
	r.t.Helper()
	s := &speaker{encoder: *r.publish(stream), sound: bytes.Repeat([]byte{0x21}, 300)}
	s.track.Alone = false
	s.audio = &ingest.Track{Codec: codec, ASC: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2}
	if codec == ingest.MP3 {
		s.audio.ASC = nil
		s.sound = append([]byte{0xFF, 0xFB, 0x94, 0}, make([]byte, 380)...)
	}
	return s
}

func (s *speaker) run(d time.Duration) {
	s.r.t.Helper()
	each := int64(1024 * 90000 / 48000)
	if s.audio.Codec == ingest.MP3 {
		each = 1152 * 90000 / 48000
	}
	for end := s.n + int64(d/(40*time.Millisecond)); s.n < end; {
		for ; s.at <= s.n*3600; s.at += each {
			f := ingest.Frame{Track: s.audio, PTS: s.at, DTS: s.at, Key: true, Units: [][]byte{s.sound}, Arrival: s.r.clock()}
			if err := s.s.WriteFrame(&f); err != nil {
				s.r.t.Fatal(err)
			}
		}
		s.encoder.run(40 * time.Millisecond)
	}
}

// master parses a multivariant playlist of an answer.
func (a reply) master(t testing.TB) *m3u8.Master {
	t.Helper()
	m, err := m3u8.ParseMaster(a.body)
	if err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return m
}

// beside is the path of a URI in the playlist at a path.
func beside(at, uri string) string {
	uri, query, _ := strings.Cut(uri, "?")
	p := path.Join(path.Dir(at), uri)
	if query != "" {
		p += "?" + query
	}
	return p
}

// show is all that a player of CMAF fetches, by path.
type show map[string]reply

// watch fetches what an entry leads to, and holds it to what a player needs.
func (r *rig) watch(t *testing.T, entry string) show {
	t.Helper()
	all := show{}
	fetch := func(p string) reply {
		a := r.get(p)
		a.want(t, 200)
		all[p] = a
		return a
	}
	at, _, _ := strings.Cut(entry, "?")
	m := fetch(entry).master(t)
	uris := map[string]bool{}
	for _, v := range m.Variants {
		uris[v.URI] = true
	}
	for _, s := range m.Renditions {
		uris[s.URI] = true
	}
	for uri := range uris {
		list := beside(at, uri)
		media := fetch(list).media(t)
		from, _, _ := strings.Cut(list, "?")
		var init []byte
		next := int64(-1)
		for i, s := range media.Segments {
			if s.Map != "" {
				init = fetch(beside(from, s.Map)).body
			}
			if s.Gap {
				continue
			}
			body := fetch(beside(from, s.URI)).body
			f, err := mp4.DecodeFile(bytes.NewReader(append(bytes.Clone(init), body...)))
			if err != nil {
				t.Fatalf("%s: %v", s.URI, err)
			}
			if len(f.Segments) != 1 || len(f.Segments[0].Fragments) != 1 {
				t.Fatalf("%s: %d segments", s.URI, len(f.Segments))
			}
			trak := f.Init.Moov.Trak
			samples, err := f.Segments[0].Fragments[0].GetFullSamples(f.Init.Moov.Mvex.Trex)
			if err != nil || len(samples) == 0 {
				t.Fatalf("%s: %d samples, %v", s.URI, len(samples), err)
			}
			first, last := samples[0], samples[len(samples)-1]
			if i > 0 && !s.Discontinuity && next >= 0 {
				if d := int64(first.DecodeTime) - next; d > 1 || d < -1 {
					t.Errorf("%s begins %d ticks after the end of the one before", s.URI, d)
				}
			}
			next = int64(last.DecodeTime) + int64(last.Dur)
			if d := int64(first.DecodeTime)*1000/int64(trak.Mdia.Mdhd.Timescale) - s.ProgramDateTime.UnixMilli(); d < -50_000_000 || d > 50_000_000 {
				t.Errorf("%s: decoded %d ms from its wall time", s.URI, d)
			}
		}
	}
	return all
}

func TestCMAFLive(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.speak("cam", ingest.AAC)
		e.run(45 * time.Second)
		id := string(r.snapshot("cam").Recording)
		all := r.watch(t, "/live/streams/cam_cmaf.m3u8")
		entry := all["/live/streams/cam_cmaf.m3u8"]
		entry.want(t, 200, "Content-Type", "application/vnd.apple.mpegurl", "Cache-Control", "public, max-age=2")
		m := entry.master(t)
		if len(m.Variants) != 1 || m.Variants[0].URI != "cam/"+id+"/v/live.m3u8" || m.Variants[0].Audio != "audio" || m.Variants[0].Codecs != "avc1.64001f,mp4a.40.2" ||
			len(m.Renditions) != 1 || m.Renditions[0].URI != "cam/"+id+"/a/live.m3u8" {
			t.Errorf("entry %+v", m)
		}
		list := all["/live/streams/cam/"+id+"/v/live.m3u8"]
		ts := r.get(r.live("cam"))
		list.want(t, 200, "Content-Type", "application/vnd.apple.mpegurl", "Cache-Control", ts.Header.Get("Cache-Control"), "X-HLS-Last-Sequence", ts.Header.Get("X-HLS-Last-Sequence"),
			"Last-Modified", ts.Header.Get("Last-Modified"))
		plain, media := ts.media(t), list.media(t)
		if len(plain.Segments) != len(media.Segments) || media.MediaSequence != plain.MediaSequence || media.TargetDuration != plain.TargetDuration || !media.IndependentSegments {
			t.Errorf("%+v, and of the transport stream %+v", media, plain)
		}
		if !strings.Contains(string(list.body), "#EXT-X-VERSION:6\n") {
			t.Errorf("version of %s", list.body)
		}
		kinds := map[string]int{}
		for p, a := range all {
			switch path.Ext(p) {
			case ".m4s":
				kinds[p[len(p)-15:len(p)-13]]++
				want := "video/mp4"
				if strings.Contains(p, "/a/") {
					want = "audio/mp4"
				}
				a.want(t, 200, "Content-Type", want, "Cache-Control", "public, max-age=31536000, immutable", "Accept-Ranges", "bytes")
				tag := a.Header.Get("ETag")
				r.get(p, "If-None-Match", tag).want(t, 304, "ETag", tag)
				part := r.get(p, "Range", "bytes=10-19")
				if part.want(t, 206); !bytes.Equal(part.body, a.body[10:20]) {
					t.Errorf("%s: a range has % x", p, part.body)
				}
				if head := r.do("HEAD", p); len(head.body) != 0 || head.Header.Get("Content-Length") != fmt.Sprint(len(a.body)) {
					t.Errorf("%s: HEAD has length %s", p, head.Header.Get("Content-Length"))
				}
			case ".mp4":
				a.want(t, 200, "Cache-Control", "public, max-age=31536000, immutable")
			}
		}
		if len(kinds) != 2 || len(all) != 17 {
			t.Errorf("fetched %d objects", len(all))
		}
		next := r.snapshot("cam").Next()
		for p, status := range map[string]int{
			fmt.Sprintf("/live/streams/cam/%s/v/%09d.m4s", id, next): 404,
			"/live/streams/cam/" + id + "/v/init-00000000.mp4":       404,
			"/live/streams/none_cmaf.m3u8":                           404,
			"/live/streams/none/" + id + "/a/live.m3u8":              404,
		} {
			r.get(p).want(t, status, "Content-Type", "text/plain; charset=utf-8")
		}
		r.get(fmt.Sprintf("/live/streams/cam/%s/v/%09d.m4s", id, next)).want(t, 404, "Cache-Control", "max-age=1")
	})
}

// What is fetched of a running recording, and what is fetched of it after it has ended and left memory, are the same bytes.
func TestCMAFFromTheArchive(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(20 * time.Second)
	e.leave()
	e2 := r.speak("cam", ingest.AAC) // a discontinuity
	e2.run(11 * time.Second)
	e2.end()
	id := r.snapshot("cam").Recording
	timestamped := "/live/streams/cam-" + string(id) + "_cmaf.m3u8"
	before := r.watch(t, timestamped)
	for p, a := range r.watch(t, "/live/streams/cam_cmaf.m3u8") {
		before[p] = a
	}
	for seq := range r.snapshot("cam").Next() {
		p := r.segment("cam", seq)
		r.archive.put(t, p[1:], r.get(p).body)
	}
	for _, p := range []string{r.timestamped("cam"), r.live("cam")} {
		r.archive.put(t, p[1:], r.get(p).body)
	}
	r.forgetful.Store(true)
	for _, cold := range []bool{false, true} {
		if cold { // as after a restart
			now := newRig(t, Options{Archive: r.archive})
			now.forgetful.Store(true)
			now.serve()
			r = now
			// A player that goes on asks for init segments and fragments first.
			for p, a := range before {
				if ext := path.Ext(p); ext == ".mp4" || ext == ".m4s" {
					if got := r.get(p); !bytes.Equal(got.body, a.body) || got.Header.Get("ETag") != a.Header.Get("ETag") {
						t.Errorf("%s: %d, %d bytes, %s; before %d bytes, %s", p, got.StatusCode, len(got.body), got.Header.Get("ETag"), len(a.body), a.Header.Get("ETag"))
					}
				}
			}
		}
		after := r.watch(t, timestamped)
		n := 0
		for p, a := range after {
			b, ok := before[p]
			if p == timestamped {
				continue // its rates are measured anew
			}
			if n++; !ok || !bytes.Equal(a.body, b.body) || a.Header.Get("ETag") != b.Header.Get("ETag") {
				t.Errorf("%s: known before: %v, %d bytes, %s; before %d bytes, %s", p, ok, len(a.body), a.Header.Get("ETag"), len(b.body), b.Header.Get("ETag"))
			}
		}
		m := after[timestamped].master(t)
		if n < 15 || len(m.Variants) != 1 || m.Variants[0].Width != 1280 || m.Variants[0].Bandwidth < 10_000 || m.Variants[0].Codecs != "avc1.64001f,mp4a.40.2" {
			t.Errorf("%d objects, %+v", n, m)
		}
	}
}

func TestCMAFShift(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.speak("cam", ingest.AAC).run(61 * time.Second)
	s := r.snapshot("cam")
	query := "?start=" + at(s.Rows[2].Start) + "&end=" + at(s.Rows[5].Start)
	all := r.watch(t, "/live/streams/cam_cmaf.m3u8"+query)
	n := 0
	for p, a := range all {
		if strings.Contains(p, "/live.m3u8?") {
			n++
			if got := a.span(t); got != "2-4 vod" {
				t.Errorf("%s has %s", p, got)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d playlists in %v", n, all)
	}
	r.get("/live/streams/cam_cmaf.m3u8?start=yesterday").want(t, 400, "Cache-Control", "no-store")
	r.get("/live/streams/cam_cmaf.m3u8?aws.manifestfilter=video_height:0-100").want(t, 400, "Cache-Control", "no-store")
	if m := r.get("/live/streams/cam_cmaf.m3u8?aws.manifestfilter=video_height:0-1000").master(t); len(m.Variants) != 1 {
		t.Errorf("%+v", m)
	}
}

// A codec without a form in CMAF is refused in words, and an app that has none of it as well; video of such a stream is there.
func TestCMAFRefuses(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.speak("cam", ingest.MP3).run(12 * time.Second)
	id := string(r.snapshot("cam").Recording)
	for p, age := range map[string]string{"/live/streams/cam_cmaf.m3u8": "max-age=3", "/live/streams/cam.mpd": "max-age=3", // the next show may have another codec
		"/live/streams/cam-" + id + "_cmaf.m3u8": "max-age=60", "/live/streams/cam-" + id + ".mpd": "max-age=60", "/live/streams/cam/" + id + "/a/live.m3u8": "max-age=60"} {
		a := r.get(p)
		if a.want(t, 404, "Content-Type", "text/plain; charset=utf-8", "Cache-Control", age); !strings.Contains(string(a.body), "MP3 has no form in CMAF") {
			t.Errorf("%s: %s", p, a.body)
		}
	}
	r.origin.Reconfigure(Rules{NoCMAF: []string{"live"}})
	for p, age := range map[string]string{"/live/streams/cam_cmaf.m3u8": "max-age=3", "/live/streams/cam/" + id + "/v/live.m3u8": "max-age=60"} {
		a := r.get(p)
		if a.want(t, 404, "Cache-Control", age); !strings.Contains(string(a.body), "hls.cmaf is off") {
			t.Errorf("%s: %s", p, a.body)
		}
	}
	r.get("/live/streams/cam.m3u8").want(t, 200)
}

// A segment that is damaged in the archive is 502, is said once, is not kept, and is served when it has been mended.
func TestCMAFDamaged(t *testing.T) {
	said := 0
	r := newRig(t, Options{Warn: func(kind, who, msg string, args ...any) {
		if kind == "http-render" {
			said++
		}
	}})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(20 * time.Second)
	e.end()
	var good []byte
	for seq := range r.snapshot("cam").Next() {
		p := r.segment("cam", seq)
		body := r.get(p).body
		if seq == 1 {
			good = body
			body = append(bytes.Clone(body[:188*3]), body[188*4:]...)
		}
		r.archive.put(t, p[1:], body)
	}
	segment, list := r.segment("cam", 1), r.timestamped("cam")
	r.archive.put(t, list[1:], r.get(list).body)
	r.forgetful.Store(true)
	fragment := strings.Replace(path.Dir(segment)+"/v/"+path.Base(segment), ".ts", ".m4s", 1)
	r.get(fragment).want(t, 502, "Cache-Control", "no-store")
	r.get(fragment).want(t, 502, "Cache-Control", "no-store")
	if said != 2 {
		t.Errorf("said %d times", said)
	}
	other := strings.Replace(fragment, "000000001", "000000002", 1)
	r.get(other).want(t, 200)
	r.archive.put(t, segment[1:], good)
	r.get(fragment).want(t, 200)
	fail := errors.New("the archive is away")
	r.archive.fail.Store(&fail)
	r.get(fragment).want(t, 200) // it is rendered already
	r.get(strings.Replace(fragment, "000000001", "000000003", 1)).want(t, 503)
}

// What is rendered is bounded, and asked for once by however many ask at once.
func TestCMAFCacheIsBounded(t *testing.T) {
	r := newRig(t, Options{FragmentBytes: 300_000})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(45 * time.Second)
	all := r.watch(t, "/live/streams/cam_cmaf.m3u8")
	if n := r.origin.FragmentBytes(); n > 300_000 || n == 0 {
		t.Errorf("%d bytes in the cache", n)
	}
	for p, a := range all {
		if got := r.get(p); path.Ext(p) == ".m4s" && !bytes.Equal(got.body, a.body) {
			t.Errorf("%s is another", p)
		}
	}
}

// Slow readers of the archive hold half of what may be lent at the most, and live viewers find the other half; what a playlist needs of
// a segment in memory needs none of it.
func TestCMAFLiveBesideTheArchive(t *testing.T) {
	r := newRig(t, Options{FragmentBytes: 300_000})
	r.serve()
	r.speak("cam", ingest.AAC).run(21 * time.Second)
	if !r.origin.fragments.lendSlow(290_000) || r.origin.fragments.lendSlow(1) {
		t.Error("the archive got another share")
	}
	if all := r.watch(t, "/live/streams/cam_cmaf.m3u8"); len(all) < 10 {
		t.Errorf("%d objects", len(all))
	}
	r.origin.fragments.giveBackSlow(290_000)
	if !r.origin.fragments.lendSlow(150_000) {
		t.Error("nothing was given back")
	}
	r.origin.fragments.giveBackSlow(150_000)

	if !r.origin.fragments.lend(300_000) {
		t.Error("nothing is lent")
	}
	r.speak("dog", ingest.AAC).run(21 * time.Second)
	id := string(r.snapshot("dog").Recording)
	r.get("/live/streams/dog/"+id+"/v/live.m3u8").want(t, 200)
	r.get("/live/streams/dog/"+id+"/v/000000001.m4s").want(t, 503)
}

// An object that is larger than any segment is not read.
func TestCMAFHugeObject(t *testing.T) {
	said := ""
	r := newRig(t, Options{Warn: func(_, _, msg string, _ ...any) { said = msg }})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(12 * time.Second)
	e.end()
	list, segment := r.timestamped("cam"), r.segment("cam", 1)
	r.archive.put(t, list[1:], r.get(list).body)
	r.archive.put(t, segment[1:], nil)
	if err := os.Truncate(path.Join(r.archive.dir, segment), maxSegment+1); err != nil {
		t.Fatal(err)
	}
	r.forgetful.Store(true)
	fragment := path.Dir(segment) + "/v/000000001.m4s"
	r.get(fragment).want(t, 502, "Cache-Control", "no-store")
	if n := r.origin.FragmentBytes(); n != 0 || !strings.Contains(said, "too large") {
		t.Errorf("%d bytes are lent; said %q", n, said)
	}
}

// The last segment before an end may have no sound: that makes no gap of the sound before it, and the entry of the recording keeps it.
func TestCMAFWithoutTheLastSound(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(22 * time.Second) // the first segment has 2 s, the others 4 s
	e.encoder.run(4 * time.Second)
	e.end()
	id := string(r.snapshot("cam").Recording)
	for _, list := range []string{"live.m3u8", id + ".m3u8"} {
		m := r.get("/live/streams/cam/" + id + "/a/" + list).media(t)
		if len(m.Segments) < 4 || m.Segments[0].Map == "" {
			t.Errorf("%s: %+v", list, m)
		}
		for i, s := range m.Segments {
			if s.Gap {
				t.Errorf("%s: segment %d is a gap", list, i)
			}
		}
	}
	if m := r.get("/live/streams/cam-" + id + "_cmaf.m3u8").master(t); len(m.Renditions) != 1 {
		t.Errorf("%+v", m)
	}
}
