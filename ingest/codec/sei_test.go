package codec

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestSEI(t *testing.T) {
	for name, c := range map[string]struct {
		codec Codec
		unit  string
		want  Survey
	}{
		"x264, gradual refresh of 20 frames":  {H264, "06 06 02 09 c4 80", Survey{Access: Recovery, RecoverIn: 18}},
		"x264, open group of pictures":        {H264, "06 06 01 c4 80", Survey{Access: Recovery}},
		"recovery in 0 pictures, H.265":       {H265, "4e01 06 01 d0 80", Survey{Access: Recovery}},
		"recovery in 8 picture orders, H.265": {H265, "4e01 06 02 08 48 80", Survey{Access: Recovery, RecoverIn: 8}},
		"recovery before the picture, H.265":  {H265, "4e01 06 02 08 c8 80", Survey{Access: Recovery}},
		"recovery later than can be":          {H264, "06 06 05 0000 0300 0140 80", Survey{}},
		"recovery cut short":                  {H264, "06 06 01 00 80", Survey{}},
		"recovery without a byte":             {H264, "06 06 00 80", Survey{}},
		"captions":                            {H264, "06 04 0a b5 0031 47413934 03 ff ff 80", Survey{Captions: true}},
		"captions, H.265":                     {H265, "4e01 04 0a b5 0031 47413934 03 ff ff 80", Survey{Captions: true}},
		"bar data, not captions":              {H264, "06 04 0a b5 0031 47413934 06 ff ff 80", Survey{}},
		"active format, not captions":         {H264, "06 04 09 b5 0031 44544731 41 ff 80", Survey{}},
		"HDR10+, not captions":                {H265, "4e01 04 09 b5 003c 0001 04 01 40 00 0c 80", Survey{}},
		"captions cut short":                  {H264, "06 04 07 b5 0031 47413934", Survey{}},
		"captions longer than the unit":       {H264, "06 04 40 b5 0031 47413934 03 ff ff 80", Survey{Captions: true}},
		"a recovery point behind buffering":   {H264, "06 00 01 80 06 01 c4 80", Survey{Access: Recovery}},
		"behind settings of 260 bytes":        {H264, "06 05 ff 05" + repeat("61", 260) + "06 01 c4 80", Survey{Access: Recovery}},
		"behind a type of 260":                {H264, "06 ff 05 01 61 06 01 c4 80", Survey{Access: Recovery}},
		"behind emulation prevention":         {H264, "06 05 04 000003 00 01 06 01 c4 80", Survey{Access: Recovery}},
		"behind two of them":                  {H265, "4e01 05 08 000003 00 61 000003 01 61 04 0a b5 0031 47413934 03 ff ff 80", Survey{Captions: true}},
		"prevention between two messages":     {H264, "06 05 02 0000 03 01 00 06 01 c4 80", Survey{Access: Recovery}},
		"a type of zeros":                     {H264, "06 0000 03 00 00 03 06 01 c4 80", Survey{Access: Recovery}},
		"without a stop bit":                  {H264, "06 06 01 c4", Survey{Access: Recovery}},
		"nothing but the header":              {H264, "06", Survey{}},
		"half a header":                       {H265, "4e", Survey{}},
		"a size that does not end":            {H264, "06 06 ffff", Survey{}},
		"as many messages as are read":        {H264, "06" + repeat("0100", maxSEIMessages-1) + "06 01 c4 80", Survey{Access: Recovery}},
		"one more":                            {H264, "06" + repeat("0100", maxSEIMessages) + "06 01 c4 80", Survey{}},
	} {
		var got Survey
		c.codec.sei(unhex(t, c.unit), &got)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func repeat(hex string, n int) string { return string(bytes.Repeat([]byte(hex), n)) }

// TestSEIBehindAnything puts a recovery point and captions behind payloads of arbitrary bytes, escaped as an encoder does it.
func TestSEIBehindAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	for range 3000 {
		var body []byte
		message := func(kind int, payload []byte) {
			size := len(payload)
			for ; kind >= 255; kind -= 255 {
				body = append(body, 255)
			}
			body = append(body, byte(kind))
			for ; size >= 255; size -= 255 {
				body = append(body, 255)
			}
			body = append(append(body, byte(size)), payload...)
		}
		for range r.IntN(5) {
			p := make([]byte, r.IntN(600))
			for i := range p {
				p[i] = []byte{0, 0, 0, 1, 3, byte(r.Uint32())}[r.IntN(6)]
			}
			message([]int{0, 1, 5, 128, 300}[r.IntN(5)], p)
		}
		message(6, []byte{0x09, 0xC4})
		message(4, append([]byte("\xB5\x00\x31GA94\x03"), 0, 0, 0, 0))
		unit := append([]byte{6}, escape(append(body, 0x80))...)
		var got Survey
		H264.sei(unit, &got)
		if want := (Survey{Access: Recovery, RecoverIn: 18, Captions: true}); got != want {
			t.Fatalf("% x: %+v", unit, got)
		}
	}
}

// escape inserts emulation prevention bytes into a payload.
func escape(body []byte) (out []byte) {
	zeros := 0
	for _, b := range body {
		if zeros == 2 && b <= 3 {
			out, zeros = append(out, 3), 0
		}
		out = append(out, b)
		if zeros++; b != 0 {
			zeros = 0
		}
	}
	return out
}

func TestSEIDoesNotLowerAnIDR(t *testing.T) {
	idr, sei := []byte{0x65, 0x88}, unhex(t, "06 06 02 09 c4 80")
	for _, units := range [][][]byte{{sei, idr}, {idr, sei}} {
		if s := H264.Survey(units); s.Access != Clean || s.RecoverIn != 0 {
			t.Errorf("%+v", s)
		}
	}
	cra, sei5 := []byte{21 << 1, 1, 0x80}, unhex(t, "4e01 06 02 08 48 80")
	for _, units := range [][][]byte{{sei5, cra}, {cra, sei5}} {
		if s := H265.Survey(units); s.Access != Open || s.RecoverIn != 0 {
			t.Errorf("%+v", s)
		}
	}
}
