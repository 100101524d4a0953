package codec

import (
	"math"
	"testing"
)

func TestH265Kinds(t *testing.T) {
	want := [64]Kind{32: KindVPS, 33: KindSPS, 34: KindPPS, 35: KindDelimiter, 36: KindSuffix, 37: KindSuffix, 38: KindSuffix, 39: KindSEI,
		40: KindSuffix, 45: KindSuffix, 46: KindSuffix, 47: KindSuffix}
	for i := range want {
		switch {
		case i < 32:
			want[i] = KindSlice
		case i >= 56: // 62 are the metadata of Dolby Vision, behind the slices
			want[i] = KindSuffix
		}
	}
	for i, w := range want {
		if got := H265.NAL([]byte{byte(i << 1), 1, 0x80}); got != w {
			t.Errorf("type %d: kind %d, want %d", i, got, w)
		}
		upper := KindOther
		if i < 32 {
			upper = KindSuffix
		}
		for _, u := range [][]byte{{byte(i << 1), 1<<3 | 1, 0x80}, {byte(i<<1) | 1, 1, 0x80}} { // nuh_layer_id 1 and 32
			if got := H265.NAL(u); got != upper {
				t.Errorf("type %d of another layer: kind %d, want %d", i, got, upper)
			}
		}
		if got := H265.NAL([]byte{byte(i << 1)}); got != KindOther {
			t.Errorf("half a header of type %d: kind %d", i, got)
		}
	}
	if H265.NAL(nil) != KindEmpty {
		t.Error("nothing is something")
	}
}

func TestH265Slices(t *testing.T) {
	slice := func(kind byte, first bool) []byte {
		u := []byte{kind << 1, 1, 0x10, 7}
		if first {
			u[2] |= 0x80
		}
		return u
	}
	access := map[byte]Access{16: Clean, 17: Clean, 18: Clean, 19: Clean, 20: Clean, 21: Open}
	for kind := range byte(32) {
		want := Survey{Content: true, Slices: 1, First: true, Access: access[kind], Leading: kind == 8 || kind == 9}
		if got := H265.Survey([][]byte{slice(kind, true)}); got != want {
			t.Errorf("type %d: %+v, want %+v", kind, got, want)
		}
		want.First = false
		if got := H265.Survey([][]byte{slice(kind, false)}); got != want {
			t.Errorf("type %d, not the first segment: %+v, want %+v", kind, got, want)
		}
	}
	if got := H265.Survey([][]byte{slice(19, true), slice(19, false), slice(19, false)}); !got.First || got.Slices != 3 || got.Access != Clean {
		t.Errorf("three segments: %+v", got)
	}
	if got := H265.Survey([][]byte{slice(1, false), slice(1, true)}); got.First {
		t.Errorf("the end of a picture and another: %+v", got)
	}
	if got := H265.Survey([][]byte{{19 << 1, 1}}); got.First || got.Slices != 1 {
		t.Errorf("without a slice header: %+v", got)
	}
	second := slice(1, true)
	second[1] = 1<<3 | 1
	if got := H265.Survey([][]byte{second}); got.First || got.Slices != 0 || !got.Trailing {
		t.Errorf("the second view alone: %+v", got)
	}
}

func TestDescribeH265(t *testing.T) {
	for name, c := range map[string]struct {
		vps, sps      string
		width, height int
		rate          float64
		reorder       int
		hdr, codecs   string
	}{
		"Main":             {vps265, sps265, 192, 108, 25, 2, "SDR", "hvc1.1.6.L30.90"},
		"HLG":              {vps265HLG, sps265HLG, 1280, 720, 60000. / 1001, 2, "HLG", "hvc1.2.4.L120.90"},
		"PQ, High tier":    {vps265HLG, sps265PQ, 3840, 2160, 50, 2, "PQ", "hvc1.2.4.H153.90"},
		"without B-frames": {vps265, sps265P, 1920, 1080, 50, 0, "SDR", "hvc1.1.6.L123.90"},
	} {
		v := Video{Codec: H265, VPS: [][]byte{unhex(t, c.vps)}, SPS: [][]byte{unhex(t, c.sps)}, PPS: [][]byte{unhex(t, pps265)}}
		if err := v.Describe(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v.Width != c.width || v.Height != c.height || math.Abs(v.FrameRate-c.rate) > 1e-6 || v.Reorder != c.reorder || v.Range() != c.hdr || v.Name() != c.codecs {
			t.Errorf("%s: %dx%d, %v fps, reorder %d, %s, %s; want %+v", name, v.Width, v.Height, v.FrameRate, v.Reorder, v.Range(), v.Name(), c)
		}
	}
}

// TestH265Codecs uses the examples of ISO/IEC 14496-15 E.3, as profile_tier_levels behind a header.
func TestH265Codecs(t *testing.T) {
	for ptl, want := range map[string]string{
		"01 60000000 b00000000000 5d":              "hvc1.1.6.L93.B0",
		"42 20000000 000000000000 96":              "hvc1.A2.4.L150",
		"a4 08000000 b00000000001 7b":              "hvc1.B4.10.H123.B0.0.0.0.0.1",
		"01 60 0000 03 00 90 0000 03 0000 03 005d": "hvc1.1.6.L93.90", // with emulation prevention
	} {
		if got := h265Codecs(unhex(t, "420101"+ptl)); got != want {
			t.Errorf("%s: %s, want %s", ptl, got, want)
		}
	}
	for _, short := range []string{"", "4201", "420101", "420101 01 60000000 b0"} {
		if got := h265Codecs(unhex(t, short)); got != "hvc1" {
			t.Errorf("%q: %s", short, got)
		}
	}
}
