package codec

import (
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg1audio"
)

// TestParseMP3 compares with an independent parser.
func TestParseMP3(t *testing.T) {
	known := 0
	for b1 := range 256 {
		for b2 := range 256 {
			for _, b3 := range []byte{0x04, 0x44, 0x84, 0xC4} {
				frame := []byte{0xFF, byte(b1), byte(b2), b3, 0}
				got, ok := ParseMP3(frame)
				var h mpeg1audio.FrameHeader
				if h.Unmarshal(frame) != nil || h.Layer != 3 {
					continue // the reference does not know MPEG-2.5 or the free format
				}
				known++
				want := MP3Header{h.SampleRate, 2, h.FrameLen(), h.SampleCount()}
				if want.Samples == 576 {
					want.Size = got.Size // the reference has it wrong: see below
				}
				if h.ChannelMode == mpeg1audio.ChannelModeMono {
					want.Channels = 1
				}
				if !ok || got != want {
					t.Fatalf("% x: %+v, %v; want %+v", frame, got, ok, want)
				}
			}
		}
	}
	if known < 400 {
		t.Errorf("only %d headers compared", known)
	}
	for name, c := range map[string]struct {
		frame string
		want  MP3Header
	}{
		"MPEG-2.5, 8 kHz":     {"ffe318c4", MP3Header{8000, 1, 72, 576}},
		"MPEG-2.5, 11025 Hz":  {"ffe34044", MP3Header{11025, 2, 208, 576}},
		"free format":         {"fffb0044", MP3Header{44100, 2, 0, 1152}},
		"of ffmpeg, 128 kb/s": {"fffb90c4", MP3Header{44100, 1, 417, 1152}},
		"and padded":          {"fffb92c4", MP3Header{44100, 1, 418, 1152}},
		"MPEG-2, 64 kb/s":     {"fff380c4", MP3Header{22050, 1, 208, 576}}, // as made by ffmpeg and lame
		"MPEG-2, padded":      {"fff382c4", MP3Header{22050, 1, 209, 576}},
	} {
		if got, ok := ParseMP3(unhex(t, c.frame)); !ok || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, ok, c.want)
		}
	}
	for name, s := range map[string]string{
		"nothing": "", "one byte": "ff", "three bytes": "fffb90", "zeros": "00000000", "no syncword": "ff1b9000", "a reserved version": "ffeb9000",
		"layer II": "fffd9000", "layer I": "ffff9000", "ADTS": "fff14c80", "a reserved rate": "fffb9c00", "a forbidden bit rate": "fffbf000",
	} {
		if h, ok := ParseMP3(unhex(t, s)); ok {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestMP3FrameDuration(t *testing.T) {
	for rate, want := range map[int]int64{48000: 2160, 44100: 2351, 32000: 3240, 24000: 2160, 22050: 2351, 8000: 6480, 0: 6480, -1: 6480} {
		if got := MP3FrameDuration(rate); got != want {
			t.Errorf("%d Hz: %d ticks, want %d", rate, got, want)
		}
	}
}
