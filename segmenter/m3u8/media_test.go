package m3u8

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

var instant = time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)

func everything() *Media {
	return &Media{
		Type: VOD, TargetDuration: 4, MediaSequence: 1<<40 + 7, DiscontinuitySequence: 3, IndependentSegments: true, EndList: true,
		Segments: []Segment{
			{URI: "cam/2023-08-24_16-02-52.970/000000007.ts", Duration: 360000, ProgramDateTime: instant, Size: 1503812, CRC32C: 0x5b7f0a11},
			{URI: "000000008.ts", Duration: 180001, Gap: true},
			{URI: "000000009.ts", Duration: 1, Discontinuity: true, ProgramDateTime: instant.Add(time.Hour)},
			{URI: "000000010.ts", Duration: 359640},
		},
	}
}

func TestMediaRoundTrip(t *testing.T) {
	m := everything()
	b := m.Append(nil)
	golden(t, "everything.m3u8", b)
	got, err := ParseMedia(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An I-frame playlist has ranges of bytes, and tables before each of them.
func TestIFramesRoundTrip(t *testing.T) {
	m := &Media{
		TargetDuration: 4, MediaSequence: 7, DiscontinuitySequence: 1, IFramesOnly: true,
		Segments: []Segment{
			{URI: "000000007.ts", Duration: 360000, ProgramDateTime: instant, Map: "000000007.ts", MapRange: Range{0, 376}, Range: Range{376, 9400}},
			{URI: "000000008.ts", Duration: 180001, ProgramDateTime: instant.Add(4 * time.Second), Discontinuity: true, Map: "000000008.ts", MapRange: Range{0, 376}, Range: Range{564, 188}},
		},
	}
	b := m.Append(nil)
	golden(t, "iframes.m3u8", b)
	got, err := ParseMedia(b)
	if err != nil || !cmp.Equal(got, m) {
		t.Errorf("%v\n%s", err, cmp.Diff(m, got))
	}
	if m.Segments[1] = (Segment{URI: "000000008.ts", Gap: true}); m.Version() != 8 {
		t.Errorf("version %d with a gap", m.Version())
	}
	for _, bad := range []string{"", "5", "5@", "@5", "0@5", "-1@5", "5@-5", "5@5@5", "99999999999999999999@1"} {
		if _, err := ParseMedia([]byte("#EXTM3U\n#EXT-X-BYTERANGE:" + bad + "\n#EXTINF:4,\na.ts")); err == nil {
			t.Errorf("the range %q is read", bad)
		}
		if _, err := ParseMedia([]byte("#EXTM3U\n#EXT-X-MAP:URI=\"a\",BYTERANGE=\"" + bad + "\"\n#EXTINF:4,\na.ts")); err == nil {
			t.Errorf("the range %q of a map is read", bad)
		}
	}
}

// An EXTINF is exact to half a tick, and short if possible.
func TestSeconds(t *testing.T) {
	for ticks, want := range map[int64]string{0: "0.000", 360000: "4.000", 90: "0.001", 1: "0.00001", 359640: "3.996", 180001: "2.00001", -5: "0.000", 357357: "3.97063"} {
		if got := string(appendSeconds(nil, ticks)); got != want {
			t.Errorf("%d ticks: %s, want %s", ticks, got, want)
		}
	}
	for ticks := range int64(200000) {
		got, err := parseSeconds(string(appendSeconds(nil, ticks)))
		if err != nil || got != ticks {
			t.Fatalf("%d ticks came back as %d, %v", ticks, got, err)
		}
	}
}

func TestVersionIsNoHigherThanNeeded(t *testing.T) {
	for want, m := range map[int]*Media{
		3: {}, 6: {IndependentSegments: true}, 8: {IndependentSegments: true, Segments: []Segment{{Gap: true}}},
	} {
		if got := m.Version(); got != want {
			t.Errorf("version %d, want %d", got, want)
		}
	}
}

func TestParseMediaNamesTheLine(t *testing.T) {
	for src, want := range map[string]string{
		"":                                       "line 1",
		"hello":                                  "line 1",
		"#EXTM3U\na.ts":                          "line 2",
		"#EXTM3U\n\n#EXTINF:x,\na.ts":            "line 3",
		"#EXTM3U\n#EXT-X-TARGETDURATION:four":    "line 2",
		"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1": "multivariant",
		"#EXTM3U\n#EXTINF:4,":                    "no URI",
		"#EXTM3U\n#EXTINF:1e9,\na.ts":            "out of range",
		"#EXTM3U\n#EXT-X-PLAYLIST-TYPE:LIVE":     "LIVE",
	} {
		if _, err := ParseMedia([]byte(src)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", src, err, want)
		}
	}
	if _, err := ParseMedia([]byte("#EXTM3U\r\n#EXT-X-UNHEARD-OF:1\r\n# a comment\r\n#EXTINF:4,\r\na.ts\r\n")); err != nil {
		t.Errorf("unknown tags: %v", err)
	}
}

// FuzzMedia checks that what was parsed renders to something that parses to the same.
func FuzzMedia(f *testing.F) {
	f.Add(everything().Append(nil))
	f.Add([]byte("#EXTM3U\n#EXTINF:4,title\na.ts\n"))
	f.Add([]byte("#EXTM3U\n#EXT-X-I-FRAMES-ONLY\n#EXT-X-MAP:URI=\"a.ts\",BYTERANGE=\"376@0\"\n#EXTINF:4,\n#EXT-X-BYTERANGE:188@376\na.ts\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := ParseMedia(src)
		if err != nil {
			return
		}
		for i := range m.Segments {
			m.Segments[i].ProgramDateTime = m.Segments[i].ProgramDateTime.UTC().Truncate(time.Millisecond)
			if y := m.Segments[i].ProgramDateTime.Year(); y < 0 || y > 9999 {
				return
			}
		}
		again, err := ParseMedia(m.Append(nil))
		if err != nil {
			t.Fatalf("%v\n%s", err, m.Append(nil))
		}
		if diff := cmp.Diff(m, again); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
}

func BenchmarkMedia(b *testing.B) {
	m := everything()
	buf := m.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		buf = m.Append(buf[:0])
	}
}
