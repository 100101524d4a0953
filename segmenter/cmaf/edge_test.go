package cmaf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// edgeList is what a low-latency playlist over transport streams lists: rows from 7 on, of which the last two have parts, and two parts of
// the next.
func edgeList(n int) *m3u8.Media {
	m := &m3u8.Media{TargetDuration: 4, MediaSequence: 7, LowLatency: &m3u8.Control{PartTarget: 45000}}
	part := func(sequence uint64, index int) m3u8.Part {
		return m3u8.Part{URI: segmenter.PartFile(sequence, index), Duration: 45000, Independent: index == 0}
	}
	for i := range n {
		m.Segments = append(m.Segments, m3u8.Segment{URI: segmenter.SegmentFile(7 + uint64(i)), Duration: 90000})
		if i >= n-2 {
			m.Parts = append(m.Parts, []m3u8.Part{part(7+uint64(i), 0), part(7+uint64(i), 1)})
		}
	}
	next := 7 + uint64(n)
	m.AtEdge, m.Hint = []m3u8.Part{part(next, 0), part(next, 1)}, segmenter.PartFile(next, 2)
	return m
}

// numberedRows are rows that begin with 7.
func numberedRows(n int) []segmenter.Row {
	all := rows(n)
	for i := range all {
		all[i].Sequence = 7 + uint64(i)
	}
	return all
}

func TestEdge(t *testing.T) {
	all := numberedRows(4)
	e := Edge{Track: segmenter.AudioTrack, Stretches: []Stretch{{Rows: all, Config: coded()}}, Reports: []m3u8.Report{{URI: "../../../cam/ID/v/live.m3u8", MSN: 11, Part: 1}}}
	text := string(e.Append(nil, edgeList(4)))
	for want, n := range map[string]int{
		"#EXT-X-MAP:": 1, ".ts": 0, "#EXT-X-PART:": 6, ",INDEPENDENT=YES": 6, "#EXT-X-INDEPENDENT-SEGMENTS": 1, "000000011.1.m4s\"": 1,
		`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="000000011.2.m4s"`: 1, `#EXT-X-RENDITION-REPORT:URI="../../../cam/ID/v/live.m3u8",LAST-MSN=11,LAST-PART=1`: 1,
	} {
		if got := strings.Count(text, want); got != n {
			t.Errorf("%q stands there %d times, not %d:\n%s", want, got, n, text)
		}
	}
}

// Where a track is away from a segment that is a gap without parts, and nothing is promised of it.
func TestEdgeOfATrackThatIsAway(t *testing.T) {
	all := numberedRows(4)
	e := Edge{Track: segmenter.VideoTrack, Stretches: []Stretch{{Rows: all, Config: coded()}}, Growing: coded()}
	text := string(e.Append(nil, edgeList(4)))
	if strings.Count(text, "#EXT-X-GAP") != 4 || strings.Contains(text, "#EXT-X-PART:") || strings.Contains(text, "HINT") || strings.Contains(text, "#EXT-X-MAP") {
		t.Errorf("%s", text)
	}
}

// Another init segment stands before the parts that need it, though no complete segment does; one that is not known yet is taken to be as
// before, but behind a discontinuity.
func TestEdgeChanges(t *testing.T) {
	other := *coded()
	other.audio.CRC32C++
	for name, c := range map[string]struct {
		growing *Config
		breaks  bool
		maps    int
		parts   int
	}{
		"the same":                      {coded(), false, 1, 6},
		"another":                       {&other, false, 2, 6},
		"not known":                     {nil, false, 1, 6},
		"not known behind a break":      {nil, true, 1, 4},
		"the same behind a break":       {coded(), true, 2, 6},
		"only the other is known of it": {NewConfig(&fmp4.Head{}), false, 1, 6},
	} {
		list := edgeList(4)
		list.Edge.Discontinuity = c.breaks
		e := Edge{Track: segmenter.AudioTrack, Stretches: []Stretch{{Rows: numberedRows(4), Config: coded()}}, Growing: c.growing}
		text := string(e.Append(nil, list))
		if m, p := strings.Count(text, "#EXT-X-MAP:"), strings.Count(text, "#EXT-X-PART:"); m != c.maps || p != c.parts {
			t.Errorf("%s: %d init segments and %d parts, want %d and %d:\n%s", name, m, p, c.maps, c.parts, text)
		}
	}
}

// A last segment without anything of a track is a gap before a break, is left out at the end, and stays where more may come.
func TestEdgeOfATrackThatEndsEarly(t *testing.T) {
	bare, all := NewConfig(&fmp4.Head{Lacks: true}), numberedRows(4)
	text := func(list *m3u8.Media, stretches ...Stretch) string {
		e := Edge{Track: segmenter.AudioTrack, Stretches: stretches}
		return string(e.Append(nil, list))
	}
	whole, short := Stretch{Rows: all, Config: coded()}, Stretch{Rows: all, Config: coded(), Last: bare}
	if s := text(edgeList(4), short); s != text(edgeList(4), whole) {
		t.Errorf("on the air:\n%s", s)
	}
	list := edgeList(4)
	list.EndList = true
	if s := text(list, short); strings.Contains(s, "000000010") || strings.Contains(s, "GAP") || !strings.Contains(s, "000000009.1.m4s") {
		t.Errorf("at the end:\n%s", s)
	}
	first, second := Stretch{Rows: all[:2], Config: coded(), Last: bare}, Stretch{Rows: all[2:], Config: coded()}
	if s := text(edgeList(4), first, second); strings.Count(s, "#EXT-X-GAP\n#EXTINF:1.000,\n000000008.m4s") != 1 || strings.Count(s, "GAP") != 1 {
		t.Errorf("before a break:\n%s", s)
	}
}

// A delta update begins with an init segment.
func TestEdgeSkips(t *testing.T) {
	list := edgeList(4)
	list.Segments, list.Skipped = list.Segments[1:], 1
	e := Edge{Track: segmenter.AudioTrack, Stretches: []Stretch{{Rows: numberedRows(4), Config: coded()}}}
	text := string(e.Append(nil, list))
	if !strings.Contains(text, "SKIPPED-SEGMENTS=1\n#EXT-X-MAP:") || strings.Contains(text, "000000007.m4s") || !strings.Contains(text, "\n000000008.m4s\n") || strings.Count(text, "#EXT-X-MAP:") != 1 {
		t.Errorf("%s", text)
	}
}

// Every other track that the multivariant playlist over tracks names is reported.
func TestReports(t *testing.T) {
	rung := func(name, codecs string, n int) *segmenter.Snapshot {
		s := &segmenter.Snapshot{Key: segmenter.Key{App: "live", Stream: name}, Recording: id, PartTarget: 45000, Rows: numberedRows(4)[:n]}
		s.Base, s.Variant.Codecs = 7, codecs
		return s
	}
	all := []*segmenter.Snapshot{
		rung("hi", "avc1.64001f,mp4a.40.2", 4), rung("lo", "avc1.64001f,mp4a.40.2", 3), rung("poor", "avc1.64001f,mp4a.40.5", 4), rung("sound", "mp4a.40.2", 4),
	}
	for track, want := range map[segmenter.Track]string{
		segmenter.VideoTrack: "hi/a 10, hi/v 10, poor/a 10, poor/v 10, sound/a 10",
		segmenter.AudioTrack: "hi/a 10, hi/v 10, lo/v 9, poor/a 10, poor/v 10, sound/a 10",
	} {
		var got []string
		for _, r := range Reports(all, all[1], track) {
			got = append(got, fmt.Sprint(strings.NewReplacer("../../../", "", "/"+id, "", "/live.m3u8", "").Replace(r.URI), " ", r.MSN))
		}
		if s := strings.Join(slices.Sorted(slices.Values(got)), ", "); s != want {
			t.Errorf("%c: %s\nwant %s", track, s, want)
		}
	}
}
