package origin

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// A table counts in the cache with what it takes: its rows, and the ad breaks of these.
func TestTableSize(t *testing.T) {
	const rows = 20_000
	cue := "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-01-01T00:00:00Z\",X-NOTE=\"" + strings.Repeat("x", 200) + "\"\n"
	all := make([]segmenter.Row, rows)
	for i := range all {
		all[i] = segmenter.Row{Sequence: uint64(i), Start: time.Unix(int64(i)*4, 0), Duration: 4 * segmenter.Clock, Size: 1, Independent: true}
		if i%10 == 0 {
			all[i].Cues = cue
		}
	}
	name := segmenter.Name{Kind: segmenter.KindArchive, App: "live", Stream: "cam", Recording: segmenter.NewRecordingID(all[0].Start)}
	l := segmenter.List{TargetDuration: 4, EndList: true, Dir: "cam/" + string(name.Recording) + "/"}
	body := l.Append(nil, all)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table, err := parseTable(name, body)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	taken := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if size := table.size(); size < taken*3/4 || size > taken*3/2 {
		t.Errorf("it says %d bytes, and takes %d", size, taken)
	}
	runtime.KeepAlive(table)
	runtime.KeepAlive(body)
}
