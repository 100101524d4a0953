package tracks

import (
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// row is what a playlist says of one, and what it is made of.
type row struct {
	coding       Coding
	gap, disc    bool
	gone         bool   // of the sound it is not listed
	video, audio bool   // it is listed as there
	vInit, aInit uint32 // EXT-X-MAP that stands before it; 0: none
}

// Each row names what is there, and an init segment stands where it changes. A gap, and a fragment with nothing in it, change nothing.
func TestPlaylistsOfTracks(t *testing.T) {
	const a, b, s, z = 0xaaaaaaaa, 0xbbbbbbbb, 0x11111111, 0x22222222
	for name, rows := range map[string][]row{
		"plain":                 {{coding: Coding{a, s}, video: true, audio: true, vInit: a, aInit: s}, {coding: Coding{a, s}, video: true, audio: true}},
		"video changes":         {{coding: Coding{a, s}, video: true, audio: true, vInit: a, aInit: s}, {coding: Coding{b, s}, video: true, audio: true, vInit: b}, {coding: Coding{a, s}, video: true, audio: true, vInit: a}},
		"discontinuity":         {{coding: Coding{a, s}, video: true, audio: true, vInit: a, aInit: s}, {coding: Coding{a, s}, disc: true, video: true, audio: true, vInit: a, aInit: s}},
		"hollow":                {{coding: Coding{a, s}, video: true, audio: true, vInit: a, aInit: s}, {coding: Coding{a, Hollow}, video: true, audio: true}, {coding: Coding{a, s}, video: true, audio: true}},
		"hollow before a break": {{coding: Coding{a, s}, video: true, audio: true, vInit: a, aInit: s}, {coding: Coding{a, Hollow}, video: true}, {coding: Coding{a, s}, disc: true, video: true, audio: true, vInit: a, aInit: s}},
		"hollow at the end":     {{coding: Coding{a, s}, video: true, audio: true, vInit: a, aInit: s}, {coding: Coding{a, Hollow}, video: true, gone: true}},
		"hollow at first":       {{coding: Coding{a, Hollow}, video: true, audio: true, vInit: a, aInit: s}, {coding: Coding{a, s}, video: true, audio: true}},
		"gap":                   {{coding: Coding{a, s}, video: true, audio: true, vInit: a, aInit: s}, {gap: true}, {coding: Coding{a, z}, video: true, audio: true, aInit: z}},
		"gap at first":          {{gap: true, vInit: a, aInit: s}, {coding: Coding{a, s}, video: true, audio: true}},
		"no audio":              {{coding: Coding{Video: a}, video: true, vInit: a}, {coding: Coding{Video: a}, video: true}},
		"audio goes":            {{coding: Coding{a, s}, video: true, audio: true, vInit: a, aInit: s}, {coding: Coding{Video: a}, video: true}, {coding: Coding{a, s}, video: true, audio: true}},
	} {
		list := List{Key: segmenter.Key{App: "live", Stream: "cam"}, Recording: "2024-05-01_10-00-00.000", TargetDuration: 2, EndList: true}
		for i, r := range rows {
			list.Rows = append(list.Rows, segmenter.Row{Sequence: uint64(i), Start: time.Unix(int64(2*i), 0), Duration: 180000, Gap: r.gap, Discontinuity: r.disc, Independent: true})
			list.Codings = append(list.Codings, r.coding)
		}
		for _, track := range Both() {
			o := list.Live(track)
			init := uint32(0)
			gap := false
			i := 0
			for line := range strings.Lines(string(o.Body)) {
				line = strings.TrimSpace(line)
				if uri, ok := strings.CutPrefix(line, `#EXT-X-MAP:URI="`); ok {
					n, _ := segmenter.ParseName("live/streams/cam/2024-05-01_10-00-00.000/v/" + strings.TrimSuffix(uri, `"`))
					init = n.CRC32C
				}
				gap = gap || line == "#EXT-X-GAP"
				if !strings.HasSuffix(line, ".m4s") {
					continue
				}
				there, want := rows[i].video, rows[i].vInit
				if track == segmenter.AudioTrack {
					there, want = rows[i].audio, rows[i].aInit
				}
				if gap == there || init != want {
					t.Errorf("%s, %c %d: gap %v, init %08x; want %v, %08x\n%s", name, track, i, gap, init, !there, want, o.Body)
				}
				init, gap = 0, false
				i++
			}
			if track == segmenter.AudioTrack && rows[len(rows)-1].gone {
				i++
			}
			if i != len(rows) {
				t.Errorf("%s: %d rows", name, i)
			}
		}
	}
}

// Of a later split the playlists are in the recording's folder.
func TestArchiveOfASplit(t *testing.T) {
	list := List{
		Key: segmenter.Key{App: "live", Stream: "cam"}, Recording: "2024-05-01_10-00-00.000", TargetDuration: 2,
		Rows: []segmenter.Row{{Sequence: 7, Duration: 180000, Size: 1000}}, Codings: []Coding{{Video: 5}},
	}
	o := list.Archive("2024-05-02_10-00-00.000", segmenter.VideoTrack)
	if want := "live/streams/cam/2024-05-01_10-00-00.000/v/2024-05-02_10-00-00.000.m3u8"; o.Name.String() != want || !strings.Contains(string(o.Body), "\n000000007.m4s\n") {
		t.Errorf("%s\n%s", o.Name, o.Body)
	}
	if list.Has(segmenter.AudioTrack) || !list.Has(segmenter.VideoTrack) {
		t.Errorf("%+v", list)
	}
}
