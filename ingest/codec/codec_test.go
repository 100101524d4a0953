package codec

import "testing"

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
