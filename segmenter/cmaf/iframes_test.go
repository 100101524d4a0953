package cmaf

import (
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// filmed is a configuration with H.264, whose keyframe is so long.
func filmed(t *testing.T, picture int) *Config {
	t.Helper()
	h := &fmp4.Head{Picture: picture, Video: &codec.Video{Codec: codec.H264, SPS: [][]byte{{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}}, PPS: [][]byte{{0x68, 0xee, 0x3c, byte(picture)}}}}
	if err := h.Video.Describe(); err != nil {
		t.Fatal(err)
	}
	return NewConfig(h)
}

// An I-frame playlist says the init segment where it changes; rows without a keyframe, lost ones and those without video are gaps.
func TestIFrames(t *testing.T) {
	all := rows(7)
	all[1].Gap = true
	all[3].Discontinuity = true
	all[5].Discontinuity = true
	a, b := filmed(t, 100), filmed(t, 101)
	l := IFrames{Type: m3u8.VOD, TargetDuration: 4, EndList: true, Dir: "../d/"}
	text := string(l.Append(nil, []Stretch{{Rows: all[:3], Config: a}, {Rows: all[3:4], Config: a}, {Rows: all[4:5], Config: b}, {Rows: all[5:], Config: coded()}}, []m3u8.Range{{Offset: 0, Length: 500}, {Offset: 0, Length: 600}, {}, {Offset: 9, Length: 700}, {Offset: 0, Length: 800}, {Offset: 0, Length: 900}, {Offset: 0, Length: 900}}))
	m, err := m3u8.ParseMedia([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if !m.IFramesOnly || m.Type != m3u8.VOD || !m.EndList || m.MediaSequence != 5 || m.TargetDuration != 4 || len(m.Segments) != 7 || strings.Contains(text, "INDEPENDENT") {
		t.Errorf("%s", text)
	}
	init := func(c *Config) string { return "../d/" + segmenter.InitFile(c.Init(segmenter.VideoTrack).CRC32C) }
	maps := []string{init(a), "", "", init(a), init(b), "", ""}
	for i, s := range m.Segments {
		want := []m3u8.Range{{Length: 500}, {}, {}, {Offset: 9, Length: 700}, {Length: 800}, {}, {}}[i]
		if s.Map != maps[i] || s.MapRange != (m3u8.Range{}) || s.Range != want || s.Gap != (want.Length == 0) || s.URI != "../d/"+segmenter.FragmentFile(uint64(5+i)) ||
			s.Discontinuity != all[i].Discontinuity || !s.ProgramDateTime.Equal(all[i].Start) || s.Duration != all[i].Duration {
			t.Errorf("row %d: %+v", i, s)
		}
	}
	if text = string(l.Append(nil, []Stretch{{Rows: all[:1], Config: a}}, []m3u8.Range{{Length: 1}})); !strings.Contains(text, "#EXT-X-VERSION:5\n") || !strings.Contains(text, "#EXT-X-BYTERANGE:1@0\n") {
		t.Errorf("%s", text)
	}
}

// What a playlist over transport streams says of pictures, the one over tracks says of those of the tracks, with room for the heads of
// fragments.
func TestTracksOfPictures(t *testing.T) {
	m := &m3u8.Master{Variants: []m3u8.Variant{
		{URI: "hi/" + id + "/live.m3u8", Codecs: "avc1.64001f,mp4a.40.2", FrameRate: 25}, {URI: "lo-" + id + ".m3u8", Codecs: "avc1.64001f,mp4a.40.2"},
	}}
	m.IFrames = []m3u8.Variant{{URI: "hi/" + id + "/iframes.m3u8", Bandwidth: 1000}, {URI: "lo-" + id + "_iframes.m3u8", Bandwidth: 500}, {URI: "https://elsewhere/iframes.m3u8"}}
	if err := Tracks(m, "live"); err != nil {
		t.Fatal(err)
	}
	if i := m.IFrames; len(i) != 2 || i[0].URI != "hi/"+id+"/v/iframes.m3u8" || i[1].URI != "lo/"+id+"/v/"+id+"_iframes.m3u8" || i[0].Bandwidth != 1000+8*(96+16*25) || i[1].Bandwidth != 500+8*(96+16*60) {
		t.Errorf("%+v", m.IFrames)
	}
}

// Of a recording of which one keyframe is known, the playlist of pictures is named with twice its rate, and no more than that of a segment.
func TestAddIFrames(t *testing.T) {
	all := rows(3) // 4 s, 1,000 bytes
	all[1].Duration, all[1].Size = segmenter.Clock/2, 150
	all[2].Duration, all[2].Size = segmenter.Clock*2, 0 // it is not said
	for _, c := range []struct {
		uri     string
		picture int
		want    m3u8.Variant
	}{
		{"cam-" + id + ".m3u8", 100, m3u8.Variant{URI: "cam-" + id + "_iframes.m3u8", Bandwidth: 1200}},
		{"cam/" + id + "/live.m3u8", 900, m3u8.Variant{URI: "cam/" + id + "/iframes.m3u8", Bandwidth: 7200}},
		{"cam/" + id + "/live.m3u8", 0, m3u8.Variant{}},
	} {
		m := Measured(c.uri, all, filmed(t, c.picture))
		AddIFrames(m, all, filmed(t, c.picture))
		if c.picture == 0 {
			if len(m.IFrames) != 0 {
				t.Errorf("%+v", m.IFrames)
			}
			continue
		}
		c.want.Codecs, c.want.Width, c.want.Height = "avc1.64001f", 1280, 720
		if len(m.IFrames) != 1 || m.IFrames[0] != c.want {
			t.Errorf("%+v, want %+v", m.IFrames, c.want)
		}
	}
	m := Measured("cam/"+id+"/live.m3u8", all, coded())
	if AddIFrames(m, all, coded()); len(m.IFrames) != 0 {
		t.Errorf("of sound %+v", m.IFrames)
	}
}
