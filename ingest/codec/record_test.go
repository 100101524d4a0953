package codec

import (
	"bytes"
	"errors"
	"testing"
)

// Configuration records as written by ffmpeg: H.264 from FLV, and H.265 from MP4, which also has an SEI, shortened here.
const (
	avcC = "0164001fffe10018" + sps720p + "010006" + pps264 + "fdf8f800"
	hvcC = "0101600000009000000000001ef000fcfdf8f800000f04a000010018" + vps265 + "a100010029" + sps265 + "a200010007" + pps265 + "a700010008" + "4e010504aabbccdd"
)

func TestParseRecord(t *testing.T) {
	for name, c := range map[string]struct {
		codec  Codec
		record string
		length int
		sets   string
		width  int
	}{
		"avcC":                       {H264, avcC, 4, sps720p + pps264, 1280},
		"avcC, lengths of two bytes": {H264, "0164001ffde10018" + sps720p + "010006" + pps264, 2, sps720p + pps264, 1280},
		"avcC, lengths of one byte":  {H264, "0164001ffce10018" + sps720p + "010006" + pps264, 1, sps720p + pps264, 1280},
		"avcC, two PPS":              {H264, "0164001fffe10018" + sps720p + "020006" + pps264 + "000468ce3c80", 4, sps720p + pps264 + "68ce3c80", 1280},
		"avcC, 40 PPS":               {H264, "0164001fffe10018" + sps720p + "28" + repeat("0006"+pps264, 40), 4, sps720p + repeat(pps264, 40), 1280},
		"avcC with an empty set":     {H264, "0164001fffe2 0000 0018" + sps720p + "010006" + pps264, 4, sps720p + pps264, 1280},
		"avcC, sets mixed up":        {H264, "0164001fffe10006" + pps264 + "010018" + sps720p, 4, sps720p + pps264, 1280},
		"hvcC":                       {H265, hvcC, 4, vps265 + sps265 + pps265, 192},
		"H.264 with start codes":     {H264, "00000001" + sps720p + "00000001" + pps264, 4, sps720p + pps264, 1280},
		"and a delimiter":            {H264, "00000109f0 000001" + sps108p + "000001" + pps264, 4, sps108p + pps264, 192},
		"H.265 with start codes":     {H265, "00000001" + vps265 + "00000001" + sps265 + "00000001" + pps265, 4, vps265 + sps265 + pps265, 192},
		"an SPS of our ignorance":    {H264, "0164001fffe10005 67640000ff 010006" + pps264, 4, "67640000ff" + pps264, 0},
	} {
		record := unhex(t, c.record)
		v, length, err := ParseRecord(c.codec, record)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := bytes.Join(v.Sets(), nil); length != c.length || !bytes.Equal(got, unhex(t, c.sets)) || v.Width != c.width || v.Codec != c.codec {
			t.Errorf("%s: lengths of %d, sets % x, width %d", name, length, got, v.Width)
		}
		for _, u := range v.Sets() {
			if !inside(record, u) {
				t.Errorf("%s: a set is not of the record", name)
			}
		}
	}
}

func TestParseRecordRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		codec  Codec
		record string
	}{
		"nothing":                       {H264, ""},
		"nothing, H.265":                {H265, ""},
		"avcC without sets":             {H264, "0164001fffe000"},
		"avcC without a PPS":            {H264, "0164001fffe10018" + sps720p + "00"},
		"avcC without an SPS":           {H264, "0164001fffe0 010006" + pps264},
		"avcC, lengths of three bytes":  {H264, "0164001ffee10018" + sps720p + "010006" + pps264},
		"avcC of something else":        {H264, "0164001fffe10002 0910 010002 0c80"},
		"hvcC for H.264's":              {H264, hvcC},
		"avcC for H.265's":              {H265, avcC},
		"hvcC without a VPS":            {H265, "0101600000009000000000001ef000fcfdf8f800000f02a100010029" + sps265 + "a200010007" + pps265},
		"start codes and nothing":       {H264, "0000000100000001"},
		"start codes, without a PPS":    {H264, "00000001" + sps720p},
		"an SPS of three bytes":         {H264, "0164001fffe10003 674200 010006" + pps264},
		"start codes of the wrong kind": {H265, "00000001" + sps720p + "00000001" + pps264},
	} {
		if v, _, err := ParseRecord(c.codec, unhex(t, c.record)); !errors.Is(err, ErrRecord) || v != nil {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	for c, s := range map[Codec]string{H264: avcC[:len(avcC)-8], H265: hvcC} {
		record := unhex(t, s)
		for n := range record {
			if _, _, err := ParseRecord(c, record[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes are accepted", c, n, len(record))
			}
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(true, unhex(f, avcC))
	f.Add(false, unhex(f, hvcC))
	f.Add(true, unhex(f, "00000001"+sps720p+"00000001"+pps264))
	f.Fuzz(func(t *testing.T, avc bool, record []byte) {
		c := H265
		if avc {
			c = H264
		}
		before := bytes.Clone(record)
		v, length, err := ParseRecord(c, record)
		if !bytes.Equal(before, record) {
			t.Fatal("it writes to what it reads")
		}
		if err != nil {
			return
		}
		if !v.Complete() || length != 1 && length != 2 && length != 4 || v.Width < 0 || v.Width > maxDimension || v.Height < 0 || v.Height > maxDimension {
			t.Fatalf("lengths of %d, %+v", length, v)
		}
		want := []Kind{KindVPS, KindSPS, KindPPS}
		for i, sets := range [][][]byte{v.VPS, v.SPS, v.PPS} {
			for _, u := range sets {
				if c.NAL(u) != want[i] || !inside(record, u) {
					t.Fatalf("set % x", u)
				}
			}
		}
		if v.Name() == "" || v.Range() == "" || !v.Same(v) {
			t.Fatalf("%q, %q", v.Name(), v.Range())
		}
	})
}
