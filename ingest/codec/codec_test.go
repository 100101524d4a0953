package codec

import (
	"testing"
	"time"
)

func TestCodec(t *testing.T) {
	for c, want := range map[Codec]struct {
		name  string
		video bool
		sets  Sets
	}{
		H264: {"h264", true, SPS | PPS},
		H265: {"h265", true, VPS | SPS | PPS},
		AAC:  {name: "aac"},
		MP3:  {name: "mp3"},
		0:    {name: "unknown"},
	} {
		if c.String() != want.name || c.IsVideo() != want.video {
			t.Errorf("codec %d: %q, video %v", c, c, c.IsVideo())
		}
		if want.video && c.NeededSets() != want.sets {
			t.Errorf("%s needs sets %03b, want %03b", c, c.NeededSets(), want.sets)
		}
	}
}

func TestUnsupported(t *testing.T) {
	err := error(&Unsupported{"AAC-LD", "set the encoder to AAC-LC"})
	if got := err.Error(); got != "AAC-LD is not supported: set the encoder to AAC-LC" {
		t.Error(got)
	}
}

func TestTicks(t *testing.T) {
	for d, want := range map[time.Duration]int64{0: 0, time.Second: 90000, -time.Second: -90000, time.Millisecond: 90, 11 * time.Microsecond: 0, 12 * time.Microsecond: 1, 24 * time.Hour * 3650: 90000 * 86400 * 3650} {
		if got := Ticks(d); got != want {
			t.Errorf("%v: %d ticks, want %d", d, got, want)
		}
	}
	for ticks, want := range map[int64]time.Duration{0: 0, 90000: time.Second, -90: -time.Millisecond, 1: 11111, 90000 * 86400 * 3650: 24 * time.Hour * 3650} {
		if got := Duration(ticks); got != want {
			t.Errorf("%d ticks: %v, want %v", ticks, got, want)
		}
	}
}
