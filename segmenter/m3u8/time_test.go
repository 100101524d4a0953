package m3u8

import (
	"testing"
	"time"
)

// TestTimesOfOthers: EXT-X-PROGRAM-DATE-TIME as encoders write it.
func TestTimesOfOthers(t *testing.T) {
	want := time.Date(2026, 3, 1, 12, 0, 0, 500e6, time.UTC)
	for _, value := range []string{"2026-03-01T12:00:00.500Z", "2026-03-01T13:00:00.500+01:00", "2026-03-01T13:00:00.500+0100", "2026-03-01T12:00:00.5"} {
		m, err := ParseMedia([]byte("#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:" + value + "\n#EXTINF:2,\na.ts\n"))
		if err != nil || !m.Segments[0].ProgramDateTime.Equal(want) {
			t.Errorf("%s: %v", value, err)
		}
	}
	for _, value := range []string{"", "today", "2026-03-01", "12:00"} {
		if _, err := ParseMedia([]byte("#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:" + value + "\n#EXTINF:2,\na.ts\n")); err == nil {
			t.Errorf("%q is a time", value)
		}
	}
}
