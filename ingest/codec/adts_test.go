package codec

import (
	"bytes"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// TestADTS reads the headers with an independent parser.
func TestADTS(t *testing.T) {
	for _, c := range configs {
		if c.want.ChannelConfig == 7 || c.want.Object != objectLC {
			continue // the other parser supports LC only, and takes eight channels for seven
		}
		for _, size := range []int{1, 7, 341, 2047, mpeg4audio.MaxAccessUnitSize} {
			frame := bytes.Repeat([]byte{0x55}, size)
			var got mpeg4audio.ADTSPackets
			if err := got.Unmarshal(append(AppendADTS(nil, c.want.ADTS(), size), frame...)); err != nil {
				t.Errorf("%s, %d bytes: %v", c.name, size, err)
				continue
			}
			if len(got) != 1 || !bytes.Equal(got[0].AU, frame) || got[0].SampleRate != c.want.Rate || int(got[0].ChannelConfig) != c.want.ChannelConfig || int(got[0].Type) != c.want.Object {
				t.Errorf("%s, %d bytes: read back as %d Hz, channels %d, type %d", c.name, size, got[0].SampleRate, got[0].ChannelConfig, got[0].Type)
			}
		}
	}
}

func TestADTSLongest(t *testing.T) {
	h := AppendADTS([]byte{9}, configs[0].want.ADTS(), MaxAACFrame)
	if n := int(h[4]&3)<<11 | int(h[5])<<3 | int(h[6]>>5); n != 1<<13-1 || len(h) != 1+ADTSSize || h[0] != 9 {
		t.Errorf("frame length %d, want all 13 bits; % x", n, h)
	}
}

func TestParseADTS(t *testing.T) {
	stereo := AACConfig{2, 2, 3, 48000, 2, 2}
	for name, c := range map[string]struct {
		b     string
		want  AACConfig
		frame string
	}{
		"MPEG-4":              {"fff14c80015ffc 010203", stereo, "010203"},
		"MPEG-2":              {"fff94c80015ffc 010203", stereo, "010203"},
		"with a CRC":          {"fff04c80019ffc dead 010203", stereo, "010203"},
		"more behind it":      {"fff14c80015ffc 010203 fff14c", stereo, "010203"},
		"mono, 44.1 kHz":      {"fff15040015ffc 010203", AACConfig{2, 2, 4, 44100, 1, 1}, "010203"},
		"seven means eight":   {"fff14dc0015ffc 010203", AACConfig{2, 2, 3, 48000, 7, 8}, "010203"},
		"Main":                {"fff10c80015ffc 010203", AACConfig{1, 1, 3, 48000, 2, 2}, "010203"},
		"LTP":                 {"fff1cc80015ffc 010203", AACConfig{4, 4, 3, 48000, 2, 2}, "010203"},
		"a frame of no bytes": {"fff14c8000fffc", stereo, ""},
	} {
		b := unhex(t, c.b)
		got, frame, ok := ParseADTS(b)
		if !ok || got != c.want || !bytes.Equal(frame, unhex(t, c.frame)) || !inside(b, frame) {
			t.Errorf("%s: %+v, % x, %v", name, got, frame, ok)
		}
	}
	for name, s := range map[string]string{
		"nothing":                 "",
		"six bytes":               "fff14c80015f",
		"no syncword":             "fef14c80015ffc 010203",
		"another layer (MP3)":     "fffb9064015ffc 010203",
		"cut short":               "fff14c80015ffc 0102",
		"shorter than its header": "fff14c8000dffc 010203",
		"and with a CRC":          "fff04c80011ffc 010203",
		"a reserved rate":         "fff17480015ffc 010203",
		"channels in a PCE":       "fff14c00015ffc 010203",
		"two raw blocks":          "fff14c80015ffd 010203",
	} {
		if c, frame, ok := ParseADTS(unhex(t, s)); ok || frame != nil {
			t.Errorf("%s: %+v, % x", name, c, frame)
		}
	}
}

func FuzzParseADTS(f *testing.F) {
	f.Add(append(AppendADTS(nil, configs[0].want.ADTS(), 3), 1, 2, 3))
	f.Add(unhex(f, "fff04c80019ffc dead 010203"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		c, frame, ok := ParseADTS(b)
		if !bytes.Equal(before, b) {
			t.Fatal("it writes to what it reads")
		}
		if !ok {
			return
		}
		if !inside(b, frame) || len(frame) > MaxAACFrame {
			t.Fatalf("% x is not of % x", frame, b)
		}
		got, again, ok := ParseADTS(append(AppendADTS(nil, c.ADTS(), len(frame)), frame...))
		if !ok || got != c || !bytes.Equal(again, frame) {
			t.Fatalf("%+v becomes %+v", c, got)
		}
		if fromASC, err := ParseASC(c.ASC()); err != nil || fromASC != c {
			t.Fatalf("%+v becomes %+v as a configuration, %v", c, fromASC, err)
		}
	})
}
