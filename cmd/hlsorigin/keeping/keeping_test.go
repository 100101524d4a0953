package keeping

import (
	"bytes"
	"context"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/httpput"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/held"
)

// TestWhatARecordingHas: what the last process held is in a recording of its stream or of a rung of that, or it is not: not where the recording
// is another stream's, nor where it has lost the bytes. Either is removed here, since it is no segment; what is of it is told apart.
func TestWhatARecordingHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no disk is slow in it
		dir, log := t.TempDir(), &bytes.Buffer{}
		begin := func() *Keeper {
			return New(held.Options{Dir: dir, Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil))})
		}
		sum := func(body string) uint32 { return crc32.Checksum([]byte(body), crc32.MakeTable(crc32.Castagnoli)) }
		k := begin()
		for _, body := range []string{"the stream's", "a rung's", "another stream's", "a gap", "another app's", "nobody's"} {
			k.Keep(&httpput.Held{App: "live", Stream: "show", Host: "192.0.2.1", File: body + ".ts", At: time.Now(), CRC32C: sum(body), Body: []byte(body)})
		}
		k = begin()
		for body, key := range map[string]segmenter.Key{
			"the stream's": {App: "live", Stream: "show"}, "a rung's": {App: "live", Stream: "show_720p"}, "another stream's": {App: "live", Stream: "showing"}, "a gap": {App: "live", Stream: "show"},
			"another app's": {App: "vod", Stream: "show"},
		} {
			k.Spooled(&segmenter.Recovered{Key: key, Rows: []segmenter.Row{{Size: int64(len(body)), CRC32C: sum(body), Gap: body == "a gap"}}})
		}
		now := time.Now() // the show of an hour ago was the same, byte for byte
		k.Spooled(&segmenter.Recovered{Key: segmenter.Key{App: "live", Stream: "show"}, Rows: []segmenter.Row{
			{Size: int64(len("nobody's")), CRC32C: sum("nobody's"), Start: now.Add(-time.Hour)}, {Size: 1, CRC32C: 1, Start: now},
		}})
		put := httpput.New(httpput.Options{})
		k.TakeUp(t.Context(), put)
		if said := log.String(); !strings.Contains(said, "wait_for_their_playlist=0 listed_already=2 too_old=4 half_written=0") || put.Stats.Unnamed.Load() != 4 {
			t.Errorf("the log: %s; %d unnamed", said, put.Stats.Unnamed.Load())
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := k.Run(over); err != nil {
			t.Error(err)
		}
		if all, err := os.ReadDir(filepath.Join(dir, ".held")); err != nil || len(all) != 0 {
			t.Errorf("%d files, %v", len(all), err)
		}
		var none *Keeper
		none.Spooled(&segmenter.Recovered{})
		none.TakeUp(t.Context(), put)
	})
}
