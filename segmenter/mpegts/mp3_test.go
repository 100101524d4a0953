package mpegts

import (
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg1audio"
)

func TestMP3Timing(t *testing.T) {
	known := 0
	for b1 := range 256 {
		for b2 := range 256 {
			frame := []byte{0xFF, byte(b1), byte(b2), 0xC4, 0}
			samples, rate, ok := mp3Timing(frame)
			var h mpeg1audio.FrameHeader
			if h.Unmarshal(frame) != nil || h.Layer != 3 {
				continue // the reference knows no MPEG-2.5 and no free format
			}
			known++
			if !ok || rate != h.SampleRate || samples != h.SampleCount() {
				t.Fatalf("% x: %d samples at %d Hz, %v; want %d at %d", frame, samples, rate, ok, h.SampleCount(), h.SampleRate)
			}
		}
	}
	if known < 100 {
		t.Errorf("only %d headers compared", known)
	}
	if samples, rate, ok := mp3Timing([]byte{0xFF, 0xE3, 0x18, 0xC4}); !ok || samples != 576 || rate != 8000 {
		t.Errorf("MPEG-2.5: %d samples at %d Hz, %v", samples, rate, ok)
	}
	for _, frame := range [][]byte{nil, {0xFF}, {0xFF, 0xFB, 0x90}, {0, 0, 0, 0}, {0xFF, 0xEB, 0x90, 0}, {0xFF, 0xFD, 0x90, 0}, {0xFF, 0xFB, 0x9C, 0}} {
		if _, _, ok := mp3Timing(frame); ok {
			t.Errorf("% x is taken for a frame", frame)
		}
	}
}
