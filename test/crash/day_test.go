package crash

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestStartAfterADay checks that a server that died in the middle of a recording of a day, 43,200 segments of 2 s, serves its playlists
// within a second of its start, and the segments that are still on disk. It tests both kinds of journal: one that grew record by record,
// and a rewritten one.
func TestStartAfterADay(t *testing.T) {
	t.Parallel()
	const segments, length = 43200, 2 * time.Second
	const onDisk, unsent = 2000, 20 // the number of newest segments with files, and of those not in the bucket
	for _, recordings := range []int{1, 4} {
		t.Run(fmt.Sprint(recordings), func(t *testing.T) {
			dir := t.TempDir()
			var streams []string
			begun := time.Now().Add(-segments * length).Truncate(time.Millisecond).UTC()
			id := segmenter.NewRecordingID(begun)
			body := bytes.Repeat([]byte{0x47}, 188*10)
			for i := range recordings {
				streams = append(streams, fmt.Sprintf("cam%d", i))
				s := spool.New(spool.Options{Dir: filepath.Join(dir, "data", "spool"), Sync: spool.Never})
				f, err := s.Folder(spool.ID{App: "live", Stream: streams[i], Recording: string(id)}, nil)
				if err != nil {
					t.Fatal(err)
				}
				var b spool.Batch
				b.Meta(spool.Meta{TargetDuration: 2, Window: 30, Bandwidth: 3e6, Codecs: "avc1.64001f,mp4a.40.2", Width: 1280, Height: 720})
				if err := f.Rewrite(&b); err != nil {
					t.Fatal(err)
				}
				b.Reset()
				for n := range uint64(segments) {
					at := begun.Add(time.Duration(n) * length)
					b.Opened(n, at)
					b.Row(spool.Row{Sequence: n, Start: at, Duration: 180000, Size: int64(len(body)), CRC32C: crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)), Independent: true})
					if n < segments-unsent {
						b.Confirmed(0, n, 1)
					}
					if n%64 == 63 {
						if err := f.Append(&b); err != nil {
							t.Fatal(err)
						}
						b.Reset()
					}
					if n >= segments-onDisk {
						if err := f.Write(n, int64(len(body)), [][]byte{body}); err != nil {
							t.Fatal(err)
						}
					}
				}
				b.Opened(segments, time.Now())
				if err := f.Append(&b); err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := rig.Program(); err != nil {
				t.Fatal(err)
			}
			var p *rig.Process
			var took []time.Duration // without what others on the machine took of its time
			for range 4 {
				began := time.Now()
				if p == nil {
					p = rig.Serve(t, dir, "hls: {segment_duration: 2s, window: 60s}\nrtsp: {listen: \"\"}\n")
				} else {
					p.Kill()
					began = time.Now()
					p.Spawn()
				}
				for _, s := range streams {
					rig.Eventually(t, 20*time.Second, s+" is served", func() bool { return p.Status(p.URL(rig.LiveKey(s, string(id)))) == http.StatusOK })
				}
				took = append(took, p.Took(began, startLimit))
			}
			t.Logf("%d recordings: from exec to serving %v", recordings, took)
			if least := slices.Min(took[1:]); took[0] > 2*startLimit || least > startLimit {
				t.Errorf("%d recordings: served after %v", recordings, took)
			}
			for _, s := range streams {
				m, err := m3u8.ParseMedia([]byte(p.Get(p.URL(rig.LiveKey(s, string(id))))))
				// The number that was opened is lost: it is listed as a gap when something follows.
				if err != nil || m.MediaSequence+uint64(len(m.Segments)) != segments {
					t.Fatalf("%s: %v, up to %d", s, err, m.MediaSequence+uint64(len(m.Segments)))
				}
				last := m.Segments[len(m.Segments)-1].URI
				if got := p.Get(p.URL("live/streams/" + s + "/" + string(id) + "/" + last)); got != string(body) {
					t.Errorf("%s: %d bytes", last, len(got))
				}
				began := time.Now()
				whole := p.Get(p.URL(rig.ArchiveKey(s, string(id))))
				if n := strings.Count(whole, ".ts"); n != segments+1 && n != segments {
					t.Errorf("the timestamped playlist names %d segments", n)
				}
				t.Logf("%s: the timestamped playlist, %d bytes, came in %v", s, len(whole), time.Since(began))
			}
			rig.Eventually(t, 60*time.Second, "what was unsent is in the bucket", func() bool {
				for _, s := range streams {
					name := fmt.Sprintf("%09d.ts", segments-1)
					if _, err := os.Stat(filepath.Join(dir, "data", "bucket", "live", "streams", s, string(id), name)); err != nil {
						return false
					}
				}
				return true
			})
		})
	}
}
