package codec

import (
	"math"
	"testing"
)

func TestH264Kinds(t *testing.T) {
	want := [32]Kind{
		1: KindSlice, 2: KindSlice, 3: KindSlice, 4: KindSlice, 5: KindSlice, 6: KindSEI, 7: KindSPS, 8: KindPPS, 9: KindDelimiter,
		10: KindSuffix, 11: KindSuffix, 12: KindSuffix,
		0: KindSuffix, // may not come before the first slice, 7.4.1.2.3; the same from 19 on
	}
	for i := 19; i < 32; i++ {
		want[i] = KindSuffix
	}
	for i, w := range want {
		for _, ref := range []byte{0, 0x20, 0x60} {
			if got := H264.NAL([]byte{byte(i) | ref, 1, 2}); got != w {
				t.Errorf("type %d: kind %d, want %d", i, got, w)
			}
			if got := H264.NAL([]byte{byte(i) | ref}); got != w {
				t.Errorf("type %d without a body: kind %d, want %d", i, got, w)
			}
		}
	}
	if H264.NAL(nil) != KindEmpty || H264.NAL([]byte{}) != KindEmpty {
		t.Error("nothing is something")
	}
}

func TestH264Slices(t *testing.T) {
	for name, c := range map[string]struct {
		units []string
		want  Survey
	}{
		"IDR":                        {[]string{"6588840021ff"}, Survey{Content: true, Slices: 1, First: true, Access: Clean}},
		"a P picture":                {[]string{"419a02"}, Survey{Content: true, Slices: 1, First: true}},
		"four slices":                {[]string{"6588", "6504", "6502", "6501"}, Survey{Content: true, Slices: 4, First: true, Access: Clean}},
		"its second slice":           {[]string{"4104"}, Survey{Content: true, Slices: 1}},
		"its second and third":       {[]string{"6504", "6502"}, Survey{Content: true, Slices: 2, Access: Clean}},
		"partitions":                 {[]string{"428a", "43ff", "44ff"}, Survey{Content: true, Slices: 3, First: true}},
		"partition B alone":          {[]string{"43ff"}, Survey{Content: true, Slices: 1}},
		"partition C, then A":        {[]string{"44ff", "428a"}, Survey{Content: true, Slices: 2}},
		"a slice without a header":   {[]string{"65"}, Survey{Content: true, Slices: 1, Access: Clean}},
		"an IDR field and its other": {[]string{"6588", "419a"}, Survey{Content: true, Slices: 2, First: true, Access: Clean}},
		"another layer's slice":      {[]string{"74 80 00 00 88"}, Survey{Content: true, Trailing: true}},
	} {
		var units [][]byte
		for _, u := range c.units {
			units = append(units, unhex(t, u))
		}
		if got := H264.Survey(units); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestDescribeH264(t *testing.T) {
	for name, c := range map[string]struct {
		sps           string
		width, height int
		rate          float64
		reorder       int
		hdr, codecs   string
	}{
		"High":          {sps720p, 1280, 720, 30000. / 1001, 2, "SDR", "avc1.64001f"},
		"Baseline":      {sps108p, 192, 108, 25, 0, "SDR", "avc1.42c00b"},
		"in fields":     {sps1080i, 1920, 1080, 25, 2, "SDR", "avc1.640028"},
		"intra alone":   {spsIntra, 64, 64, 25, 0, "SDR", "avc1.6e100a"},
		"PQ":            {spsPQ, 320, 180, 50, 0, "PQ", "avc1.6e1015"},
		"without a VUI": {"674d401ef40501ec80", 640, 480, 0, -1, "SDR", "avc1.4d401e"},
		"POC of type 2": {"674d401eda0280f640", 640, 480, 0, 0, "SDR", "avc1.4d401e"},
	} {
		v := Video{Codec: H264, SPS: [][]byte{unhex(t, c.sps)}, PPS: [][]byte{unhex(t, pps264)}}
		if err := v.Describe(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v.Width != c.width || v.Height != c.height || math.Abs(v.FrameRate-c.rate) > 1e-6 || v.Reorder != c.reorder || v.Range() != c.hdr || v.Name() != c.codecs {
			t.Errorf("%s: %dx%d, %v fps, reorder %d, %s, %s; want %+v", name, v.Width, v.Height, v.FrameRate, v.Reorder, v.Range(), v.Name(), c)
		}
	}
}

// Settings of x264 and x265, shortened, as written in the SEI of a first access unit.
const (
	x264Settings = "\x06\x05\xff\xff\xaa\xdcE\xe9\xbd\xe6\xd9H\xb7\x96,\xd8 \xd9#\xee\xefx264 - core 164 r3095 baee400 - options: weightp=2 keyint=250 keyint_min=25 scenecut=40\x00\x80"
	x265Settings = "\x4e\x01\x05\xff\xff\xed,\xa2\xde\t\xb5\x17G\xdb\xbbU\xa4\xfe\x7f\xc2\xfcNx265 (build 199) - options: open-gop min-keyint=25 keyint=48 gop-lookahead=0\x80"
)

func TestX264KeyInterval(t *testing.T) {
	for name, c := range map[string]struct {
		units []string
		rate  float64
		want  int64
	}{
		"x264":                   {[]string{"\x67\x42", "\x68\xce", x264Settings, "\x65\x88"}, 25, 10 * Clock},
		"at 30000/1001":          {[]string{x264Settings}, 30000. / 1001, 250 * 3003},
		"x265":                   {[]string{x265Settings, "\x28\x01\xaf"}, 24, 2 * Clock},
		"rate unknown":           {[]string{x264Settings}, 0, 0},
		"rate absurd":            {[]string{x264Settings}, math.Inf(1), 0},
		"rate is none":           {[]string{x264Settings}, math.NaN(), 0},
		"infinite":               {[]string{"\x06\x05\x40x264 - options: keyint=infinite keyint_min=25\x80"}, 25, 0},
		"none":                   {[]string{"\x06\x05\x40x264 - options: keyint=0 keyint_min=25\x80"}, 25, 0},
		"negative":               {[]string{"\x4e\x01\x05\x40x265 - options: keyint=-1 x\x80"}, 25, 0},
		"more than can be":       {[]string{"\x06\x05\x40x264 - options: keyint=99999999999 x\x80"}, 25, 0},
		"at the end":             {[]string{"\x06\x05\x40x264 - options: keyint="}, 25, 0},
		"of somebody else":       {[]string{"\x06\x05\x40elsewhere - options: keyint=250 keyint_min=25\x80"}, 25, 0},
		"the word in a picture":  {[]string{"\x65\x88x264 keyint=250 x"}, 25, 0},
		"behind another message": {[]string{"\x06\x01\x01\x12\x80", x264Settings}, 50, 5 * Clock},
		"no units":               {nil, 25, 0},
		"an empty unit":          {[]string{""}, 25, 0},
	} {
		var units [][]byte
		for _, u := range c.units {
			units = append(units, []byte(u))
		}
		if got := X264KeyInterval(units, c.rate); got != c.want {
			t.Errorf("%s: %d ticks, want %d", name, got, c.want)
		}
	}
}
