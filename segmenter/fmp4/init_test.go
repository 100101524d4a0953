package fmp4

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/hevc"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What another's reader finds in our init segments is what the parameter sets say, and what another's writer makes of them.
func TestVideoInit(t *testing.T) {
	const pps264 = "68ebe3cb22c0"
	const vps265, pps265 = "40010c01ffff01600000030090000003000003001e959409", "4401c172b46240"
	for name, c := range map[string]struct {
		codec         codec.Codec
		vps, sps, pps string
		width, height uint16
		shown         int
		colour        bool
	}{
		"High":            {codec.H264, "", "6764001facd9405005bb011000003e90000ea600f1831960", pps264, 1280, 720, 1280, false},
		"Baseline":        {codec.H264, "", "6742c00bd9030ffbc044000003000400000300c83c50a920", pps264, 192, 108, 192, false},
		"High 10, PQ":     {codec.H264, "", "676e1015a6cb82833f3e02d42440250000030001000003006404", pps264, 320, 180, 320, true},
		"Main":            {codec.H265, vps265, "42010101600000030090000003000003001ea0182071f796565924caf0168080000003008000000c84", pps265, 192, 108, 192, false},
		"Main 10, HLG":    {codec.H265, "40010c01ffff022000000300900000030000030078959809", "420101022000000300900000030000030078a00280802d1365959a4932bc05a84890482000007d20001d4c01", pps265, 1280, 720, 1280, true},
		"High tier of PQ": {codec.H265, vps265, "420101222000000300900000030000030099a001e020021c4d965654a4c2f016a122012080000003008000001904", pps265, 3840, 2160, 3840, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := &codec.Video{Codec: c.codec, SPS: [][]byte{unhex(t, c.sps)}, PPS: [][]byte{unhex(t, c.pps)}}
			if c.vps != "" {
				v.VPS = [][]byte{unhex(t, c.vps)}
			}
			if err := v.Describe(); err != nil {
				t.Fatal(err)
			}
			init := AppendVideoInit([]byte("before"), v)
			if !bytes.HasPrefix(init, []byte("before")) {
				t.Error("what was there is gone")
			}
			p := parse(t, init[len("before"):])
			trak := p.file.Init.Moov.Trak
			if h := trak.Mdia.Mdhd; h.Timescale != VideoTimescale || trak.Tkhd.Width>>16 != 0 && int(trak.Tkhd.Width>>16) != c.shown {
				t.Errorf("time scale %d, shown %d wide", h.Timescale, trak.Tkhd.Width>>16)
			}
			stsd := trak.Mdia.Minf.Stbl.Stsd
			var record, want bytes.Buffer
			if c.codec == codec.H264 {
				if stsd.AvcX == nil || stsd.AvcX.Type() != "avc1" || stsd.AvcX.Width != c.width || stsd.AvcX.Height != c.height {
					t.Fatalf("%+v", stsd.AvcX)
				}
				theirs, err := avc.CreateAVCDecConfRec(v.SPS, v.PPS, true)
				if err != nil {
					t.Fatal(err)
				}
				_ = stsd.AvcX.AvcC.DecConfRec.Encode(&record)
				if n := want.Len(); theirs.Encode(&want) == nil && c.sps[2:4] == "6e" {
					copy(want.Bytes()[n+want.Len()-4:], []byte{0xFD, 0xFA, 0xFA, 0}) // of ten bits it does not know
				}
			} else {
				if stsd.HvcX == nil || stsd.HvcX.Type() != "hvc1" || stsd.HvcX.Width != c.width || stsd.HvcX.Height != c.height {
					t.Fatalf("%+v", stsd.HvcX)
				}
				theirs, err := hevc.CreateHEVCDecConfRec(v.VPS, v.SPS, v.PPS, true, true, true, true)
				if err != nil {
					t.Fatal(err)
				}
				_ = stsd.HvcX.HvcC.DecConfRec.Encode(&record)
				_ = theirs.Encode(&want)
				want.Bytes()[21] = 0x0F // it says nothing of temporal layers; ffmpeg says this
			}
			if ours := v.AppendRecord(nil); !bytes.Equal(ours, record.Bytes()) {
				t.Errorf("another's reader and writer make\n% x of\n% x", record.Bytes(), ours)
			}
			if !bytes.Equal(record.Bytes(), want.Bytes()) {
				t.Errorf("record\n% x, another's writer makes\n% x", record.Bytes(), want.Bytes())
			}
			again, n, err := codec.ParseRecord(c.codec, record.Bytes())
			if err != nil || n != 4 || !again.Same(v) || !bytes.Equal(again.PPS[0], v.PPS[0]) {
				t.Errorf("read back: %+v, %v", again, err)
			}
			if got := bytes.Contains(init, []byte("colrnclx")); got != c.colour {
				t.Errorf("colour is said: %v, want %v", got, c.colour)
			}
		})
	}
}

func TestAudioInit(t *testing.T) {
	for name, c := range map[string]struct {
		asc            []byte
		rate, channels int
		core           []byte
	}{
		"LC at 48 kHz":       {ascLC48, 48000, 2, ascLC48},
		"HE-AAC is its core": {[]byte{0x2B, 0x11, 0x88, 0x00}, 24000, 2, []byte{0x13, 0x10}},
		"HE-AAC, implicit":   {ascHE48, 24000, 2, ascHE48},
		"mono at 96 kHz":     {[]byte{0x10, 0x08}, 96000, 1, []byte{0x10, 0x08}},
		"5.1":                {[]byte{0x11, 0xB0}, 48000, 6, []byte{0x11, 0xB0}},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := codec.ParseASC(c.asc)
			if err != nil {
				t.Fatal(err)
			}
			trak := parse(t, AppendAudioInit(nil, config)).file.Init.Moov.Trak
			entry := trak.Mdia.Minf.Stbl.Stsd.Mp4a
			if int(trak.Mdia.Mdhd.Timescale) != c.rate || int(entry.ChannelCount) != c.channels || entry.SampleSize != 16 {
				t.Errorf("time scale %d, %d channels", trak.Mdia.Mdhd.Timescale, entry.ChannelCount)
			}
			if d := entry.Esds.DecConfigDescriptor; d.ObjectType != 0x40 || !bytes.Equal(d.DecSpecificInfo.DecConfig, c.core) {
				t.Errorf("%+v", d)
			}
		})
	}
}
