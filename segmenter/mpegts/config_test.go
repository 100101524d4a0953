package mpegts

import (
	"errors"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

func TestTypeOf(t *testing.T) {
	for _, c := range []struct {
		codec codec.Codec
		rate  int
		want  StreamType
	}{
		{codec.H264, 0, H264}, {codec.H265, 0, H265}, {codec.AAC, 22050, AAC}, {codec.MP3, 44100, MP3MPEG1}, {codec.MP3, 32000, MP3MPEG1},
		{codec.MP3, 24000, MP3MPEG2}, {codec.MP3, 8000, MP3MPEG2}, {codec.MP3, 0, MP3MPEG1}, {0, 48000, 0}, {99, 0, 0},
	} {
		if got := TypeOf(c.codec, c.rate); got != c.want {
			t.Errorf("%v at %d Hz: %#x, want %#x", c.codec, c.rate, got, c.want)
		}
		if video := (Config{Video: c.want}).codec(); c.codec.IsVideo() && video != c.codec {
			t.Errorf("%v comes back as %v", c.codec, video)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]Config{
		"LC":           {Audio: AAC, ASC: ascLC48},
		"HE-AAC":       {Audio: AAC, ASC: ascHE48},
		"5.1 by a PCE": {Video: H265, Audio: AAC, ASC: ascPCE51},
		"MP3":          {Audio: MP3MPEG1, ASC: []byte{1}},
		"video":        {Video: H264},
	} {
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, asc := range map[string][]byte{
		"empty":               {},
		"one byte":            {0x11},
		"AAC-LD":              {0xB9, 0x90},
		"a rate of its own":   {0x17, 0x80, 0x5D, 0xC1, 0x10, 0x00},
		"a PCE cut short":     {0x11, 0x80},
		"channel config 11":   {0x11, 0xD8},
		"960 samples a frame": {0x11, 0x94},
		"HE-AAC, cut short":   {0x2B, 0x8A},
	} {
		c := Config{Video: H264, Audio: AAC, ASC: asc}
		if c.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := NewMuxer(c); err == nil {
			t.Errorf("%s: a muxer is made", name)
		}
	}
	var words *codec.Unsupported
	if err := (Config{Audio: AAC, ASC: []byte{0x11, 0x94}}).Check(); !errors.As(err, &words) {
		t.Errorf("%v: a caller cannot take the words apart", err)
	}
}

// TestPCEBecomesAChannelConfiguration: an ADTS header has no room for a PCE.
func TestPCEBecomesAChannelConfiguration(t *testing.T) {
	m, b := newMuxer(t, Config{Audio: AAC, ASC: ascPCE51}), new(Pool).Buffer()
	m.Begin(b)
	m.Audio(b, 0, []byte{1, 2, 3, 4})
	m.FlushAudio(b)
	c, frame, ok := codec.ParseADTS(inspect(t, bytesOf(b)).audio[0].data)
	if !ok || c.ChannelConfig != 6 || c.Rate != 48000 || len(frame) != 4 {
		t.Errorf("%+v, %d bytes, %v", c, len(frame), ok)
	}
}
