package codec

import (
	"bytes"
	"math"
	"testing"
)

func TestVideoComplete(t *testing.T) {
	one, many := [][]byte{{0x67, 0x42, 0, 30}}, [][]byte{make([]byte, 15)}
	for name, c := range map[string]struct {
		v    Video
		want bool
	}{
		"H.264":             {Video{Codec: H264, SPS: one, PPS: one}, true},
		"H.264, no PPS":     {Video{Codec: H264, SPS: one}, false},
		"H.264, no SPS":     {Video{Codec: H264, PPS: one}, false},
		"H.264, short SPS":  {Video{Codec: H264, SPS: [][]byte{{0x67, 0x42, 0}}, PPS: one}, false},
		"H.265":             {Video{Codec: H265, VPS: one, SPS: many, PPS: one}, true},
		"H.265, no VPS":     {Video{Codec: H265, SPS: many, PPS: one}, false},
		"H.265, no PPS":     {Video{Codec: H265, VPS: one, SPS: many}, false},
		"H.265, short SPS":  {Video{Codec: H265, VPS: one, SPS: one, PPS: one}, false},
		"nothing of either": {Video{Codec: H265}, false},
	} {
		if got := c.v.Complete(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestVideoDescribeForgets(t *testing.T) {
	v := Video{Codec: H264, SPS: [][]byte{unhex(t, spsPQ)}, PPS: [][]byte{unhex(t, pps264)}}
	if err := v.Describe(); err != nil || v.Range() != "PQ" {
		t.Fatal(err, v.Range())
	}
	for name, sps := range map[string][]byte{"none": nil, "cut short": unhex(t, spsPQ[:16]), "of another kind": unhex(t, pps264)} {
		v.SPS = [][]byte{sps}
		if err := v.Describe(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if v.Width != 0 || v.Height != 0 || v.FrameRate != 0 || v.Reorder != -1 || v.Range() != "SDR" {
			t.Errorf("%s: %+v is left of the SPS before", name, v)
		}
	}
}

// TestVideoDescribeAbsurd tests SPSs that are valid and cannot be meant.
func TestVideoDescribeAbsurd(t *testing.T) {
	for name, c := range map[string]struct {
		sps   string
		width int
	}{
		"crop larger than the picture":   {"674d401ef40501ee00fa7a", 0},
		"32016 pixels wide":              {"674d401ef4003e8801f472", 0},
		"50 frames in no time":           {"674d401ef40501ed08000003000003000003019420", 640},
		"a thousand million in a second": {"674d401ef40501ed08000003000c000003000420", 640},
	} {
		v := Video{Codec: H264, SPS: [][]byte{unhex(t, c.sps)}, PPS: [][]byte{unhex(t, pps264)}}
		if err := v.Describe(); err != nil || v.Width != c.width || v.FrameRate != 0 {
			t.Errorf("%s: %dx%d at %v, %v", name, v.Width, v.Height, v.FrameRate, err)
		}
	}
}

func TestVideoSame(t *testing.T) {
	a := Video{Codec: H265, VPS: [][]byte{{1}}, SPS: [][]byte{{2}}, PPS: [][]byte{{3}}}
	for name, c := range map[string]struct {
		change func(v *Video)
		want   bool
	}{
		"the same":     {func(*Video) {}, true},
		"another PPS":  {func(v *Video) { v.PPS = [][]byte{{4}, {5}} }, true},
		"another SPS":  {func(v *Video) { v.SPS = [][]byte{{4}} }, false},
		"one SPS more": {func(v *Video) { v.SPS = [][]byte{{2}, {4}} }, false},
		"another VPS":  {func(v *Video) { v.VPS = [][]byte{{4}} }, false},
		"no VPS":       {func(v *Video) { v.VPS = nil }, false},
		"other codec":  {func(v *Video) { v.Codec = H264 }, false},
		"other size":   {func(v *Video) { v.Width = 9 }, true}, // it follows from the SPS
	} {
		b := a
		c.change(&b)
		if a.Same(&b) != c.want || b.Same(&a) != c.want {
			t.Errorf("%s: %v", name, !c.want)
		}
	}
}

func TestVideoSets(t *testing.T) {
	v := Video{Codec: H265, PPS: [][]byte{{3}, {4}}, SPS: [][]byte{{2}}, VPS: [][]byte{{1}}}
	if got := bytes.Join(v.Sets(), nil); !bytes.Equal(got, []byte{1, 2, 3, 4}) {
		t.Error(got)
	}
	if len((&Video{}).Sets()) != 0 {
		t.Error("sets of nothing")
	}
}

func TestVideoNameWithoutSets(t *testing.T) {
	for c, want := range map[Codec]string{H264: "avc1", H265: "hvc1"} {
		if got := (&Video{Codec: c}).Name(); got != want {
			t.Errorf("%s: %q", c, got)
		}
	}
}

// TestVideoRange tests the code points that rfc8216bis 4.4.6.2 names.
func TestVideoRange(t *testing.T) {
	for transfer, want := range map[uint8]string{0: "SDR", 1: "SDR", 2: "SDR", 6: "SDR", 13: "SDR", 14: "SDR", 15: "SDR", 16: "PQ", 18: "HLG"} {
		if got := (&Video{transfer: transfer}).Range(); got != want {
			t.Errorf("transfer characteristics %d: %s, want %s", transfer, got, want)
		}
	}
}

func TestFrameRates(t *testing.T) {
	for rate, want := range map[float64]struct {
		plausible float64
		duration  int64
	}{
		25: {25, 3600}, 30000. / 1001: {30000. / 1001, 3003}, 60: {60, 1500}, 1: {1, 90000}, 0.2: {0.2, 450000}, 1000: {1000, 90},
		0: {0, 3600}, -25: {0, 3600}, 0.01: {0, 3600}, 90000: {0, 3600}, math.Inf(1): {0, 3600}, math.Inf(-1): {0, 3600},
	} {
		if got := PlausibleRate(rate); got != want.plausible {
			t.Errorf("%v fps: %v", rate, got)
		}
		if got := FrameDuration(rate); got != want.duration {
			t.Errorf("%v fps: %d ticks, want %d", rate, got, want.duration)
		}
	}
	if PlausibleRate(math.NaN()) != 0 || FrameDuration(math.NaN()) != 3600 {
		t.Error("a rate that is none")
	}
}
