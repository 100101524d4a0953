package mpegts

import (
	"math/rand/v2"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Parameter sets of small streams, and the AudioSpecificConfigs of stereo AAC.
var (
	sps264  = []byte{0x67, 0x42, 0xC0, 0x0D, 0xD9, 0x01, 0x41, 0xFB, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xF1, 0x42, 0xA4, 0x80}
	pps264  = []byte{0x68, 0xCB, 0x83, 0xCB, 0x20}
	vps265  = []byte{0x40, 0x01, 0x0C, 0x01, 0xFF, 0xFF, 0x01}
	sps265  = []byte{0x42, 0x01, 0x01, 0x01, 0x60}
	pps265  = []byte{0x44, 0x01, 0xC1, 0x72}
	aud264  = []byte{0x09, 0x10}
	aud265  = []byte{0x46, 0x01, 0x10}
	ascLC48 = []byte{0x11, 0x90}
	ascLC44 = []byte{0x12, 0x10}
	ascHE48 = []byte{0x13, 0x10} // core at 24 kHz
	// 5.1 at 48 kHz, by a program config element: centre, front pair, back pair, LFE.
	ascPCE51 = []byte{0x11, 0x80, 0x04, 0xC8, 0x05, 0x00, 0x01, 0x08, 0x80, 0x00}
)

func newMuxer(t testing.TB, c Config) *Muxer {
	t.Helper()
	m, err := NewMuxer(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// adts is what codec.ADTS says of an AudioSpecificConfig.
func adts(t testing.TB, asc []byte) [codec.ADTSSize]byte {
	t.Helper()
	c, err := codec.ParseASC(asc)
	if err != nil {
		t.Fatal(err)
	}
	return c.ADTS()
}

// source makes elementary stream data from a seed.
type source struct{ *rand.Rand }

func newSource(seed uint64) source { return source{rand.New(rand.NewPCG(seed, 188))} }

// nal is a NAL unit of n bytes, at least 2, that is no parameter set.
func (s source) nal(video StreamType, n int, idr bool) []byte {
	p := s.bytes(n)
	switch {
	case video == H264 && idr:
		p[0] = 0x65
	case video == H264:
		p[0] = 0x41
	case idr:
		p[0], p[1] = 19<<1, 1
	default:
		p[0], p[1] = 1<<1, 1
	}
	return p
}

// mp3 is an MPEG-1 layer III frame of n bytes at 44.1 kHz; with short, an MPEG-2 one at 22.05 kHz.
func (s source) mp3(n int, short bool) []byte {
	p := s.bytes(n)
	p[0], p[1], p[2] = 0xFF, 0xFB, 0x90
	if short {
		p[1] = 0xF3
	}
	return p
}

// bytes never has two zeros in a row, as no NAL unit has three.
func (s source) bytes(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(1 + s.IntN(255))
	}
	return p
}

// annexB is what a decoder should find: the delimiter of ours, then the units.
func annexB(video StreamType, units ...[]byte) []byte {
	out := []byte{0, 0, 0, 1, 0x09, 0xF0}
	if video == H265 {
		out = []byte{0, 0, 0, 1, 0x46, 0x01, 0x50}
	}
	for _, u := range units {
		if (Config{Video: video}).codec().NAL(u).Set() != 0 {
			out = append(out, 0)
		}
		out = append(append(out, 0, 0, 1), u...)
	}
	return out
}
