package origin

import (
	"net/http"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// A gap's URI is never dangling: players that do not know EXT-X-GAP stop for good at a 404, or if there is nothing to decode.
func TestGapIsAStill(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		id := segmenter.NewRecordingID(r.clock())
		row := segmenter.Row{Start: r.clock(), Duration: 4 * segmenter.Clock, Size: 188, Independent: true}
		old := segmenter.Row{Sequence: 1, Start: r.clock().Add(4 * time.Second), Duration: 4 * segmenter.Clock, Gap: true} // none of it is available
		if err := r.reg.Restore(segmenter.Recovered{
			Key: segmenter.Key{App: "live", Stream: "cam"}, Recording: id, TargetDuration: 4, Rows: []segmenter.Row{row, old}, Next: 3,
			Variant: variant.Variant{VideoCodec: "h264", AudioCodec: "aac"}, LastFrame: r.clock().Add(8 * time.Second),
		}); err != nil {
			t.Fatal(err)
		}
		name := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: 2}
		path := "/" + name.String()
		name.Sequence = 1
		listed := "/" + name.String()
		r.get(path).want(t, http.StatusNotFound) // there is no next segment yet
		r.publish("cam").run(30 * time.Second)
		rows := r.snapshot("cam").Rows
		if !rows[2].Gap || rows[3].Gap || rows[4].Gap {
			t.Fatalf("%+v", rows)
		}
		for _, path := range []string{path, listed} {
			for _, method := range []string{"GET", "HEAD"} {
				res := r.do(method, path)
				res.want(t, http.StatusOK, "Cache-Control", "public, max-age=60", "Content-Type", "video/mp2t", "Content-Length", "376")
				if method == "GET" && (len(res.body) != 2*188 || res.body[0] != 0x47) {
					t.Errorf("%d bytes", len(res.body))
				}
			}
		}
	})
}

// What the archive marks as a stand-in for a segment is cached no longer than a gap, even for a forgotten recording.
func TestGapOfAnOldRecording(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		const path = "/live/streams/cam/2020-01-01_00-00-00.000/000000001.ts"
		r.archive.put(t, path, []byte("a still"))
		r.get(path).want(t, http.StatusOK, "Cache-Control", segmenter.AgeSegment)
		r.archive.gap = true
		r.get(path).want(t, http.StatusOK, "Cache-Control", segmenter.AgeGap)
	})
}
