package codec

import (
	"bytes"
	"testing"
)

// accessUnits are what encoders send for a picture.
func accessUnits(t testing.TB) map[string]struct {
	codec Codec
	units [][]byte
	want  Survey
} {
	list := func(units ...string) (l [][]byte) {
		for _, u := range units {
			l = append(l, unhex(t, u))
		}
		return l
	}
	type unit = struct {
		codec Codec
		units [][]byte
		want  Survey
	}
	return map[string]unit{
		"x264's first": {H264, append(list("09f0", sps720p, pps264), []byte(x264Settings), unhex(t, "6588840021ff")),
			Survey{Content: true, Slices: 1, First: true, Access: Clean, Sets: SPS | PPS}},
		"x264, gradual refresh": {H264, list(sps720p, pps264, "06060209c480", "419a02"),
			Survey{Content: true, Slices: 1, First: true, Access: Recovery, RecoverIn: 18, Sets: SPS | PPS}},
		"x265's first": {H265, append(list("460110", vps265, sps265, pps265), []byte(x265Settings), unhex(t, "2801af1d42f2")),
			Survey{Content: true, Slices: 1, First: true, Access: Clean, Sets: VPS | SPS | PPS}},
		"x265, CRA":                   {H265, list(vps265, sps265, pps265, "2a01ac505908"), Survey{Content: true, Slices: 1, First: true, Access: Open, Sets: VPS | SPS | PPS}},
		"x265, RASL":                  {H265, list("460150", "1201e2422552"), Survey{Content: true, Slices: 1, First: true, Leading: true}},
		"captions, slices and filler": {H264, list("0604 0a b50031 47413934 03 ffff 80", "419a02", "4104", "0cffff80"), Survey{Content: true, Slices: 2, First: true, Captions: true, Trailing: true}},
		"an SEI suffix alone":         {H265, list("5001 84 10 80"), Survey{Content: true, Trailing: true}},
		"sets alone":                  {H265, list(vps265, sps265), Survey{Content: true, Sets: VPS | SPS}},
		"nothing but a delimiter":     {H264, list("09f0", "", "0910"), Survey{}},
		"nothing":                     {H265, nil, Survey{}},
	}
}

func TestSurvey(t *testing.T) {
	for name, c := range accessUnits(t) {
		if got := c.codec.Survey(c.units); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestSurveyAllocatesNothing(t *testing.T) {
	for name, c := range accessUnits(t) {
		if n := testing.AllocsPerRun(100, func() { _ = c.codec.Survey(c.units) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestSetsOfKinds(t *testing.T) {
	for k, want := range map[Kind]Sets{KindVPS: VPS, KindSPS: SPS, KindPPS: PPS, KindSlice: 0, KindOther: 0, KindEmpty: 0, KindSuffix: 0} {
		if k.Set() != want {
			t.Errorf("kind %d: %03b", k, k.Set())
		}
	}
	if NoAccess.String() == "" || Clean.String() != "IDR" || Open.String() != "CRA" || Recovery.String() != "recovery point" {
		t.Error("names of random access points")
	}
}

// FuzzSurvey takes arbitrary units of both codecs. The survey of all of them must equal the surveys of each, combined.
func FuzzSurvey(f *testing.F) {
	for _, c := range accessUnits(f) {
		data := []byte{byte(c.codec)}
		for _, u := range c.units {
			data = append(append(data, byte(len(u)>>8), byte(len(u))), u...)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		c := H264 + Codec(data[0]&1)
		var units [][]byte
		for d := data[1:]; len(d) >= 2; {
			n := min(int(d[0])<<8|int(d[1]), len(d)-2)
			units = append(units, d[2:2+n:2+n])
			d = d[2+n:]
		}
		before := bytes.Clone(data)
		all := c.Survey(units)
		if !bytes.Equal(before, data) {
			t.Fatal("it writes to what it reads")
		}
		var sum Survey
		for _, u := range units {
			s := c.Survey([][]byte{u})
			if sum.Slices == 0 {
				sum.First = s.First
			}
			sum.Slices += s.Slices
			sum.Content = sum.Content || s.Content
			sum.Leading = sum.Leading || s.Leading
			sum.Captions = sum.Captions || s.Captions
			sum.Trailing = sum.Trailing || s.Trailing
			sum.Sets |= s.Sets
			if s.Access > sum.Access || s.Access == Recovery && sum.Access == Recovery {
				sum.Access, sum.RecoverIn = s.Access, s.RecoverIn
			}
		}
		if all != sum {
			t.Fatalf("%+v of all, %+v of each", all, sum)
		}
		if all.RecoverIn != 0 && all.Access != Recovery || all.RecoverIn < 0 || all.RecoverIn > maxRecoveryPoint || all.First && all.Slices == 0 ||
			!all.Content && all != (Survey{}) || c == H264 && (all.Leading || all.Access == Open || all.Sets&VPS != 0) {
			t.Fatalf("%+v", all)
		}
	})
}

func BenchmarkSurvey(b *testing.B) {
	slice := func(head ...byte) []byte { return append(head, make([]byte, 15000)...) }
	for name, c := range map[string]struct {
		codec Codec
		units [][]byte
	}{
		"H.264 picture":              {H264, [][]byte{slice(0x41, 0x9A)}},
		"H.264 keyframe, x264":       {H264, [][]byte{unhex(b, sps720p), unhex(b, pps264), []byte(x264Settings), slice(0x65, 0x88)}},
		"H.264 captions, eight":      {H264, [][]byte{{9, 0xF0}, append(unhex(b, "06 04 47 b50031 47413934 03"), bytes.Repeat([]byte{0xFC, 0x80, 0x80}, 21)...), slice(0x41, 0x9A), slice(0x41, 4), slice(0x41, 4), slice(0x41, 4), slice(0x41, 4), slice(0x41, 4), slice(0x41, 4), slice(0x41, 4)}},
		"H.265 picture":              {H265, [][]byte{{0x46, 1, 0x50}, slice(2, 1, 0xD0)}},
		"H.265 keyframe, 64 KiB SEI": {H265, [][]byte{unhex(b, vps265), unhex(b, sps265), unhex(b, pps265), append([]byte{0x4E, 1, 5}, bytes.Repeat([]byte{0xFF}, 1<<16)...), slice(40, 1, 0xAF)}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.codec.Survey(c.units)
			}
		})
	}
}
