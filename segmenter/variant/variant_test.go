package variant

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

func TestTablesOfEveryCodec(t *testing.T) {
	for _, v := range []Variant{{VideoCodec: "h264", AudioCodec: "aac"}, {AudioCodec: "mp3"}, {VideoCodec: "h265"}} {
		if p := v.Tables(); len(p) != 376 || p[0] != 0x47 || p[188] != 0x47 || p[1]&0x1f != 0 || p[2] != 0 {
			t.Errorf("%+v: %d bytes", v, len(p))
		}
	}
	var pool mpegts.Pool
	b := pool.Buffer()
	defer b.Release()
	none := Variant{VideoCodec: "av1"}
	if none.Begin(b); b.Len() != 0 || none.Tables() != nil {
		t.Errorf("%d bytes of a codec that is not known", b.Len())
	}
}

func TestNamed(t *testing.T) {
	v := Variant{Bandwidth: 3e6, AverageBandwidth: 2e6, Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720, FrameRate: 25, VideoCodec: "h264", AudioCodec: "aac", VideoRange: "PQ", IFrameBandwidth: 5e5}
	if got, want := v.Named("a.m3u8"), (m3u8.Variant{URI: "a.m3u8", Bandwidth: 3e6, AverageBandwidth: 2e6, Codecs: v.Codecs, Width: 1280, Height: 720, FrameRate: 25, VideoRange: "PQ"}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v", got)
	}
	got, ok := v.IFrames("i.m3u8")
	if want := (m3u8.Variant{URI: "i.m3u8", Bandwidth: 5e5, Codecs: "avc1.64001f", Width: 1280, Height: 720, VideoRange: "PQ"}); !ok || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, %t", got, ok)
	}
	for _, none := range []Variant{{VideoCodec: "h264"}, {AudioCodec: "aac", IFrameBandwidth: 1}} {
		if _, ok := none.IFrames("i.m3u8"); ok {
			t.Errorf("%+v has an I-frame playlist", none)
		}
	}
}

// Those variants name captions that have them; none at all is said of all.
func TestCaption(t *testing.T) {
	said := Captions{Sent: true, Channels: codec.CC1 | codec.CC3}
	for name, c := range map[string]struct {
		of   []Captions
		want []string // of each variant
		ids  []string
	}{
		"none":                     {[]Captions{{}, {}}, []string{m3u8.NoCaptions, m3u8.NoCaptions}, nil},
		"one":                      {[]Captions{{}, said}, []string{"", "cc"}, []string{"CC1", "CC3"}},
		"nothing said yet":         {[]Captions{{Sent: true}, {}}, []string{"cc", ""}, []string{"CC1"}},
		"one has said nothing yet": {[]Captions{{Sent: true}, said}, []string{"cc", "cc"}, []string{"CC1", "CC3"}},
		"only CC3":                 {[]Captions{{Sent: true, Channels: codec.CC3}}, []string{"cc"}, []string{"CC3"}},
	} {
		m := m3u8.Master{Variants: make([]m3u8.Variant, len(c.of))}
		Caption(&m, c.of)
		var got, ids []string
		for i := range m.Variants {
			got = append(got, m.Variants[i].ClosedCaptions)
		}
		for _, x := range m.Captions {
			ids = append(ids, x.InstreamID)
		}
		if !slices.Equal(got, c.want) || !slices.Equal(ids, c.ids) {
			t.Errorf("%s: %q, %q", name, got, ids)
		}
	}
}
