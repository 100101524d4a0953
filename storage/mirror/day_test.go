package mirror_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	testrig "github.com/hlsorigin/hlsorigin/test/rig"
)

// A recording of a day at 1 Mb/s in segments of 2 s: memory stays flat, the playlists cost little, and a restart is quick. The time is the
// bubble's.
func TestDay(t *testing.T) {
	length := 24 * time.Hour
	if scale() < 1 {
		length = time.Duration(float64(length) * scale() / 2).Truncate(4 * time.Minute)
	}
	bubble(t, func(t *testing.T, r *rig) {
		r.o.ArchiveSplit = -1
		r.so.MaxBytes = 64 << 20
		r.start()
		e := r.publish("cam", 250_000)
		quarter := length / 4
		var heap [4]uint64
		for i := range heap {
			e.run(quarter)
			heap[i] = inUse()
		}
		b := r.bucket.totals()
		share := float64(b.lists) / float64(b.media)
		t.Logf("%v: %d MB of media, %d playlists of %d bytes, %.3f %%; at most %v behind; heap %d, %d, %d, %d kB",
			length, b.media>>20, b.writes, b.lists, 100*share, b.late, heap[0]>>10, heap[1]>>10, heap[2]>>10, heap[3]>>10)
		if share >= 0.01 {
			t.Errorf("playlists cost %.2f %% of the media", 100*share)
		}
		if b.late > 5*time.Minute {
			t.Errorf("the timestamped playlist was %v behind", b.late)
		}
		// A day is 43,200 rows, here and in the timeline, and their bookkeeping in the test's bucket.
		if grown := int64(heap[3]) - int64(heap[0]); grown > 64<<20 {
			t.Errorf("the heap grew by %d MB", grown>>20)
		}

		e.s.Close(ingest.ErrShutdown)
		if err := r.mirror.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.start()
		s := r.reg.Timeline("live", "cam").Snapshot()
		if s.Live == nil || s.Next() != uint64(length/(2*time.Second)) {
			t.Errorf("serves up to %d", s.Next())
		}
		time.Sleep(6 * time.Minute)
		r.settled(time.Minute)
		r.complete(int(length/(2*time.Second)), 0)
		b = r.bucket.totals()
		if share := float64(b.lists) / float64(b.media); share >= 0.01 {
			t.Errorf("with the last playlist: %.2f %% of the media", 100*share)
		}
	})
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// From the start of the process to the playlists of a day's recording must take less than a second, whatever its name.
func TestRecoverIsQuick(t *testing.T) {
	const segments = 43200
	dir := t.TempDir()
	s := spool.New(spool.Options{Dir: dir})
	f, err := s.Folder(spool.ID{App: "live", Stream: "cam", Recording: "2023-08-24_16-02-52.970"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Date(2023, 8, 24, 16, 2, 52, 970e6, time.UTC)
	var b spool.Batch
	b.Meta(spool.Meta{TargetDuration: 2, Window: 30, Codecs: "avc1.64001f"})
	for i := range uint64(segments) {
		start := begun.Add(time.Duration(i) * 2 * time.Second)
		b.Opened(i+1, start)
		b.Row(spool.Row{Sequence: i, Start: start, Duration: 180000, Size: 3, CRC32C: uint32(i), Independent: true})
		b.Confirmed(0, i, 1)
	}
	if err := f.Rewrite(&b); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(5000) {
		if err := os.WriteFile(filepath.Join(dir, "live/streams/cam/2023-08-24_16-02-52.970", segmenter.SegmentFile(segments-1-i)), []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	from, queued := time.Now(), testrig.Queued()
	m := mirror.New(mirror.Options{Store: newLedger(t), Spool: spool.New(spool.Options{Dir: dir})})
	recovered, err := m.Recover(t.Context())
	if err != nil || len(recovered) != 1 || len(recovered[0].Rows) != segments+1 {
		t.Fatal(len(recovered), err)
	}
	reg := segmenter.NewRegistry(segmenter.Options{Now: func() time.Time { return recovered[0].LastFrame }})
	if err := reg.Restore(recovered[0]); err != nil {
		t.Fatal(err)
	}
	if s := reg.Timeline("live", "cam").Snapshot(); s.Live == nil || s.Next() != segments || s.Opened != segments+1 {
		t.Errorf("serves up to %d", s.Next())
	}
	took := time.Since(from) - (testrig.Queued() - queued)
	t.Logf("%d segments recovered and served after %v", segments, took)
	if took > time.Second {
		t.Errorf("took %v", took)
	}
}
