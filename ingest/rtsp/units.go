package rtsp

import (
	"errors"
	"time"

	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Limits of one access unit.
const (
	maxUnitBytes = 8 << 20
	maxUnitNALs  = 1024 // 4K with a slice per macroblock row has under 300
)

var (
	errUnitTooBig  = errors.New("access unit over 8 MiB")
	errUnitTooMany = errors.New("access unit of more than 1024 NAL units")
	errTorn        = errors.New("slices of a picture that a marker had ended")
)

// assembler joins NAL units into access units: all with one timestamp, up to the marker (RFC 6184 5.1). If a sender sets no markers, or a
// marker is lost, the next timestamp ends the unit, which keeps its own timestamp.
//
// Some senders set the marker on every slice. So the first picture is held until another timestamp comes. If more of it came after a
// marker, markers end nothing from then on: each picture waits for the next one.
type assembler struct {
	codec   codec.Codec
	ts      uint32
	arrival time.Time // of the newest packet
	units   [][]byte
	bytes   int
	marked  bool // a part of the unit had a marker
	sure    bool // a picture has ended
	byTime  bool // markers mean nothing
	gone    bool // a picture with this timestamp was passed on
}

// add takes the NAL units of one packet.
func (a *assembler) add(ts uint32, marker bool, nalus [][]byte, arrival time.Time, emit func(unit)) error {
	if ts != a.ts {
		a.flush(emit)
		a.gone = false
	}
	a.ts = ts
	if a.marked || a.gone {
		switch s := a.codec.Survey(nalus); {
		case s.Slices == 0:
		case s.First && a.pictured(): // another picture, or field, with the same time
			a.flush(emit)
		case s.First:
		case a.pictured():
			a.byTime = true
		case a.gone:
			a.byTime = true
			return errTorn
		}
	}
	a.arrival = arrival
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
	a.marked = a.marked || marker
	if marker && a.sure && !a.byTime {
		a.flush(emit)
	}
	return nil
}

// flush ends the unit.
func (a *assembler) flush(emit func(unit)) {
	if len(a.units) > 0 {
		a.gone = a.pictured()
		a.sure = a.sure || a.gone
		emit(unit{rtp: a.ts, data: a.units, arrival: a.arrival})
	}
	a.units, a.bytes, a.marked = nil, 0, false // not reused: the frame may be held
}

// pictured reports whether there are slices in the unit.
func (a *assembler) pictured() bool { return a.codec.Survey(a.units).Slices > 0 }

// nalDecoder is gortsplib's decoder of H.264 or H.265 packets.
type nalDecoder interface {
	Decode(pkt *rtp.Packet) ([][]byte, error)
}

// nalUnits extracts the NAL units from one packet. The library's decoder would collect whole access units, but does not say which timestamp
// they had; with every packet marked it returns NAL units as they are complete.
func nalUnits(d nalDecoder, pkt *rtp.Packet) ([][]byte, error) {
	marked := *pkt
	marked.Marker = true
	return d.Decode(&marked)
}
