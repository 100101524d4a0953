package rtsp

import (
	"errors"

	"github.com/pion/rtp"
)

// Limits of one access unit.
const (
	maxUnitBytes = 8 << 20
	maxUnitNALs  = 1024 // 4K with a slice per macroblock row has under 300
)

var (
	errUnitTooBig  = errors.New("access unit over 8 MiB")
	errUnitTooMany = errors.New("access unit of more than 1024 NAL units")
)

// assembler puts NAL units together to access units: all with one time stamp, up to the marker (RFC 6184 5.1). Senders
// that set no markers, and markers that are lost, end a unit with the next time stamp; the unit then keeps its own.
type assembler struct {
	ts    uint32
	units [][]byte
	bytes int
}

// add takes the NAL units of one packet.
func (a *assembler) add(ts uint32, marker bool, nalus [][]byte, emit func(unit)) error {
	if ts != a.ts {
		a.flush(emit)
	}
	a.ts = ts
	for _, n := range nalus {
		if len(n) == 0 {
			continue
		}
		a.bytes += len(n)
		a.units = append(a.units, n)
		if a.bytes > maxUnitBytes || len(a.units) > maxUnitNALs {
			err := errUnitTooBig
			if a.bytes <= maxUnitBytes {
				err = errUnitTooMany
			}
			a.units, a.bytes = nil, 0
			return err
		}
	}
	if marker {
		a.flush(emit)
	}
	return nil
}

func (a *assembler) flush(emit func(unit)) {
	if len(a.units) > 0 {
		emit(unit{rtp: a.ts, data: a.units})
	}
	a.units, a.bytes = nil, 0 // never used again: the frame may be held
}

// nalDecoder is gortsplib's decoder of H.264 or H.265 packets.
type nalDecoder interface {
	Decode(pkt *rtp.Packet) ([][]byte, error)
}

// nalUnits takes the NAL units out of one packet. The library's decoder would collect whole access units, but then says
// nothing about which time stamp they had; with every packet marked it hands out NAL units as they are complete.
func nalUnits(d nalDecoder, pkt *rtp.Packet) ([][]byte, error) {
	marked := *pkt
	marked.Marker = true
	return d.Decode(&marked)
}
