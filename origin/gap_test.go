package origin

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// A gap's URI is never dangling: players that do not know EXT-X-GAP stop for good at a 404.
func TestGapIsAnEmptySegment(t *testing.T) {
	engines(t, Options{}, func(t *testing.T, r *rig) {
		id := segmenter.NewRecordingID(r.clock())
		row := segmenter.Row{Start: r.clock(), Duration: 4 * segmenter.Clock, Size: 188, Independent: true}
		if err := r.reg.Restore(segmenter.Recovered{
			Key: segmenter.Key{App: "live", Stream: "cam"}, Recording: id, TargetDuration: 4, Rows: []segmenter.Row{row}, Next: 2,
			Variant: segmenter.Variant{VideoCodec: "h264", AudioCodec: "aac"}, LastFrame: r.clock().Add(4 * time.Second),
		}); err != nil {
			t.Fatal(err)
		}
		name := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: 1}
		res, err := http.Get(r.url + "/" + name.String())
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || len(body) != 2*188 || body[0] != 0x47 {
			t.Errorf("%s, %d bytes, %v", res.Status, len(body), err)
		}
		if got := res.Header.Get("Cache-Control"); got != "public, max-age=60" {
			t.Errorf("Cache-Control %q", got)
		}
		if got := res.Header.Get("Content-Type"); got != "video/mp2t" {
			t.Errorf("Content-Type %q", got)
		}
	})
}
