package origin

import (
	"net/http"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// What the archive has under a segment's name is served only if it has the segment's size, as far as that is known.
func TestNoSegmentOfAnotherSize(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		id := segmenter.NewRecordingID(r.clock())
		row := segmenter.Row{Start: r.clock(), Duration: 4 * segmenter.Clock, Size: 188, Independent: true}
		if err := r.reg.Restore(segmenter.Recovered{
			Key: segmenter.Key{App: "live", Stream: "cam"}, Recording: id, TargetDuration: 4, Rows: []segmenter.Row{row}, Next: 1,
			Variant: variant.Variant{VideoCodec: "h264"}, LastFrame: r.clock().Add(4 * time.Second),
		}); err != nil {
			t.Fatal(err)
		}
		path := "/" + segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: 0}.String()
		for size, status := range map[int]int{188: http.StatusOK, 187: http.StatusServiceUnavailable, 376: http.StatusServiceUnavailable} {
			body := make([]byte, size)
			body[0] = 0x47
			r.archive.put(t, path, body)
			r.get(path).want(t, status)
		}
	})
}

// A playlist that is too large is not read at all.
func TestNoHugePlaylistIsRead(t *testing.T) {
	engines(t, Options{MaxPlaylist: 1000}, func(t *testing.T, r *rig) {
		const path = "/live/streams/cam-2020-01-01_00-00-00.000.m3u8"
		r.archive.put(t, path, make([]byte, 1001))
		r.get(path).want(t, http.StatusServiceUnavailable)
	})
}
