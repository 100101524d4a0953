package amf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Kind is the kind of a value. Use it to distinguish values, not nil fields.
type Kind uint8

// The kinds of value. ECMA arrays, objects and typed objects are Object, dates are Number (milliseconds since 1970).
const (
	Null Kind = iota // null, undefined, unsupported
	Number
	Boolean
	String // strings, long strings, XML documents
	Object
	Array // strict arrays
)

// Value is one AMF0 value.
type Value struct {
	Kind   Kind
	Number float64
	Bool   bool
	Text   string
	Fields []Field // of an Object, in order
	Items  []Value // of an Array
}

// Field is one property of an object.
type Field struct {
	Name  string
	Value Value
}

// Get returns a property by name, or Null if it is missing.
func (v Value) Get(name string) Value {
	for i := range v.Fields {
		if v.Fields[i].Name == name {
			return v.Fields[i].Value
		}
	}
	return Value{}
}

// Limits bound the cost of decoding. A zero field means its default.
type Limits struct {
	Depth  int // nested objects and arrays; default 8
	Values int // values in one message; default 4096
}

// ErrMalformed is wrapped by every error for bytes that are not AMF0.
var ErrMalformed = errors.New("amf: malformed")

// ErrLimit is wrapped by every error for an exceeded limit.
var ErrLimit = errors.New("amf: limit exceeded")

// Markers (AMF0 section 2.1).
const (
	markerNumber      = 0x00
	markerBoolean     = 0x01
	markerString      = 0x02
	markerObject      = 0x03
	markerNull        = 0x05
	markerUndefined   = 0x06
	markerECMAArray   = 0x08
	markerObjectEnd   = 0x09
	markerStrictArray = 0x0a
	markerDate        = 0x0b
	markerLongString  = 0x0c
	markerUnsupported = 0x0d
	markerXML         = 0x0f
	markerTypedObject = 0x10
)

// DecodeAll reads all values of a message. With an error it returns the values before it.
func DecodeAll(b []byte, l Limits) ([]Value, error) {
	if l.Depth == 0 {
		l.Depth = 8
	}
	if l.Values == 0 {
		l.Values = 4096
	}
	d := decoder{b: b, values: l.Values}
	var all []Value
	for len(d.b) > 0 {
		v, err := d.value(l.Depth)
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

type decoder struct {
	b      []byte
	values int // how many more may come
}

func (d *decoder) value(depth int) (Value, error) {
	if d.values--; d.values < 0 {
		return Value{}, fmt.Errorf("%w: too many values", ErrLimit)
	}
	m, err := d.take(1)
	if err != nil {
		return Value{}, err
	}
	switch m[0] {
	case markerNumber:
		return d.number()
	case markerBoolean:
		p, err := d.take(1)
		return Value{Kind: Boolean, Bool: err == nil && p[0] != 0}, err
	case markerString:
		return d.text(2)
	case markerLongString, markerXML:
		return d.text(4)
	case markerNull, markerUndefined, markerUnsupported:
		return Value{}, nil
	case markerDate:
		v, err := d.number()
		if err == nil {
			_, err = d.take(2) // the time zone, which must be 0
		}
		return v, err
	}
	if depth--; depth < 0 {
		return Value{}, fmt.Errorf("%w: nested too deep", ErrLimit)
	}
	switch m[0] {
	case markerObject:
		return d.object(depth)
	case markerECMAArray: // the count is only a hint
		if _, err := d.take(4); err != nil {
			return Value{}, err
		}
		return d.object(depth)
	case markerTypedObject:
		if _, err := d.text(2); err != nil {
			return Value{}, err
		}
		return d.object(depth)
	case markerStrictArray:
		return d.array(depth)
	}
	return Value{}, fmt.Errorf("%w: marker %#02x", ErrMalformed, m[0])
}

func (d *decoder) number() (Value, error) {
	p, err := d.take(8)
	if err != nil {
		return Value{}, err
	}
	return Value{Kind: Number, Number: math.Float64frombits(binary.BigEndian.Uint64(p))}, nil
}

// text reads a string whose length has size bytes.
func (d *decoder) text(size int) (Value, error) {
	p, err := d.take(size)
	if err != nil {
		return Value{}, err
	}
	n := uint64(0)
	for _, b := range p {
		n = n<<8 | uint64(b)
	}
	if n > uint64(len(d.b)) {
		return Value{}, fmt.Errorf("%w: cut short", ErrMalformed)
	}
	p, _ = d.take(int(n))
	return Value{Kind: String, Text: string(p)}, nil
}

func (d *decoder) object(depth int) (Value, error) {
	v := Value{Kind: Object}
	for {
		name, err := d.text(2)
		if err != nil {
			return Value{}, err
		}
		if name.Text == "" && len(d.b) > 0 && d.b[0] == markerObjectEnd {
			d.b = d.b[1:]
			return v, nil
		}
		if name.Text == "" && len(d.b) == 0 {
			return Value{}, fmt.Errorf("%w: cut short", ErrMalformed)
		}
		f, err := d.value(depth)
		if err != nil {
			return Value{}, err
		}
		v.Fields = append(v.Fields, Field{name.Text, f})
	}
}

func (d *decoder) array(depth int) (Value, error) {
	p, err := d.take(4)
	if err != nil {
		return Value{}, err
	}
	n := binary.BigEndian.Uint32(p)
	if uint64(n) > uint64(len(d.b)) { // each item has at least one byte
		return Value{}, fmt.Errorf("%w: an array of %d items in %d bytes", ErrMalformed, n, len(d.b))
	}
	v := Value{Kind: Array}
	for range n {
		item, err := d.value(depth)
		if err != nil {
			return Value{}, err
		}
		v.Items = append(v.Items, item)
	}
	return v, nil
}

func (d *decoder) take(n int) ([]byte, error) {
	if len(d.b) < n {
		return nil, fmt.Errorf("%w: cut short", ErrMalformed)
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p, nil
}
