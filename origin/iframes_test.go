package origin

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
func (c *counted) Bytes(mpegts.Track, []byte)        {}
func (c *counted) Packets(mpegts.Track, *mpegts.Run) {}
func (c *counted) End(mpegts.Track) error            { return nil }

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
