package origin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
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
func (c *counted) Bytes(mpegts.Track, []byte)   {}
func (c *counted) Packets(mpegts.Track, []byte) {}
func (c *counted) End(mpegts.Track) error       { return nil }

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
