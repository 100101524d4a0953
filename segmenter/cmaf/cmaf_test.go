package cmaf

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

const id = "2023-08-24_16-02-52.970"

func TestTracks(t *testing.T) {
	m := &m3u8.Master{Variants: []m3u8.Variant{
		{URI: "hi/" + id + "/live.m3u8", Codecs: "avc1.64001f,mp4a.40.2"},
		{URI: "mid/" + id + "/live.m3u8", Codecs: "avc1.64001f,mp4a.40.2"},
		{URI: "lo/" + id + "/live.m3u8", Codecs: "avc1.64001f,mp4a.40.5"},
		{URI: "mute-" + id + ".m3u8", Codecs: "hvc1.1.6.L93.B0"},
		{URI: "sound/" + id + "/live.m3u8", Codecs: "mp4a.40.2"},
	}}
	m.Variants[0].ClosedCaptions, m.Variants[0].VideoRange, m.Captions = "cc", "PQ", []m3u8.Caption{{GroupID: "cc", InstreamID: "CC1"}}
	m.IFrames = []m3u8.Variant{{URI: "hi/" + id + "/iframes.m3u8"}}
	if err := Tracks(m, "live"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range m.Variants {
		got = append(got, v.URI+" "+v.Audio)
	}
	for _, r := range m.Renditions {
		got = append(got, r.GroupID+" "+r.URI)
	}
	want := "hi/ID/v/live.m3u8 audio\nmid/ID/v/live.m3u8 audio\nlo/ID/v/live.m3u8 audio-2\nmute/ID/v/ID.m3u8 \nsound/ID/a/live.m3u8 \naudio hi/ID/a/live.m3u8\naudio-2 lo/ID/a/live.m3u8"
	if s := strings.ReplaceAll(strings.Join(got, "\n"), id, "ID"); s != want {
		t.Errorf("%s\nwant\n%s", s, want)
	}
	if v := m.Variants[0]; v.ClosedCaptions != "cc" || v.VideoRange != "PQ" || len(m.Captions) != 1 || len(m.IFrames) != 1 || m.IFrames[0].URI != "hi/"+id+"/v/iframes.m3u8" {
		t.Errorf("%+v", m)
	}
	var none *NoForm
	if err := Tracks(&m3u8.Master{Variants: []m3u8.Variant{{URI: "a/" + id + "/live.m3u8", Codecs: "avc1.64001f,mp4a.40.34"}}}, "live"); !errors.As(err, &none) || none.Codec != "MP3" {
		t.Error(err)
	}
	if err := Tracks(&m3u8.Master{Variants: []m3u8.Variant{{URI: "https://elsewhere/", Codecs: "avc1.64001f"}}}, "live"); err == nil {
		t.Error("another's variant is taken")
	}
}

// coded is a configuration with AAC alone.
func coded() *Config {
	return NewConfig(&fmp4.Head{Audio: &codec.AACConfig{Object: 2, Announced: 2, RateIndex: 3, Rate: 48000, ChannelConfig: 2, Channels: 2}})
}

func rows(n int) (all []segmenter.Row) {
	at := time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)
	for i := range n {
		all = append(all, segmenter.Row{Sequence: uint64(5 + i), Start: at.Add(time.Duration(i) * 4 * time.Second), Duration: 360000, Size: 1000, Independent: true})
	}
	return all
}

// A stretch begins with its init segment; rows that are lost, and those of a stretch without the track, are gaps.
func TestMedia(t *testing.T) {
	all := rows(4)
	all[1].Gap = true
	all[2].Discontinuity = true
	runs := Split(all)
	if len(runs) != 2 || len(runs[0]) != 2 || len(runs[1]) != 2 {
		t.Fatalf("%v", runs)
	}
	c := coded()
	runs[0][0].Running, runs[0][1].Cues = "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-01-01T00:00:00Z\"\n", "#EXT-X-DATERANGE:ID=\"b\",START-DATE=\"2026-01-01T00:00:02Z\"\n"
	m := Media{TargetDuration: 4, Track: segmenter.AudioTrack, EndList: true}
	text := string(m.Append(nil, []Stretch{{Rows: runs[0], Config: c}, {Rows: runs[1]}}))
	read, err := m3u8.ParseMedia([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	s := read.Segments
	if s[0].Ranges != runs[0][0].Running || s[1].Ranges != runs[0][1].Cues {
		t.Errorf("ad breaks are %q and %q", s[0].Ranges, s[1].Ranges)
	}
	if s[0].Map != segmenter.InitFile(c.Init(segmenter.AudioTrack).CRC32C) || s[0].URI != "000000005.m4s" || s[0].Gap || !s[1].Gap || s[2].Map != "" || !s[2].Gap || !s[2].Discontinuity || !s[3].Gap ||
		read.MediaSequence != 5 || !read.EndList || !strings.Contains(text, "VERSION:8\n") {
		t.Errorf("%s", text)
	}
	if body := c.Init(segmenter.VideoTrack).Body; body != nil {
		t.Errorf("an init segment of %d bytes for no video", len(body))
	}
}

func TestMeasured(t *testing.T) {
	all := rows(3)
	all[1].Size = 4000
	m := Measured("cam-"+id+".m3u8", all, coded())
	if v := m.Variants[0]; v.ClosedCaptions != m3u8.NoCaptions || v.VideoRange != "" {
		t.Errorf("%+v", v)
	}
	hdr := &fmp4.Head{Video: &codec.Video{Codec: codec.H264, SPS: [][]byte{{0x67, 0x6e, 0x10, 0x15, 0xa6, 0xcb, 0x82, 0x83, 0x3f, 0x3e, 0x02, 0xd4, 0x24, 0x40, 0x25, 0, 0, 3, 0, 1, 0, 0, 3, 0, 0x64, 4}}, PPS: [][]byte{{0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0}}}, Captions: true, Channels: codec.CC3}
	if err := hdr.Video.Describe(); err != nil {
		t.Fatal(err)
	}
	if said := Measured("cam-"+id+".m3u8", all, NewConfig(hdr)); said.Variants[0].VideoRange != "PQ" || said.Variants[0].ClosedCaptions != "cc" || len(said.Captions) != 1 || said.Captions[0].InstreamID != "CC3" {
		t.Errorf("%+v", said)
	}
	if v := m.Variants[0]; v.Bandwidth != 8000 || v.AverageBandwidth != 4000 || v.Codecs != "mp4a.40.2" || !m.IndependentSegments {
		t.Errorf("%+v", v)
	}
}

// A rung that has no change of its own goes on through the periods of one that has, each with its own numbers.
func TestManifestOfRungsThatChangeApart(t *testing.T) {
	all, other := rows(6), rows(6)
	for i := range other {
		other[i].Sequence += 100
	}
	of := func(e segmenter.Row) *Config {
		c := coded()
		c.Head.PTS = e.Start.UnixMilli() * 90 & (1<<33 - 1)
		return c
	}
	v := &m3u8.Variant{Codecs: "mp4a.40.2"}
	lines := []Line{
		{Variant: v, Audio: true, Name: "one", Stretches: []Stretch{{Rows: all[:4], Config: of(all[3]), Of: all[3]}, {Rows: all[4:], Config: of(all[5]), Of: all[5], Since: all[4].Sequence}}},
		{Variant: v, Audio: true, Name: "two", Stretches: []Stretch{{Rows: other, Config: of(other[5]), Of: other[5]}}},
	}
	doc := Manifest{Begun: all[0].Start, TargetDuration: 4, Modified: all[5].End()}
	text := string(doc.Append(nil, lines))
	for _, want := range []string{`<Period id="0" start="PT0S">`, `<Period id="0-9" start="PT16S">`, `startNumber="5"`, `startNumber="9"`, `startNumber="105"`, `startNumber="109"`} {
		if strings.Count(text, want) != 1 {
			t.Errorf("not one %s", want)
		}
	}
	offsets := regexp.MustCompile(`presentationTimeOffset="(-?\d+)"`).FindAllStringSubmatch(text, -1)
	if len(offsets) != 4 || offsets[0][1] != offsets[1][1] || offsets[2][1] != offsets[3][1] || offsets[0][1] == offsets[2][1] || strings.Count(text, `d="360000" r="3"`) != 2 || strings.Count(text, `d="360000" r="1"`) != 2 {
		t.Errorf("offsets %v of %s", offsets, text)
	}
}

// Players are to be so far behind that the next segment is there in time: by its duration, the age of the manifest in a cache, what passes
// until it is asked for again, and the loading. A window that is short lets them be no farther than it reaches.
func TestManifestDelay(t *testing.T) {
	for _, c := range []struct {
		target, rows int
		delay        string
	}{{4, 30, "PT9.5S"}, {2, 30, "PT5.5S"}, {1, 30, "PT4.5S"}, {6, 30, "PT13.5S"}, {4, 3, "PT8S"}, {4, 1, "PT4S"}} {
		all := rows(c.rows)
		l := Line{Variant: &m3u8.Variant{Codecs: "mp4a.40.2"}, Audio: true, Name: "one", Stretches: []Stretch{{Rows: all, Config: coded(), Of: all[0]}}}
		doc := Manifest{Begun: all[0].Start, TargetDuration: c.target, Modified: all[c.rows-1].End()}
		if text := string(doc.Append(nil, []Line{l})); !strings.Contains(text, ` suggestedPresentationDelay="`+c.delay+`"`) {
			t.Errorf("target duration %d, %d rows: not %s behind: %.600s", c.target, c.rows, c.delay, text)
		}
	}
}
