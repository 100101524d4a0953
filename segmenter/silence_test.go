package segmenter

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// TestSilence holds that sound which was announced and begins seconds after the picture has silence before it, which ends
// where it begins.
func TestSilence(t *testing.T) {
	for _, audio := range []string{"aac", "aac44", "mono", "he"} {
		for _, by := range []time.Duration{500 * time.Millisecond, 3 * time.Second, 5 * time.Second} {
			shape := bothAnnounced(encoderShape{codec: ingest.H264, gop: 50, audio: audio})
			frames := renumber(without(shape.frames(24*time.Second), func(f *sentFrame) bool { return !f.video() && f.at < by }))
			s := newStage(t, AppOptions{})
			s.play(on("cam", frames))
			s.finish()
			silence := 0
			for _, row := range s.tape("cam").rows {
				silence += row.segment.silence
			}
			length := time.Duration(silence) * cut.Duration(cut.FrameDuration(shape.tracks[1]))
			if want := by; by < time.Second && silence != 0 || by > time.Second && (length > want+50*time.Millisecond || length < want-150*time.Millisecond) {
				t.Errorf("%s late by %v: %v of silence", audio, by, length)
			}
			if row := s.tape("cam").rows[0]; by > time.Second && row.segment.silence == 0 {
				t.Errorf("%s late by %v: no silence in the first segment", audio, by)
			}
		}
	}
}
