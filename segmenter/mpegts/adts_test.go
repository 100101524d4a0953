package mpegts

import (
	"bytes"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

func TestADTS(t *testing.T) {
	for _, c := range []struct {
		name     string
		asc      []byte
		rate     int
		channels int
	}{
		{"LC 48 kHz stereo", ascLC48, 48000, 2},
		{"LC 44.1 kHz stereo", ascLC44, 44100, 2},
		{"LC 8 kHz mono", []byte{0x15, 0x88}, 8000, 1},
		{"LC 48 kHz 5.1", []byte{0x11, 0xB0}, 48000, 6},
		{"LC with its rate spelt out", []byte{0x17, 0x80, 0x5D, 0xC0, 0x10}, 48000, 2},
		{"HE-AAC, implicit", []byte{0x13, 0x10}, 24000, 2},
		{"HE-AAC, backward compatible", []byte{0x13, 0x90, 0x56, 0xE5, 0xA0}, 22050, 2},
		{"HE-AAC, hierarchical", []byte{0x2B, 0x8A, 0x08, 0x00}, 22050, 1},
		{"HE-AAC v2, hierarchical", []byte{0xEB, 0x8A, 0x08, 0x00}, 22050, 1},
	} {
		a, err := newADTS(c.asc)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if a.rate != c.rate {
			t.Errorf("%s: %d Hz, want %d", c.name, a.rate, c.rate)
		}
		for _, size := range []int{1, 7, 341, 2047, mpeg4audio.MaxAccessUnitSize} {
			frame := bytes.Repeat([]byte{0x55}, size)
			var got mpeg4audio.ADTSPackets
			if err := got.Unmarshal(append(a.append(nil, size), frame...)); err != nil {
				t.Errorf("%s, %d bytes: %v", c.name, size, err)
				continue
			}
			if len(got) != 1 || !bytes.Equal(got[0].AU, frame) || got[0].SampleRate != c.rate ||
				int(got[0].ChannelConfig) != c.channels || got[0].Type != mpeg4audio.ObjectTypeAACLC {
				t.Errorf("%s, %d bytes: read back as %d Hz, channels %d, type %d", c.name, size, got[0].SampleRate, got[0].ChannelConfig, got[0].Type)
			}
		}
	}
}

func TestADTSLongest(t *testing.T) {
	a, err := newADTS(ascLC48)
	if err != nil {
		t.Fatal(err)
	}
	h := a.append(nil, maxADTSFrame)
	if n := int(h[3]&3)<<11 | int(h[4])<<3 | int(h[5]>>5); n != 1<<13-1 {
		t.Errorf("frame length %d, want all 13 bits", n)
	}
}

func TestADTSRefusals(t *testing.T) {
	for name, asc := range map[string][]byte{
		"empty":               {},
		"one byte":            {0x11},
		"object type 0":       {0x01, 0x90},
		"AAC-LD":              {0xB9, 0x90},
		"USAC":                {0xF9, 0x4C, 0x80},
		"reserved rate":       {0x16, 0x90},
		"a rate of its own":   {0x17, 0x80, 0x5D, 0xC1, 0x10, 0x00},
		"channels in a PCE":   {0x11, 0x80},
		"channel config 11":   {0x11, 0xD8},
		"960 samples a frame": {0x11, 0x94},
		"HE-AAC, cut short":   {0x2B, 0x8A},
	} {
		if _, err := newADTS(asc); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzADTS(f *testing.F) {
	f.Add(ascLC48)
	f.Add([]byte{0x2B, 0x8A, 0x08, 0x00})
	f.Fuzz(func(t *testing.T, asc []byte) {
		a, err := newADTS(asc)
		if err != nil {
			return
		}
		if h := a.append(nil, 100); len(h) != adtsSize || a.rate <= 0 {
			t.Errorf("header % x, %d Hz", h, a.rate)
		}
	})
}
