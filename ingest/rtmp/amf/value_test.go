package amf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoundTrip(t *testing.T) {
	want := []Value{
		Text("connect"), Num(1), {},
		Obj(Field{"app", Text("live")}, Field{"ok", Flag(true)}, Field{"none", Value{}},
			Field{"deep", Obj(Field{"n", Num(-1.5)})}),
		{Kind: Array, Items: []Value{Num(1), Text(""), Flag(false)}},
		Text(strings.Repeat("x", 70_000)),
	}
	got, err := DecodeAll(Append(nil, want...), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got[3].Get("deep").Get("n").Number != -1.5 || got[3].Get("missing").Kind != Null {
		t.Error("Get")
	}
}

// TestOtherMarkers reads what we never write.
func TestOtherMarkers(t *testing.T) {
	b := []byte{
		markerECMAArray, 0xff, 0xff, 0xff, 0xff, 0, 1, 'a', markerBoolean, 1, 0, 0, markerObjectEnd, // its count is a lie
		markerUndefined, markerUnsupported,
		markerDate, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		markerTypedObject, 0, 1, 'T', 0, 1, 'b', markerNull, 0, 0, markerObjectEnd,
		markerXML, 0, 0, 0, 2, '<', '>',
	}
	got, err := DecodeAll(b, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Value{Obj(Field{"a", Flag(true)}), {}, {}, Num(0), Obj(Field{"b", Value{}}), Text("<>")}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestHostile(t *testing.T) {
	deep := bytes.Repeat([]byte{markerObject, 0, 1, 'a'}, 1_000_000)
	for _, tc := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nested objects", deep, ErrLimit},
		{"nested arrays", bytes.Repeat([]byte{markerStrictArray, 0, 0, 0, 1}, 1_000_000), ErrLimit},
		{"array bomb", []byte{markerStrictArray, 0x7f, 0xff, 0xff, 0xff, markerNull}, ErrMalformed},
		{"nested array bombs", append(bytes.Repeat([]byte{markerStrictArray, 0, 0, 0, 100}, 7), bytes.Repeat([]byte{markerNull}, 100_000)...), ErrLimit},
		{"many values", bytes.Repeat([]byte{markerNull}, 5000), ErrLimit},
		{"long string bomb", []byte{markerLongString, 0xff, 0xff, 0xff, 0xff, 'x'}, ErrMalformed},
		{"string cut short", []byte{markerString, 0, 2, 'x'}, ErrMalformed},
		{"number cut short", []byte{markerNumber, 0, 2}, ErrMalformed},
		{"object without end", []byte{markerObject}, ErrMalformed},
		{"object without end 2", []byte{markerObject, 0, 0}, ErrMalformed},
		{"recordset", []byte{0x0e}, ErrMalformed},
		{"reference", []byte{0x07, 0, 0}, ErrMalformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := DecodeAll(tc.b, Limits{}); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// FuzzDecode checks that decoding ends, within its limits, and that what was understood survives a round trip.
func FuzzDecode(f *testing.F) {
	f.Add(Append(nil, Text("publish"), Num(3), Value{}, Text("cam"), Obj(Field{"a", Value{Kind: Array, Items: []Value{Num(1)}}})))
	f.Add(binary.BigEndian.AppendUint32([]byte{markerStrictArray}, 1<<31-1))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := DecodeAll(b, Limits{Values: 1000})
		if err != nil {
			return
		}
		again, err := DecodeAll(Append(nil, v...), Limits{Values: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(Append(nil, v...), Append(nil, again...)) {
			t.Error("other values after a round trip")
		}
	})
}
