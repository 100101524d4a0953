package origin

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// iframesOf holds an I-frame playlist to the media playlist that it is made of, and each of its ranges to one picture.
func (r *rig) iframesOf(t *testing.T, at, media string) *m3u8.Media {
	t.Helper()
	whole := r.get(media).media(t)
	a := r.get(at)
	a.want(t, 200)
	m := a.media(t)
	if !m.IFramesOnly || len(m.Segments) != len(whole.Segments) || m.MediaSequence != whole.MediaSequence || m.TargetDuration != whole.TargetDuration ||
		m.DiscontinuitySequence != whole.DiscontinuitySequence || m.EndList != whole.EndList || m.Type != whole.Type {
		t.Fatalf("%s:\n%s", at, a.body)
	}
	for i := range m.Segments {
		s, w := &m.Segments[i], &whole.Segments[i]
		if s.Duration != w.Duration || !s.ProgramDateTime.Equal(w.ProgramDateTime) || s.Discontinuity != w.Discontinuity {
			t.Fatalf("%s is not as its segment:\n%s", s.URI, a.body)
		}
		if s.Gap {
			continue
		}
		if beside(at, s.URI) != beside(media, w.URI) || s.Map != s.URI || s.MapRange != (m3u8.Range{Length: 2 * mpegts.PacketSize}) {
			t.Fatalf("%s:\n%s", s.URI, a.body)
		}
		piece := func(from m3u8.Range) []byte {
			p := r.do("GET", beside(at, s.URI), "Range", fmt.Sprintf("bytes=%d-%d", from.Offset, from.Offset+from.Length-1))
			p.want(t, 206)
			return p.body
		}
		picture := append(piece(s.MapRange), piece(s.Range)...)
		var d mpegts.Demuxer
		got := &counted{}
		if _, err := d.Read([][]byte{picture}, got); err != nil || got.pictures != 1 || got.sounds != 0 || !got.random {
			t.Fatalf("%s: %+v, %v", s.URI, got, err)
		}
	}
	return m
}

// picturesOf holds the I-frame playlist of a video track to the track's own, and each of its ranges, with its init segment, to the picture that
// its fragment begins with.
func (r *rig) picturesOf(t *testing.T, at, media string) *m3u8.Media {
	t.Helper()
	whole := r.get(media).media(t)
	a := r.get(at)
	a.want(t, 200, "Content-Type", "application/vnd.apple.mpegurl", "Cache-Control", r.get(media).Header.Get("Cache-Control"))
	m := a.media(t)
	if !m.IFramesOnly || len(m.Segments) != len(whole.Segments) || m.MediaSequence != whole.MediaSequence || m.TargetDuration != whole.TargetDuration ||
		m.DiscontinuitySequence != whole.DiscontinuitySequence || m.EndList != whole.EndList || m.Type != whole.Type {
		t.Fatalf("%s:\n%s", at, a.body)
	}
	at, _, _ = strings.Cut(at, "?")
	var init []byte
	for i := range m.Segments {
		s, w := &m.Segments[i], &whole.Segments[i]
		if s.URI != w.URI || s.Map != w.Map || s.Duration != w.Duration || !s.ProgramDateTime.Equal(w.ProgramDateTime) || s.Discontinuity != w.Discontinuity {
			t.Fatalf("%s is not as its segment:\n%s", s.URI, a.body)
		}
		if s.Map != "" {
			init = r.get(beside(at, s.Map)).body
		}
		if s.Gap {
			continue
		}
		p := r.do("GET", beside(at, s.URI), "Range", fmt.Sprintf("bytes=%d-%d", s.Range.Offset, s.Range.Offset+s.Range.Length-1))
		p.want(t, 206)
		f, err := mp4.DecodeFile(bytes.NewReader(slices.Concat(init, r.get(beside(at, s.URI)).body)))
		if err != nil || f.Init == nil {
			t.Fatalf("%s: %v", s.URI, err)
		}
		first := f.Segments[0].Fragments[0]
		samples, err := first.GetFullSamples(f.Init.Moov.Mvex.Trex)
		if err != nil || !bytes.HasSuffix(p.body, samples[0].Data) || len(p.body) != int(first.Moof.Size())+8+len(samples[0].Data) || !samples[0].IsSync() {
			t.Fatalf("%s: a range of %d bytes, and the first of %d samples has %d, %v", s.URI, len(p.body), len(samples), len(samples[0].Data), err)
		}
	}
	return m
}

// filmed is the path of the I-frame playlist that goes with the playlist of a video track.
func filmed(track string) string {
	if strings.HasSuffix(track, "/live.m3u8") {
		return strings.TrimSuffix(track, "live.m3u8") + "iframes.m3u8"
	}
	return strings.TrimSuffix(track, ".m3u8") + "_iframes.m3u8"
}

// counted counts what is in a transport stream.
type counted struct {
	pictures, sounds int
	random           bool
}

func (c *counted) Program(_, _ mpegts.StreamType) error { return nil }
func (c *counted) Begin(u *mpegts.Unit) error {
	if u.Track == mpegts.VideoTrack {
		c.pictures++
		c.random = u.Random
	} else {
		c.sounds++
	}
	return nil
}
func (c *counted) Bytes(mpegts.Track, []byte)   {}
func (c *counted) Packets(mpegts.Track, []byte) {}
func (c *counted) End(mpegts.Track) error       { return nil }

// The entries of CMAF name the pictures of their tracks, of the same segments with the same times, on the air, of the whole recording, of
// another time, and of what a filter leaves.
func TestIFramesOfTracks(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.speak("cam", ingest.AAC)
		e.run(31 * time.Second)
		e.leave()
		e = r.speak("cam", ingest.AAC) // a discontinuity
		e.run(11 * time.Second)
		s := r.snapshot("cam")
		folder, stamped := "/live/streams/cam/"+string(s.Recording)+"/v/", string(s.Recording)
		shift := "?start=" + at(s.Rows[2].Start) + "&end=" + at(s.Rows[5].Start)
		for entry, track := range map[string]string{
			"cam_cmaf.m3u8":                                        folder + "live.m3u8",
			"cam-" + stamped + "_cmaf.m3u8":                        folder + stamped + ".m3u8",
			"cam_cmaf.m3u8" + shift:                                folder + "live.m3u8" + shift,
			"cam_cmaf.m3u8?aws.manifestfilter=video_height:0-1000": folder + "live.m3u8",
		} {
			entry = "/live/streams/" + entry
			m := r.get(entry).master(t)
			if len(m.IFrames) != 1 || m.IFrames[0].Codecs != "avc1.64001f" || m.IFrames[0].Width != m.Variants[0].Width {
				t.Fatalf("%s: %+v", entry, m)
			}
			path, query, _ := strings.Cut(track, "?")
			if query != "" {
				track = beside(entry, m.Variants[0].URI) // with the same instants as it spells them
				_, query, _ = strings.Cut(track, "?")
				query = "?" + query
			}
			if track != path+query || beside(entry, m.Variants[0].URI) != track {
				t.Fatalf("%s: %+v", entry, m)
			}
			at := beside(entry, m.IFrames[0].URI)
			if at != filmed(path)+query {
				t.Fatalf("%s leads to %s", entry, at)
			}
			list := r.picturesOf(t, at, track)
			for _, s := range list.Segments {
				if rate := int(s.Range.Length * 8 * 90000 / s.Duration); s.Gap || rate > m.IFrames[0].Bandwidth {
					t.Errorf("%s: %+v: %d bits per second of %d", entry, s, rate, m.IFrames[0].Bandwidth)
				}
			}
			r.get(at, "If-None-Match", r.get(at).Header.Get("ETag")).want(t, 304)
		}
		r.get(folder+"none_iframes.m3u8").want(t, 404)
		r.get(strings.Replace(folder, "/v/", "/a/", 1)+"iframes.m3u8").want(t, 404)
		r.get(folder+"iframes.m3u8?start=yesterday").want(t, 400, "Cache-Control", "no-store")
		r.origin.Reconfigure(Rules{NoCMAF: []string{"live"}})
		r.get(folder+"iframes.m3u8").want(t, 404)
	})
}

// They are the same from memory and from the archive, over changes of init segments, of a clip too, and with as little memory as there may be.
func TestIFramesOfTracksFromTheArchive(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(22 * time.Second)
	track := *e.track
	track.PPS = [][]byte{{0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0}}
	e.track = &track
	e.run(10 * time.Second)
	e.leave()
	e = r.speak("cam", ingest.AAC)
	e.run(11 * time.Second)
	e.end()
	id := string(r.snapshot("cam").Recording)
	whole, last := "/live/streams/cam/"+id+"/v/"+id+".m3u8", r.snapshot("cam").Next()
	before := map[string]reply{}
	for _, list := range []string{whole, "/live/streams/cam/" + id + "/v/live.m3u8"} {
		r.picturesOf(t, filmed(list), list)
		before[list] = r.get(filmed(list))
	}
	if n := bytes.Count(before[whole].body, []byte("#EXT-X-MAP:")); n != 3 {
		t.Errorf("%d init segments in\n%s", n, before[whole].body)
	}
	for seq := range last {
		p := r.segment("cam", seq)
		r.archive.put(t, p[1:], r.get(p).body)
	}
	for _, list := range []string{r.timestamped("cam"), r.live("cam")} {
		r.archive.put(t, list[1:], r.get(list).body)
	}
	r.archive.put(t, "live/streams/goal-"+id+".m3u8", r.get(r.timestamped("cam")).body)
	cold := newRig(t, Options{Archive: r.archive, FragmentBytes: 1})
	cold.forgetful.Store(true)
	cold.serve()
	for list, was := range before {
		cold.picturesOf(t, filmed(list), list)
		if a := cold.get(filmed(list)); !bytes.Equal(a.body, was.body) || a.Header.Get("ETag") != was.Header.Get("ETag") {
			t.Errorf("%s:\n%s\nwas\n%s", list, a.body, was.body)
		}
	}
	clip := "/live/streams/goal/" + id + "/v/" + id + ".m3u8"
	cold.picturesOf(t, filmed(clip), clip)

	// A segment that is damaged or away is a gap, and not for ever; an archive that is away is no answer.
	lost, damaged := r.segment("cam", 1)[1:], r.segment("cam", 2)[1:]
	good := r.archive.get(t, damaged)
	r.archive.put(t, damaged, good[:100])
	if err := os.Remove(filepath.Join(r.archive.dir, filepath.FromSlash(lost))); err != nil {
		t.Fatal(err)
	}
	forget := func() {
		cold.origin.pages.shrinkTo(0)
		cold.origin.fragments.shrinkTo(0)
	}
	forget()
	for i, s := range cold.get(filmed(whole)).media(t).Segments {
		if s.Gap != (i == 1 || i == 2) {
			t.Errorf("row %d: %+v", i, s)
		}
	}
	fail := errors.New("the archive is away")
	r.archive.fail.Store(&fail)
	forget()
	cold.get(filmed(whole)).want(t, 503, "Cache-Control", "no-store")
}

func TestIFrames(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		e := r.speak("cam", ingest.AAC)
		e.run(31 * time.Second)
		m := r.get("/live/streams/cam.m3u8").master(t)
		if len(m.IFrames) != 1 || m.IFrames[0].Codecs == "" || strings.Contains(m.IFrames[0].Codecs, "mp4a") || m.IFrames[0].Width != m.Variants[0].Width {
			t.Fatalf("%+v", m)
		}
		live := beside("/live/streams/cam.m3u8", m.Variants[0].URI)
		at := beside("/live/streams/cam.m3u8", m.IFrames[0].URI)
		list := r.iframesOf(t, at, live)
		for _, s := range list.Segments {
			if rate := int((s.Range.Offset + s.Range.Length) * 8 * 90000 / s.Duration); s.Gap || rate > m.IFrames[0].Bandwidth {
				t.Errorf("%+v: %d bits per second of %d", s, rate, m.IFrames[0].Bandwidth)
			}
		}
	})
}

// The playlist of pictures is the same whether a recording is on the air, over, or in the archive, for its window and for all of it.
func TestIFramesFromTheArchive(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(40 * time.Second)
	e.leave()
	e2 := r.speak("cam", ingest.AAC) // a discontinuity
	e2.run(11 * time.Second)
	growing := r.iframesOf(t, pictures(r.timestamped("cam")), r.timestamped("cam"))
	if growing.Type != m3u8.Event || growing.Segments[0].URI[:4] != "cam/" {
		t.Errorf("%+v", growing)
	}
	e2.end()
	lists := map[string]string{pictures(r.live("cam")): r.live("cam"), pictures(r.timestamped("cam")): r.timestamped("cam")}
	before := map[string]reply{}
	for at, media := range lists {
		r.iframesOf(t, at, media)
		before[at] = r.get(at)
		before[at].want(t, 200, "Content-Type", "application/vnd.apple.mpegurl", "Cache-Control", r.get(media).Header.Get("Cache-Control"))
		r.get(at, "If-None-Match", before[at].Header.Get("ETag")).want(t, 304)
	}
	for seq := range r.snapshot("cam").Next() {
		p := r.segment("cam", seq)
		r.archive.put(t, p[1:], r.get(p).body)
	}
	for _, media := range lists {
		r.archive.put(t, media[1:], r.get(media).body)
	}
	now := newRig(t, Options{Archive: r.archive}) // as after a restart
	now.forgetful.Store(true)
	now.serve()
	clip := strings.Replace(r.timestamped("cam"), "/cam-", "/goal-", 1) // a clip's segments are those of the recording
	r.archive.put(t, clip[1:], r.get(r.timestamped("cam")).body)
	now.iframesOf(t, pictures(clip), clip)
	for at, media := range lists {
		now.iframesOf(t, at, media)
		if a := now.get(at); !bytes.Equal(a.body, before[at].body) || a.Header.Get("ETag") != before[at].Header.Get("ETag") {
			t.Errorf("%s:\n%s\nwas\n%s", at, a.body, before[at].body)
		}
	}
	fail := errors.New("the archive is away")
	r.archive.fail.Store(&fail)
	for at := range lists {
		now.origin.pages.shrinkTo(0)
		now.get(at).want(t, 503, "Cache-Control", "no-store")
	}
}

// shrinkTo evicts pages until no more than n bytes are left.
func (c *pages) shrinkTo(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.max
	c.max = n
	c.shrink()
	c.max = was
}

// pictures is the path of the I-frame playlist that goes with a media playlist.
func pictures(media string) string {
	if strings.HasSuffix(media, "/live.m3u8") {
		return strings.TrimSuffix(media, "live.m3u8") + "iframes.m3u8"
	}
	return strings.TrimSuffix(media, ".m3u8") + "_iframes.m3u8"
}

// Another time's playlist of pictures is of another time, and a filter keeps the pictures of what it keeps.
func TestIFramesShift(t *testing.T) {
	r := newRig(t, Options{})
	r.serve()
	r.speak("cam", ingest.AAC).run(61 * time.Second)
	s := r.snapshot("cam")
	query := "?start=" + at(s.Rows[2].Start) + "&end=" + at(s.Rows[5].Start)
	m := r.get("/live/streams/cam.m3u8" + query).master(t)
	if len(m.IFrames) != 1 {
		t.Fatalf("%+v", m)
	}
	list := r.get(beside("/live/streams/cam.m3u8", m.IFrames[0].URI))
	if got := list.span(t); got != "2-4 vod" || !list.media(t).IFramesOnly {
		t.Errorf("%s:\n%s", got, list.body)
	}
	r.iframesOf(t, pictures(r.live("cam"))+query, r.live("cam")+query)
	r.iframesOf(t, pictures(r.timestamped("cam"))+query, r.timestamped("cam")+query)
	r.get(pictures(r.live("cam"))+"?start=yesterday").want(t, 400, "Cache-Control", "no-store")
	if m := r.get("/live/streams/cam.m3u8?aws.manifestfilter=video_height:0-1000").master(t); len(m.IFrames) != 1 {
		t.Errorf("%+v", m)
	}
}

// Where a segment is lost, or does not begin with a keyframe, the playlist has a gap; where none does there is no playlist.
func TestIFramesThatAreNone(t *testing.T) {
	said := 0
	r := newRig(t, Options{Warn: func(kind, who, msg string, args ...any) {
		if kind == "http-iframes" {
			said++
		}
	}})
	r.serve()
	e := r.speak("cam", ingest.AAC)
	e.run(30 * time.Second)
	e.end()
	media := r.timestamped("cam")
	for seq := range r.snapshot("cam").Next() {
		p := r.segment("cam", seq)
		body := r.get(p).body
		switch seq {
		case 1:
			body = bytes.Replace(body, []byte{0, 0, 1, 0x65}, []byte{0, 0, 1, 0x41}, 1)
		case 2:
			continue
		case 3:
			body = body[:100]
		}
		r.archive.put(t, p[1:], body)
	}
	r.archive.put(t, media[1:], r.get(media).body)
	r.forgetful.Store(true)
	list := r.iframesOf(t, pictures(media), media)
	for i, s := range list.Segments {
		if gap := i >= 1 && i <= 3; s.Gap != gap {
			t.Errorf("%d: %+v", i, s)
		}
	}
	if said != 1 || !strings.Contains(string(r.get(pictures(media)).body), "#EXT-X-VERSION:8\n") {
		t.Errorf("said %d times; %s", said, r.get(pictures(media)).body)
	}
	// The copy of a listing with a hole is not kept for ever.
	r.archive.put(t, r.path(media, 2), r.archive.get(t, r.path(media, 0)))
	r.origin.pages.shrinkTo(0)
	if list := r.get(pictures(media)).media(t); list.Segments[2].Gap {
		t.Error("a segment that came back is still a gap")
	}
	r.archive.put(t, "live/streams/radio-2020-01-01_00-00-00.000.m3u8", []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-PROGRAM-DATE-TIME:2020-01-01T00:00:00Z\n#EXTINF:4,\nradio/2020-01-01_00-00-00.000/000000000.ts\n#EXT-X-ENDLIST\n"))
	r.archive.put(t, "live/streams/radio/2020-01-01_00-00-00.000/000000000.ts", bytes.Replace(r.archive.get(t, r.path(media, 0)), []byte{0, 0, 1, 0x65}, []byte{0, 0, 1, 0x41}, 1))
	if a := r.get("/live/streams/radio-2020-01-01_00-00-00.000_iframes.m3u8"); !strings.Contains(string(a.body), "begins with a picture") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	} else {
		a.want(t, 404, "Cache-Control", "max-age=3", "Content-Type", "text/plain; charset=utf-8")
	}
	for _, p := range []string{"/live/streams/none/2020-01-01_00-00-00.000/iframes.m3u8", "/live/streams/none-2020-01-01_00-00-00.000_iframes.m3u8"} {
		r.get(p).want(t, 404, "Cache-Control", "max-age=60")
	}
}

// path is the key of a segment of the recording that a timestamped playlist is of.
func (r *rig) path(timestamped string, sequence uint64) string {
	n, _ := segmenter.ParseName(timestamped[1:])
	n.Kind, n.Sequence = segmenter.KindSegment, sequence
	return n.String()
}

// get is an object as it is stored.
func (d *dirArchive) get(t testing.TB, key string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(d.dir, filepath.FromSlash(key)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The playlist of a stream that is about to begin is waited for, and CMAF being off does not concern it.
func TestIFramesAreWaitedFor(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		r.origin.Reconfigure(Rules{NoCMAF: []string{"live"}})
		e := r.speak("cam", ingest.AAC)
		e.run(time.Second)
		got := make(chan reply)
		go func() { got <- r.get(pictures(r.live("cam"))) }()
		await(t, "a held request", func() bool { return r.origin.Stats().Held.Load() == 1 })
		e.run(20 * time.Second)
		a := <-got
		a.want(t, 200)
		if !a.media(t).IFramesOnly {
			t.Errorf("%s", a.body)
		}
	})
}

// Work is done some at a time; what there was no room for is done once more when nothing else runs, and the first error ends it.
func TestTogether(t *testing.T) {
	var running, most, alone atomic.Int64
	full := make(chan struct{})
	var once sync.Once
	tried := make([]atomic.Int64, 40)
	err := together(len(tried), func(i int) error {
		n := running.Add(1)
		defer running.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == lookups {
			once.Do(func() { close(full) })
		}
		<-full // nobody goes on before all are at work
		if tried[i].Add(1); i%10 == 3 && tried[i].Load() == 1 {
			return fmt.Errorf("segment %d: %w", i, ErrOverload)
		}
		if i%10 == 3 && n == 1 {
			alone.Add(1)
		}
		return nil
	})
	if err != nil || most.Load() != lookups || alone.Load() != 4 {
		t.Errorf("%v; %d at a time, %d alone", err, most.Load(), alone.Load())
	}
	for i := range tried {
		if want := int64(1) + map[bool]int64{true: 1}[i%10 == 3]; tried[i].Load() != want {
			t.Errorf("%d was tried %d times", i, tried[i].Load())
		}
	}
	bad := errors.New("bad")
	if err := together(1000, func(i int) error { return map[bool]error{true: bad}[i == 5] }); err != bad {
		t.Error(err)
	}
	if err := together(3, func(int) error { return ErrOverload }); !errors.Is(err, ErrOverload) {
		t.Error(err)
	}
	if err := together(0, nil); err != nil {
		t.Error(err)
	}
}
