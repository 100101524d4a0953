package mpegts

import (
	"bytes"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

func TestParameterSetsWhereADecoderMayBegin(t *testing.T) {
	sps2 := append(bytes.Clone(sps264), 0x55)
	slice264, sei264 := []byte{0x65, 1, 2, 3}, []byte{0x06, 5, 1}
	slice265 := []byte{19 << 1, 1, 9, 9}
	sets264, sets265 := [][]byte{sps264, pps264}, [][]byte{vps265, sps265, pps265}
	for name, c := range map[string]struct {
		codec       StreamType
		units, sets [][]byte
		inter, late bool // no IDR; not the first unit of its segment
		want        [][]byte
	}{
		"none in band":           {codec: H264, units: [][]byte{sei264, slice264}, sets: sets264, want: [][]byte{sps264, pps264, sei264, slice264}},
		"all in band":            {codec: H264, units: [][]byte{sei264, sps2, pps264, slice264}, sets: sets264, want: [][]byte{sei264, sps2, pps264, slice264}},
		"SPS in band":            {codec: H264, units: [][]byte{sps2, slice264}, sets: sets264, want: [][]byte{sps2, pps264, slice264}},
		"PPS in band":            {codec: H264, units: [][]byte{sei264, pps264, slice264}, sets: sets264, want: [][]byte{sps264, pps264, sei264, slice264}},
		"no IDR":                 {codec: H264, units: [][]byte{slice264}, sets: sets264, inter: true, late: true, want: [][]byte{slice264}},
		"no IDR, first":          {codec: H264, units: [][]byte{slice264}, sets: sets264, inter: true, want: [][]byte{sps264, pps264, slice264}},
		"IDR, not first":         {codec: H264, units: [][]byte{slice264}, sets: sets264, late: true, want: [][]byte{sps264, pps264, slice264}},
		"none known":             {codec: H264, units: [][]byte{slice264}, want: [][]byte{slice264}},
		"delimiters and nothing": {codec: H264, units: [][]byte{aud264, {}, aud264, slice264, nil}, sets: sets264, want: [][]byte{sps264, pps264, slice264}},
		"strangers among them":   {codec: H264, units: [][]byte{slice264}, sets: [][]byte{nil, sei264, pps264, aud264, sps264}, want: [][]byte{sps264, pps264, slice264}},
		"H.265, none in band":    {codec: H265, units: [][]byte{aud265, slice265}, sets: sets265, want: [][]byte{vps265, sps265, pps265, slice265}},
		"H.265, all in band":     {codec: H265, units: [][]byte{vps265, sps265, pps265, slice265}, sets: sets265, want: [][]byte{vps265, sps265, pps265, slice265}},
		"H.265, without VPS":     {codec: H265, units: [][]byte{sps265, pps265, slice265}, sets: sets265, want: [][]byte{vps265, sps265, pps265, slice265}},
		"two PPS":                {codec: H264, units: [][]byte{slice264}, sets: [][]byte{sps264, pps264, pps264}, want: [][]byte{sps264, pps264, pps264, slice264}},
	} {
		m, b := newMuxer(t, Config{Video: c.codec}), new(Pool).Buffer()
		m.Begin(b)
		if c.late {
			m.Video(b, VideoUnit{Units: [][]byte{{0x41, 1}}})
		}
		m.Video(b, VideoUnit{PTS: 3600, DTS: 3600, Units: c.units, ParameterSets: c.sets, IDR: !c.inter})
		video := inspect(t, bytesOf(b)).video
		if got := video[len(video)-1].data; !bytes.Equal(got, annexB(c.codec, c.want...)) {
			t.Errorf("%s:\n got % x\nwant % x", name, got, annexB(c.codec, c.want...))
		}
	}
}

// TestSurveyOfTheCaller: who has looked at the units already gets the same bytes.
func TestSurveyOfTheCaller(t *testing.T) {
	sets := [][]byte{sps264, pps264}
	for name, units := range map[string][][]byte{
		"none in band":  {{0x65, 1, 2}},
		"all in band":   {sps264, pps264, {0x65, 1, 2}},
		"some in band":  {sps264, {0x65, 1, 2}},
		"only a marker": {aud264},
	} {
		var got [2][]byte
		for i, survey := range []codec.Survey{{}, codec.H264.Survey(units)} {
			m, b := newMuxer(t, Config{Video: H264}), new(Pool).Buffer()
			m.Begin(b)
			m.Video(b, VideoUnit{Units: units, Survey: survey, ParameterSets: sets, IDR: true})
			got[i] = bytesOf(b)
		}
		if !bytes.Equal(got[0], got[1]) {
			t.Errorf("%s: %d bytes, or %d with the survey", name, len(got[0]), len(got[1]))
		}
	}
}

func TestPicturesThatCannotBeCarried(t *testing.T) {
	m, b := newMuxer(t, Config{Video: H264}), new(Pool).Buffer()
	m.Begin(b)
	empty := b.Len()
	m.Video(b, VideoUnit{})
	m.Video(b, VideoUnit{Units: [][]byte{}, IDR: true, ParameterSets: [][]byte{sps264, pps264}})
	m.Video(b, VideoUnit{Units: [][]byte{nil, {}}})
	m.Video(b, VideoUnit{Units: [][]byte{aud264}})
	m.Audio(b, 0, []byte{1, 2, 3})
	if b.Len() != empty || m.Stats().VideoDropped.Load() != 4 || m.Stats().AudioDropped.Load() != 1 {
		t.Errorf("%d bytes written, %d pictures and %d frames dropped", b.Len()-empty, m.Stats().VideoDropped.Load(), m.Stats().AudioDropped.Load())
	}
	if err := m.Reconfigure(Config{Audio: MP3MPEG1}); err != nil {
		t.Fatal(err)
	}
	m.Video(b, VideoUnit{Units: [][]byte{{0x65, 1}}})
	if b.Len() != empty || m.Stats().VideoDropped.Load() != 5 {
		t.Error("a picture without a video track is written")
	}
}

// TestEveryLength walks the end of the PES packet over all places in a transport packet, with and without a PCR.
func TestEveryLength(t *testing.T) {
	m, r, b := newMuxer(t, Config{Video: H264}), newSource(4), new(Pool).Buffer()
	m.Begin(b)
	var want [][]byte
	for n := range 600 {
		u := r.nal(H264, n+2, false)
		m.Video(b, VideoUnit{PTS: int64(n) * 900, DTS: int64(n) * 900, Units: [][]byte{u}})
		want = append(want, annexB(H264, u))
	}
	in := inspect(t, bytesOf(b))
	checkSpacing(t, in.pcrs)
	if len(in.video) != len(want) {
		t.Fatalf("%d pictures, want %d", len(in.video), len(want))
	}
	for i := range want {
		if !bytes.Equal(in.video[i].data, want[i]) {
			t.Fatalf("unit of %d bytes comes back as another", i+2)
		}
	}
}
