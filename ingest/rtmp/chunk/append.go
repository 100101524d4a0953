package chunk

import "encoding/binary"

// Append appends m as chunks of at most size payload bytes on chunk stream id (2 to 65599). The first has a full header, so that the
// message can be read without knowing what came before it.
func Append(dst []byte, id, size int, m Message) []byte {
	dst = appendBasic(dst, 0, id)
	field := min(m.Timestamp, extended)
	dst = append(dst, byte(field>>16), byte(field>>8), byte(field))
	dst = append(dst, byte(len(m.Payload)>>16), byte(len(m.Payload)>>8), byte(len(m.Payload)), m.Type)
	dst = binary.LittleEndian.AppendUint32(dst, m.StreamID)
	for rest := m.Payload; ; {
		if field == extended {
			dst = binary.BigEndian.AppendUint32(dst, m.Timestamp)
		}
		n := min(size, len(rest))
		dst = append(dst, rest[:n]...)
		if rest = rest[n:]; len(rest) == 0 {
			return dst
		}
		dst = appendBasic(dst, 3, id)
	}
}

func appendBasic(dst []byte, format byte, id int) []byte {
	switch {
	case id < 64:
		return append(dst, format<<6|byte(id))
	case id < 320:
		return append(dst, format<<6, byte(id-64))
	default:
		return append(dst, format<<6|1, byte(id-64), byte((id-64)>>8))
	}
}
