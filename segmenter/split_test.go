package segmenter

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// A channel that runs for days keeps no more rows than two splits have, and its numbers run on.
func TestSplits(t *testing.T) {
	const split = 10 * time.Minute
	r := newRig(t, AppOptions{ArchiveSplit: split})
	e := r.mustPublish("cam")
	names := map[RecordingID]uint64{}
	most := 0
	for range 60 {
		e.run(time.Minute)
		s := r.snapshot()
		most = max(most, len(s.Rows))
		m, err := m3u8.ParseMedia(s.Archive().Body)
		if err != nil {
			t.Fatal(err)
		}
		if first, seen := names[s.ArchiveName]; seen && first != m.MediaSequence {
			t.Errorf("%s begins with %d, and began with %d", s.ArchiveName, m.MediaSequence, first)
		}
		names[s.ArchiveName] = m.MediaSequence
		if m.MediaSequence+uint64(len(m.Segments)) != s.Next() {
			t.Errorf("the timestamped playlist ends with %d, the recording with %d", m.MediaSequence+uint64(len(m.Segments)), s.Next())
		}
		if got := r.reg.Recording("live", "cam", s.ArchiveName); got == nil || got.Recording() != s.Recording {
			t.Errorf("%s is not found", s.ArchiveName)
		}
		for i, entry := range s.Rows {
			if entry.Sequence != s.Base+uint64(i) {
				t.Fatalf("row %d has number %d, base %d", i, entry.Sequence, s.Base)
			}
		}
	}
	if len(names) != 6 || names[r.snapshot().Recording] != 0 {
		t.Errorf("%d timestamped playlists: %v", len(names), names)
	}
	if limit := 2 * int(split/(4*time.Second)); most > limit {
		t.Errorf("%d rows kept, a split has %d", most, limit/2)
	}
}
