package pair

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

func TestDiffers(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	row := Row{Number: 7, Start: at, Duration: 360000, Size: 1880, CRC32C: 5}
	for said, change := range map[string]func(r *Row){
		"":                       func(*Row) {},
		"1880 bytes there":       func(r *Row) { r.Size++ },
		"CRC-32C is 00000005":    func(r *Row) { r.CRC32C++ },
		"lasts 360000 ticks":     func(r *Row) { r.Duration++ },
		"begins at 2023":         func(r *Row) { r.Start = at.Add(time.Millisecond) },
		"with a discontinuity":   func(r *Row) { r.Discontinuity = true },
		"one of the two is lost": func(r *Row) { r.Gap = true },
	} {
		own := row
		change(&own)
		if got := row.Differs(own); (got == "") != (said == "") || !strings.Contains(got, said) {
			t.Errorf("%q, want %q", got, said)
		}
	}
	own := row
	if own.Start = at.UTC(); row.Differs(own) != "" {
		t.Error("the zone makes no difference")
	}
}

func TestMarkAndProgram(t *testing.T) {
	if Mark([][]byte{{1}, {2, 3}}) == Mark([][]byte{{1, 2}, {3}}) || Mark(nil) != Mark([][]byte{}) {
		t.Error("units are told from one another")
	}
	v, a := &ingest.Track{Codec: ingest.H264, SPS: [][]byte{{1}}}, &ingest.Track{Codec: ingest.AAC, ASC: []byte{2}}
	if Program(v, a) == Program(v, nil) || Program(v, nil) == Program(nil, nil) || Program(v, a) != Program(v, a) {
		t.Error("tracks are told from one another")
	}
}

func TestBoundariesAreBounded(t *testing.T) {
	var b Boundaries
	for n := range uint64(20) {
		b.Add(Boundary{Number: n})
	}
	if len(b) != maxBoundaries || b[0].Number != 14 || b[maxBoundaries-1].Number != 19 {
		t.Errorf("%+v", b)
	}
}

// longest sets all that v has to what is longest as JSON, lists apart.
func longest(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 12, 31, 23, 59, 59, 999999999, time.FixedZone("", 12*3600+1800))))
			return
		}
		for i := range v.NumField() {
			longest(v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			longest(v.Index(i))
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(math.MinInt64)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(math.MaxUint64 >> (64 - v.Type().Bits()))
	}
}

// A report has a size that its parts bound: who reads one needs to allow for no more.
func TestReportIsBounded(t *testing.T) {
	size := func(v any) int {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return len(b)
	}
	var r Report
	longest(reflect.ValueOf(&r).Elem())
	r.Recording, r.Settings = "2026-12-31_23-59-59.999", "segment_duration 9m59.999s, target_duration 9m59.999s, low_latency false, part_duration 999.999ms"
	if n := size(r); n > maxRest {
		t.Errorf("%d bytes beside the lists", n)
	}
	var row Row
	longest(reflect.ValueOf(&row).Elem())
	if n := size(row); n > maxRow {
		t.Errorf("%d bytes for a segment", n)
	}
	var b Boundary
	longest(reflect.ValueOf(&b).Elem())
	b.Mark, b.Program = Mark(nil), Program(nil, nil)
	if n := size(b); n > maxBoundary || n < maxBoundary/2 {
		t.Errorf("%d bytes for a boundary", n)
	}
	var all Boundaries
	for range 2 * maxBoundaries {
		all.Add(b)
	}
	r.Boundaries = all
	for range MaxRows {
		r.Rows = append(r.Rows, row)
	}
	if n := size(r); n > MaxBytes {
		t.Errorf("%d bytes, %d are allowed for", n, MaxBytes)
	}
	if b.State.Target == 0 || b.Muxer.Video.Since == 0 || b.State.Wall.IsZero() {
		t.Errorf("%+v is not filled", b)
	}
}

// still is a picture that a decoder can begin with, whose bytes may be those of others.
func still(v *ingest.Track, dts int64, content byte) *ingest.Frame {
	return &ingest.Frame{Track: v, PTS: dts, DTS: dts, Units: [][]byte{{0x65, 0x88, content}}}
}

// Where nothing moves, many pictures have the same bytes: the nearest time counts. A group that may lack sound is no beginning.
func TestFind(t *testing.T) {
	v, a := &ingest.Track{Codec: ingest.H264}, &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x11, 0x90}}
	h := Held{Memory: ingest.NewMemory(1 << 20)}
	if h.Add(&ingest.Frame{Track: a, Units: [][]byte{{1}}}) != 1 {
		t.Error("sound before any picture is not held")
	}
	for n := range int64(5) {
		h.Add(still(v, n*180000, 9))
		h.Add(&ingest.Frame{Track: a, PTS: n*180000 + 1, DTS: n*180000 + 1, Units: [][]byte{{1}}})
	}
	both := Program(v, a)
	mark := Mark([][]byte{{0x65, 0x88, 9}})
	b, shift := h.Find([]Boundary{{Number: 3, At: 360000, Mark: mark, Program: both}, {Number: 4, At: 540037, Mark: mark, Program: both}, {Number: 9, At: 1, Mark: "another", Program: both}})
	if b == nil || b.Number != 3 || shift != 0 {
		t.Errorf("%+v, %d", b, shift)
	}
	if b, _ := h.Find([]Boundary{{At: 360000, Shown: 3600, Mark: mark, Program: both}}); b != nil {
		t.Error("a picture that is decoded at another time is found")
	}
	late := Held{}
	late.Add(&ingest.Frame{Track: v, PTS: 9000, DTS: 1800, Units: [][]byte{{0x65, 0x88, 9}}})
	if b, shift := late.Find([]Boundary{{At: 361800, Shown: 7200, Mark: mark, Program: Program(v, nil)}}); b == nil || shift != 360000 {
		t.Errorf("%+v, %d", b, shift)
	}
	frames, gone := h.Take(b.At - shift)
	if len(frames) != 6 || gone != 4 || frames[0].DTS != 360000 {
		t.Errorf("%d frames, %d gone", len(frames), gone)
	}
	early := Held{}
	early.Add(still(v, 0, 9))
	early.Add(&ingest.Frame{Track: a, Units: [][]byte{{1}}})
	if b, _ := early.Find([]Boundary{{Mark: mark, Program: both}}); b != nil {
		t.Error("sound of it may have been missed")
	}
	if b, _ := early.Find([]Boundary{{Mark: mark, Program: Program(v, nil)}}); b == nil {
		t.Error("a stream of pictures alone has none")
	}
}

func TestHeldIsBounded(t *testing.T) {
	v := &ingest.Track{Codec: ingest.H264}
	h := Held{Memory: ingest.NewMemory(10)}
	gone := 0
	for n := range int64(10) {
		gone += h.Add(still(v, n, byte(n)))
	}
	if h.bytes > 10 || gone < 7 {
		t.Errorf("%d bytes, %d gone", h.bytes, gone)
	}
	if frames, _ := h.Newest(); len(frames) != 1 || frames[0].DTS != 9 || h.bytes != 0 {
		t.Errorf("%d frames, %d bytes left", len(frames), h.bytes)
	}
	long := Held{}
	for n := range int64(100) {
		long.Add(still(v, n*90000, byte(n)))
	}
	if len(long.groups) != 61 || long.Clear() != 61 {
		t.Errorf("%d groups of a second", len(long.groups))
	}
}
