package codec

import (
	"bytes"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

func TestRBSP(t *testing.T) {
	for unit, want := range map[string]string{
		"":                     "",
		"0102":                 "0102",
		"000003":               "0000",
		"00000301":             "000001",
		"000003000003":         "00000000",
		"00000300000301":       "0000000001",
		"0003000300":           "0003000300",
		"0000000301":           "00000001", // three zeros in a row are valid nowhere
		"00000303":             "000003",
		"ff0000030000030000ff": "ff000000000000ff",
	} {
		r := rbsp{data: unhex(t, unit)}
		got := make([]byte, 32)
		got = got[:r.read(got)]
		if !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%s: % x, want %s", unit, got, want)
		}
	}
}

// FuzzRBSP compares with an independent reader, and skipping with reading.
func FuzzRBSP(f *testing.F) {
	f.Add([]byte{1, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3}, 4)
	f.Add([]byte{0, 0, 3, 0, 0, 3, 0, 0, 3}, 3)
	f.Fuzz(func(t *testing.T, unit []byte, n int) {
		if bytes.Contains(unit, []byte{0, 0, 0}) {
			return // no NAL unit has that, and readers differ
		}
		r := rbsp{data: unit}
		got := make([]byte, len(unit))
		got = got[:r.read(got)]
		if want := h264.EmulationPreventionRemove(unit); !bytes.Equal(got, want) {
			t.Fatalf("% x: % x, want % x", unit, got, want)
		}
		n = max(n%(len(unit)+2), 0)
		s := rbsp{data: unit}
		s.skip(n)
		rest := make([]byte, len(unit))
		rest = rest[:s.read(rest)]
		if want := got[min(n, len(got)):]; !bytes.Equal(rest, want) {
			t.Fatalf("% x: behind %d bytes comes % x, want % x", unit, n, rest, want)
		}
	})
}
