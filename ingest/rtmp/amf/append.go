package amf

import (
	"encoding/binary"
	"math"
)

// Append appends values in order. A text of more than 65,535 bytes becomes a long string; a longer property name is truncated.
func Append(dst []byte, values ...Value) []byte {
	for _, v := range values {
		dst = appendValue(dst, v)
	}
	return dst
}

func appendValue(dst []byte, v Value) []byte {
	switch v.Kind {
	case Number:
		return binary.BigEndian.AppendUint64(append(dst, markerNumber), math.Float64bits(v.Number))
	case Boolean:
		if v.Bool {
			return append(dst, markerBoolean, 1)
		}
		return append(dst, markerBoolean, 0)
	case String:
		if len(v.Text) > math.MaxUint16 {
			dst = binary.BigEndian.AppendUint32(append(dst, markerLongString), uint32(len(v.Text)))
			return append(dst, v.Text...)
		}
		return appendName(append(dst, markerString), v.Text)
	case Object:
		dst = append(dst, markerObject)
		for _, f := range v.Fields {
			dst = appendValue(appendName(dst, f.Name), f.Value)
		}
		return append(dst, 0, 0, markerObjectEnd)
	case Array:
		dst = binary.BigEndian.AppendUint32(append(dst, markerStrictArray), uint32(len(v.Items)))
		return Append(dst, v.Items...)
	}
	return append(dst, markerNull)
}

func appendName(dst []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// Num, Text, Flag and Obj make values.
func Num(f float64) Value       { return Value{Kind: Number, Number: f} }
func Text(s string) Value       { return Value{Kind: String, Text: s} }
func Flag(b bool) Value         { return Value{Kind: Boolean, Bool: b} }
func Obj(fields ...Field) Value { return Value{Kind: Object, Fields: fields} }
