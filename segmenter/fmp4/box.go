package fmp4

import "encoding/binary"

// open begins a box of a type, four letters, behind b. close ends it.
func open(b []byte, typ string) (box []byte, at int) {
	at = len(b)
	b = append(b, 0, 0, 0, 0)
	return append(b, typ...), at
}

// openFull begins a box with version and flags (ISO/IEC 14496-12 4.2).
func openFull(b []byte, typ string, version byte, flags uint32) (box []byte, at int) {
	b, at = open(b, typ)
	return u32(b, uint32(version)<<24|flags), at
}

// end writes the size of the box that began at at and ends where b does.
func end(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

func u16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func u32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }
func u64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// zeros appends n bytes of zero.
func zeros(b []byte, n int) []byte {
	for range n {
		b = append(b, 0)
	}
	return b
}
