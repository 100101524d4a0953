package m3u8

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func ladder() *Master {
	return &Master{
		IndependentSegments: true,
		Renditions:          []Rendition{{GroupID: "a", Name: "sound", Language: "en", Default: true, AutoSelect: true, URI: "audio.m3u8"}},
		Variants: []Variant{
			{URI: "hi.m3u8", Bandwidth: 6000000, AverageBandwidth: 5000000, Codecs: "avc1.64001f,mp4a.40.2", Width: 1920, Height: 1080, FrameRate: 29.97, Audio: "a"},
			{URI: "lo.m3u8", Bandwidth: 1},
		},
	}
}

func TestMasterRoundTrip(t *testing.T) {
	m := ladder()
	b := m.Append(nil)
	golden(t, "ladder.m3u8", b)
	got, err := ParseMaster(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// HDR is said of the variants that are, and captions of those that have them.
func TestMasterOfRangesAndCaptions(t *testing.T) {
	m := &Master{
		Captions: []Caption{
			{GroupID: "cc", Name: "CC1", InstreamID: "CC1", AutoSelect: true},
			{GroupID: "cc", Name: "SERVICE2", Language: "es", InstreamID: "SERVICE2", Default: true, AutoSelect: true},
		},
		Variants: []Variant{
			{URI: "pq.m3u8", Bandwidth: 3, VideoRange: "PQ", ClosedCaptions: "cc"},
			{URI: "hlg.m3u8", Bandwidth: 2, VideoRange: "HLG", Audio: "a", ClosedCaptions: "cc"},
			{URI: "audio.m3u8", Bandwidth: 1},
		},
		IFrames: []Variant{
			{URI: "pq/iframes.m3u8", Bandwidth: 30000, AverageBandwidth: 20000, Codecs: "hvc1.2.4.L120.90", Width: 1280, Height: 720, VideoRange: "PQ"},
			{URI: "hlg/iframes.m3u8", Bandwidth: 1},
		},
	}
	bare := *m
	if bare.IFrames = nil; !bytes.Equal(WithoutIFrames(m.Append(nil)), bare.Append(nil)) || !bytes.Equal(WithoutIFrames(bare.Append(nil)), bare.Append(nil)) {
		t.Errorf("without I-frames:\n%s", WithoutIFrames(m.Append(nil)))
	}
	b := m.Append(nil)
	golden(t, "captions.m3u8", b)
	got, err := ParseMaster(b)
	if err != nil || !cmp.Equal(got, m) {
		t.Errorf("%v\n%s", err, cmp.Diff(m, got))
	}
	none := &Master{Variants: []Variant{{URI: "a.m3u8", Bandwidth: 1, ClosedCaptions: NoCaptions}}}
	b = none.Append(nil)
	if want := "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-STREAM-INF:BANDWIDTH=1,CLOSED-CAPTIONS=NONE\na.m3u8\n"; string(b) != want {
		t.Errorf("%s", b)
	}
	if got, err := ParseMaster(b); err != nil || !cmp.Equal(got, none) {
		t.Errorf("%v\n%s", err, cmp.Diff(none, got))
	}
}

func TestMasterOfSessionData(t *testing.T) {
	m := ladder()
	m.SessionData = []SessionData{{ID: "com.example.title", Value: "The evening, show"}, {ID: "com.example.title", Value: "Le spectacle", Language: "fr"}}
	b := m.Append(nil)
	golden(t, "session.m3u8", b)
	if got, err := ParseMaster(b); err != nil || !cmp.Equal(got, m) {
		t.Errorf("%v\n%s", err, cmp.Diff(m, got))
	}
	got, err := ParseMaster([]byte("#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID=\"com.example.lyrics\",URI=\"lyrics.json\"\n"))
	if err != nil || len(got.SessionData) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Captions of CEA-708 need version 7, those of CEA-608 none of their own.
func TestMasterVersionIsNoHigherThanNeeded(t *testing.T) {
	for want, m := range map[int]*Master{
		4: {Captions: []Caption{{InstreamID: "CC1"}}}, 6: {IndependentSegments: true}, 7: {IndependentSegments: true, Captions: []Caption{{InstreamID: "CC1"}, {InstreamID: "SERVICE1"}}},
	} {
		if got := m.Version(); got != want {
			t.Errorf("version %d, want %d", got, want)
		}
	}
}

// A quoted string contains neither quotes nor line ends, whatever an encoder calls itself.
func TestQuotedStringsCannotBeBrokenOutOf(t *testing.T) {
	m := &Master{Variants: []Variant{{URI: "a.m3u8", Bandwidth: 1, Codecs: "x\"\n#EXT-X-ENDLIST"}}}
	got, err := ParseMaster(m.Append(nil))
	if err != nil || len(got.Variants) != 1 || got.Variants[0].Codecs != "x#EXT-X-ENDLIST" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParseMasterRefuses(t *testing.T) {
	for _, src := range []string{
		"", "#EXTM3U\na.m3u8", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=x\na", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a\na",
		"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=wide\na", "#EXTM3U\n#EXTINF:4,\na.ts", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1",
		"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,BANDWIDTH=2\na",
	} {
		if m, err := ParseMaster([]byte(src)); err == nil {
			t.Errorf("%q is read as %+v", src, m)
		}
	}
}

func FuzzMaster(f *testing.F) {
	f.Add(ladder().Append(nil))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := ParseMaster(src)
		if err != nil {
			return
		}
		if _, err := ParseMaster(m.Append(nil)); err != nil && len(m.Variants) > 0 && m.Variants[0].Bandwidth > 0 {
			t.Errorf("%v\n%s", err, m.Append(nil))
		}
	})
}
