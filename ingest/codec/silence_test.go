package codec

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestSilence has FFmpeg decode the silent frames: no complaint, the right number of channels, and no sound at all.
func TestSilence(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed")
	}
	decode := func(t *testing.T, format string, stream []byte, channels, samples int) {
		t.Helper()
		cmd := exec.Command("ffmpeg", "-hide_banner", "-v", "error", "-xerror", "-f", format, "-i", "-", "-f", "s16le", "-")
		cmd.Stdin = bytes.NewReader(stream)
		var words strings.Builder
		cmd.Stderr = &words
		pcm, err := cmd.Output()
		if err != nil || words.Len() > 0 {
			t.Fatalf("%v: %s", err, words.String())
		}
		if len(bytes.Trim(pcm, "\x00")) != 0 {
			t.Error("something is heard")
		}
		if want := samples * channels * 2; len(pcm) < want/2 || len(pcm) > want+want/8 {
			t.Errorf("%d bytes of sound, want about %d", len(pcm), want)
		}
	}
	for config := 1; config <= 7; config++ {
		for _, rate := range []int{48000, 22050} {
			t.Run(fmt.Sprintf("AAC %d channels %d Hz", aacChannels(config), rate), func(t *testing.T) {
				index, _ := AACRateIndex(rate)
				c := AACConfig{Object: objectLC, Announced: objectLC, RateIndex: index, Rate: rate, ChannelConfig: config, Channels: aacChannels(config)}
				frame := c.Silence()
				if !IsAACFrame(frame, c.ASC()) {
					t.Errorf("% x is no frame", frame)
				}
				var stream []byte
				for range 40 {
					stream = append(AppendADTS(stream, c.ADTS(), len(frame)), frame...)
				}
				decode(t, "aac", stream, c.Channels, 40*AACSamples)
			})
		}
	}
	for _, header := range [][]byte{{0xFF, 0xFB, 0x90, 0x00}, {0xFF, 0xFA, 0x92, 0xC0}, {0xFF, 0xF3, 0x90, 0x00}, {0xFF, 0xE3, 0x40, 0xC0}} {
		t.Run(fmt.Sprintf("MP3 % x", header), func(t *testing.T) {
			h, ok := ParseMP3(header)
			frame := MP3Silence(header)
			if !ok || len(frame) != h.Size {
				t.Fatalf("%d bytes, want %d", len(frame), h.Size)
			}
			decode(t, "mp3", bytes.Repeat(frame, 40), h.Channels, 40*h.Samples)
		})
	}
	if MP3Silence([]byte{0xFF, 0xFB, 0, 0}) != nil || MP3Silence(nil) != nil {
		t.Error("a frame of the free format, whose size is not known")
	}
}
