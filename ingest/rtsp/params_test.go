package rtsp

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

func TestParameterSets(t *testing.T) {
	const sps, pps = "Z0LAHtoCgL/lwEQAAAMABAAAAwDIPFi6gA==", "aM4PyA=="
	for _, c := range []struct {
		name, list string
		sps, pps   int
	}{
		{"plain", sps + "," + pps, 1, 1},
		{"no padding", strings.TrimRight(sps, "=") + "," + strings.TrimRight(pps, "="), 1, 1},
		{"blanks, commas", " " + sps + " , " + pps + " , ,", 1, 1},
		{"upper hex", "6742C01EDA0280BFE5C044000003000400000300C83C58BA80,68CE0FC8", 1, 1},
		{"lower hex", "6742c01eda0280bfe5c044000003000400000300c83c58ba80,68ce0fc8", 1, 1},
		{"start codes", "AAAAAWdCwB7aAoC/5cBEAAADAAQAAAMAyDxYuoA=,AAABaM4PyA==", 1, 1},
		{"two of one kind", sps + "," + pps + "," + pps, 1, 2},
		{"sets alone", sps, 1, 0},
		{"nothing", "", 0, 0},
		{"nonsense", "!!,AAAA,%%," + pps, 0, 1},
	} {
		v := parameterSets(codec.H264, c.list)
		if len(v.SPS) != c.sps || len(v.PPS) != c.pps {
			t.Errorf("%s: %d SPS and %d PPS, want %d and %d", c.name, len(v.SPS), len(v.PPS), c.sps, c.pps)
		}
		for _, got := range v.SPS {
			if !bytes.Equal(got, spsPlain) {
				t.Errorf("%s: SPS %x", c.name, got)
			}
		}
		for _, got := range v.PPS {
			if !bytes.Equal(got, ppsPlain) {
				t.Errorf("%s: PPS %x", c.name, got)
			}
		}
	}
	v := parameterSets(codec.H265, "QAEMAf//AWAAAAMAAAMAAAMAAAMAlqwJ,", "42010101600000030000030000030000030096a0", "RAHAcvCUNNI=, RAHAcvCUNNM=")
	if len(v.VPS) != 1 || len(v.SPS) != 1 || len(v.PPS) != 2 {
		t.Errorf("H.265: %d, %d, %d sets", len(v.VPS), len(v.SPS), len(v.PPS))
	}
}

func TestReadAUHeader(t *testing.T) {
	type p = map[string]string
	for _, c := range []struct {
		name   string
		params p
		want   auHeader
		bad    string
	}{
		{"all said", p{"mode": "AAC-hbr", "sizelength": "13", "indexlength": "3", "indexdeltalength": "3"}, auHeader{13, 3, 3}, ""},
		{"by the mode", p{"mode": "AAC_hbr"}, auHeader{13, 3, 3}, ""},
		{"low rate", p{"mode": "aac-lbr"}, auHeader{6, 2, 2}, ""},
		{"nothing said", nil, auHeader{13, 3, 3}, ""},
		{"no indexes", p{"sizelength": "16", "indexlength": "0", "indexdeltalength": "0"}, auHeader{16, 0, 0}, ""},
		{"not there, with zeros", p{"ctsdeltalength": "0", "sizelength": "13"}, auHeader{13, 3, 3}, ""},
		{"huge", p{"sizelength": "64"}, auHeader{}, "sizelength=64"},
		{"none", p{"sizelength": "0"}, auHeader{}, "sizelength=0"},
		{"nonsense", p{"sizelength": "x"}, auHeader{}, "sizelength=0"},
		{"other fields", p{"dtsdeltalength": "8"}, auHeader{}, "dtsdeltalength=8"},
	} {
		got, err := readAUHeader(c.params)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s: %v, want an error about %s", c.name, err, c.bad)
			}
		} else if err != nil || got != c.want {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestConfig(t *testing.T) {
	for in, want := range map[string]string{
		"1190": "\x11\x90", "1190ABcd": "\x11\x90\xab\xcd", `"1190"`: "\x11\x90", "": "", "119": "", "zz": "", strings.Repeat("00", maxConfig+1): "",
	} {
		if got := string(config(map[string]string{"config": in})); got != want {
			t.Errorf("%q gave %x", in, got)
		}
	}
}
