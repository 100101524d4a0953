package codec

import (
	"bytes"
	"testing"
)

// Records are written as ffmpeg writes them, and read back as what they were.
func TestAppendRecord(t *testing.T) {
	for name, c := range map[string]struct {
		codec  Codec
		record string
	}{
		"H.264":           {H264, avcC},
		"H.264, Baseline": {H264, "0142c00bffe10018" + sps108p + "010006" + pps264},
		"H.265":           {H265, "0101600000009000000000001ef000fcfdf8f800000f03a000010018" + vps265 + "a100010029" + sps265 + "a200010007" + pps265},
	} {
		want := unhex(t, c.record)
		v, _, err := ParseRecord(c.codec, want)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := v.AppendRecord(nil); !bytes.Equal(got, want) {
			t.Errorf("%s:\n% x, want\n% x", name, got, want)
		}
	}
	v := &Video{Codec: H264, SPS: [][]byte{unhex(t, "67640000ff")}, PPS: [][]byte{unhex(t, pps264)}}
	if again, _, err := ParseRecord(H264, v.AppendRecord(nil)); err != nil || !again.Same(v) {
		t.Errorf("an SPS that is not understood: %+v, %v", again, err)
	}
}

func TestPicture(t *testing.T) {
	plain := Picture{Chroma: 1, LumaDepth: 8, ChromaDepth: 8}
	for name, c := range map[string]struct {
		codec Codec
		sps   string
		want  Picture
	}{
		"nothing":          {H264, "", plain},
		"what is not read": {H264, "67640000ff", plain},
		"interlaced":       {H264, sps1080i, Picture{Chroma: 1, LumaDepth: 8, ChromaDepth: 8, SARWidth: 1, SARHeight: 1}},
		"H.265":            {H265, sps265, Picture{Chroma: 1, LumaDepth: 8, ChromaDepth: 8, SARWidth: 1, SARHeight: 1}},
		"PQ":               {H265, sps265PQ, Picture{Chroma: 1, LumaDepth: 10, ChromaDepth: 10, SARWidth: 1, SARHeight: 1, Colour: true, Primaries: 9, Transfer: 16, Matrix: 9}},
	} {
		v := Video{Codec: c.codec}
		if c.sps != "" {
			v.SPS = [][]byte{unhex(t, c.sps)}
		}
		if got := v.Picture(); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	for idc, want := range map[uint8][2]int{0: {0, 0}, 1: {1, 1}, 14: {4, 3}, 16: {2, 1}, 17: {0, 0}, 255: {7, 5}} {
		var p Picture
		if p.aspect(idc, 7, 5); p.SARWidth != want[0] || p.SARHeight != want[1] {
			t.Errorf("aspect_ratio_idc %d: %d:%d, want %v", idc, p.SARWidth, p.SARHeight, want)
		}
	}
}
