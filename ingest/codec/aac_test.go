package codec

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// configs are supported AudioSpecificConfigs.
var configs = []struct {
	name string
	asc  string
	want AACConfig
}{
	{"LC, 48 kHz, stereo, of ffmpeg", "119056e500", AACConfig{2, 2, 3, 48000, 2, 2}},
	{"LC, 44.1 kHz, stereo", "1210", AACConfig{2, 2, 4, 44100, 2, 2}},
	{"LC, 8 kHz, mono", "1588", AACConfig{2, 2, 11, 8000, 1, 1}},
	{"LC, 48 kHz, mono, of ffmpeg", "118856e500", AACConfig{2, 2, 3, 48000, 1, 1}},
	{"LC, 48 kHz, 3.0, of ffmpeg", "119856e500", AACConfig{2, 2, 3, 48000, 3, 3}},
	{"LC, 48 kHz, 5.1, of ffmpeg", "11b056e500", AACConfig{2, 2, 3, 48000, 6, 6}},
	{"LC, 48 kHz, 7.1, of ffmpeg", "11b856e500", AACConfig{2, 2, 3, 48000, 7, 8}},
	{"Main, 48 kHz, stereo", "0990", AACConfig{1, 1, 3, 48000, 2, 2}},
	{"LTP, 96 kHz, stereo", "2010", AACConfig{4, 4, 0, 96000, 2, 2}},
	{"LC with its rate spelt out", "17805dc010", AACConfig{2, 2, 3, 48000, 2, 2}},
	{"HE-AAC, implicit", "1310", AACConfig{2, 2, 6, 24000, 2, 2}},
	{"HE-AAC, backward compatible", "139056e5a0", AACConfig{2, 2, 7, 22050, 2, 2}},
	{"HE-AAC, hierarchical", "2b8a0800", AACConfig{2, 5, 7, 22050, 1, 1}},
	{"HE-AAC, its rates spelt out", "2f802ee017805dc00800", AACConfig{2, 5, 6, 24000, 2, 2}},
	{"HE-AAC v2, hierarchical", "eb8a0800", AACConfig{2, 29, 7, 22050, 1, 1}},
	{"PCE: mono", pce("1", "", "", 0), AACConfig{2, 2, 3, 48000, 1, 1}},
	{"PCE: stereo", pce("2", "", "", 0), AACConfig{2, 2, 3, 48000, 2, 2}},
	{"PCE: 3.0", pce("12", "", "", 0), AACConfig{2, 2, 3, 48000, 3, 3}},
	{"PCE: 4.0", pce("12", "", "1", 0), AACConfig{2, 2, 3, 48000, 4, 4}},
	{"PCE: 5.0", pce("12", "", "2", 0), AACConfig{2, 2, 3, 48000, 5, 5}},
	{"PCE: 5.0, at the side", pce("12", "2", "", 0), AACConfig{2, 2, 3, 48000, 5, 5}},
	{"PCE: 5.1", pce("12", "", "2", 1), AACConfig{2, 2, 3, 48000, 6, 6}},
	{"PCE: 5.1, at the side", pce("12", "2", "", 1), AACConfig{2, 2, 3, 48000, 6, 6}},
	{"PCE: 7.1, wide", pce("122", "", "2", 1), AACConfig{2, 2, 3, 48000, 7, 8}},
	{"PCE: 5.1(side), of a newer ffmpeg", "118004c805000108800d4c61766336312e31392e31303156e500", AACConfig{2, 2, 3, 48000, 6, 6}},
}

func TestParseASC(t *testing.T) {
	for _, c := range configs {
		got, err := ParseASC(unhex(t, c.asc))
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
}

func TestParseASCRefuses(t *testing.T) {
	for name, c := range map[string]struct{ asc, words string }{ // no words: it is truncated or invalid
		"nothing":                     {"", ""},
		"one byte":                    {"11", ""},
		"a reserved rate":             {"1690", ""},
		"a rate of 0":                 {"178000000010", ""},
		"a PCE that is not there":     {"1180", ""},
		"a PCE cut short":             {"118004c805", ""},
		"HE-AAC, cut short":           {"2b8a", ""},
		"object type 0":               {"0190", "MPEG-4 audio object type 0 is"},
		"AAC-LD":                      {"b990", "AAC-LD is"},
		"AAC-ELD":                     {"f8e85000", "AAC-ELD is"},
		"xHE-AAC":                     {"f9459c00", "xHE-AAC is"},
		"ALS":                         {"f8904000", "MPEG-4 audio object type 36"},
		"a rate of its own":           {"17805dc11000", "AAC at 48002 Hz"},
		"channel configuration 11":    {"11d8", "channel configuration 11"},
		"960 samples a frame":         {"1194", "frames of 960 samples"},
		"PCE: two singles":            {pce("11", "", "", 0), "(2 front, 0 side, 0 back, 0 LFE channels)"},
		"PCE: pair before the centre": {pce("21", "", "2", 1), "(3 front, 0 side, 2 back, 1 LFE channels)"},
		"PCE: 2.1":                    {pce("2", "", "", 1), "(2 front, 0 side, 0 back, 1 LFE channels)"},
		"PCE: quad":                   {pce("2", "", "2", 0), "(2 front, 0 side, 2 back, 0 LFE channels)"},
		"PCE: 7.1":                    {pce("12", "2", "2", 1), "(3 front, 2 side, 2 back, 1 LFE channels)"},
		"PCE: two LFE":                {pce("12", "", "2", 2), "(3 front, 0 side, 2 back, 2 LFE channels)"},
		"PCE: no channel":             {pce("", "", "", 0), "(0 front, 0 side, 0 back, 0 LFE channels)"},
		// Its low frequencies are a third single channel; decoders lose the sound if it is called 5.1.
		"PCE: 5.1(side), of ffmpeg 5.1": {"118004c844002000c40d4c61766335392e33372e31303056e500", "-af aformat=channel_layouts=5.1"},
	} {
		got, err := ParseASC(unhex(t, c.asc))
		var unsupported *Unsupported
		switch {
		case err == nil || got != (AACConfig{}):
			t.Errorf("%s: %+v, %v", name, got, err)
		case errors.As(err, &unsupported) != (c.words != "") || !strings.Contains(err.Error(), c.words):
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestASC reads back what was written: the core coder only.
func TestASC(t *testing.T) {
	for _, c := range configs {
		want := c.want
		want.Announced = want.Object
		asc := want.ASC()
		if got, err := ParseASC(asc); len(asc) != 2 || err != nil || got != want {
			t.Errorf("%s: % x is %+v, %v", c.name, asc, got, err)
		}
	}
}

func TestAACName(t *testing.T) {
	for announced, want := range map[int]string{1: "mp4a.40.1", 2: "mp4a.40.2", 5: "mp4a.40.5", 29: "mp4a.40.29"} {
		if got := (AACConfig{Announced: announced}).Name(); got != want {
			t.Errorf("%d: %s", announced, got)
		}
	}
}

func TestAACRates(t *testing.T) {
	for measured, want := range map[float64]int{48000: 48000, 47990: 48000, 44112: 44100, 46049: 44100, 46051: 48000, 22000: 22050, 1: 7350, 1e9: 96000, -5: 7350} {
		if got := AACRate(measured); got != want {
			t.Errorf("%v Hz: %d, want %d", measured, got, want)
		}
	}
	for i, rate := range aacRates {
		if got, ok := AACRateIndex(rate); !ok || got != i {
			t.Errorf("%d Hz: index %d, %v", rate, got, ok)
		}
	}
	if _, ok := AACRateIndex(44000); ok {
		t.Error("44000 Hz has an index")
	}
	for rate, want := range map[int]int64{48000: 1920, 44100: 2089, 24000: 3840, 8000: 11520} {
		if got := (AACConfig{Rate: rate}).FrameDuration(); got != want {
			t.Errorf("%d Hz: frames of %d ticks, want %d", rate, got, want)
		}
	}
}

func TestIsAACFrame(t *testing.T) {
	asc, long := unhex(t, "118004c844002000c40d"), make([]byte, MaxAACFrame+1)
	for name, c := range map[string]struct {
		frame []byte
		want  bool
	}{
		"a silent mono frame":     {unhex(t, "00c800802380"), true},
		"as short as can be":      {unhex(t, "00c80007"), true},
		"as long as can be":       {long[:MaxAACFrame], true},
		"nothing":                 {nil, false},
		"three bytes":             {unhex(t, "00c807"), false},
		"too long":                {long, false},
		"the configuration":       {bytes.Clone(asc), false},
		"another configuration":   {unhex(t, "1190"), false},
		"more than configuration": {append(bytes.Clone(asc), 0), true},
	} {
		if got := IsAACFrame(c.frame, asc); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// FuzzParseASC checks that whatever is accepted has a form in ADTS, and survives a round trip through it and through ASC.
func FuzzParseASC(f *testing.F) {
	for _, c := range configs {
		f.Add(unhex(f, c.asc))
	}
	f.Fuzz(func(t *testing.T, asc []byte) {
		before := bytes.Clone(asc)
		c, err := ParseASC(asc)
		if !bytes.Equal(before, asc) {
			t.Fatal("it writes to what it reads")
		}
		if err != nil {
			if c != (AACConfig{}) {
				t.Fatalf("%+v with %v", c, err)
			}
			return
		}
		if c.Rate != aacRates[c.RateIndex] || c.Channels < c.ChannelConfig || c.FrameDuration() <= 0 || c.Name() == "" {
			t.Fatalf("%+v", c)
		}
		core := c
		core.Announced = core.Object
		if got, err := ParseASC(c.ASC()); err != nil || got != core {
			t.Fatalf("%+v becomes %+v, %v", core, got, err)
		}
		got, frame, ok := ParseADTS(append(AppendADTS(nil, c.ADTS(), 3), 1, 2, 3))
		if !ok || got != core || !bytes.Equal(frame, []byte{1, 2, 3}) {
			t.Fatalf("%+v becomes %+v in ADTS, with % x, %v", core, got, frame, ok)
		}
	})
}
