package flv

import "github.com/hlsorigin/hlsorigin/ingest"

// Packet types of Enhanced RTMP; those that differ between video and audio have two names.
const (
	packetHeader     = 0
	packetFrame      = 1
	packetEnd        = 2
	packetFrameX     = 3 // video: a frame whose composition offset is 0
	packetMeta       = 4 // video: colour information; audio: a layout of channels
	packetMultiAudio = 5 // several tracks
	packetMultiVideo = 6 // several tracks
	packetModEx      = 7 // a modifier before the packet itself
)

// Types of multitrack packets.
const (
	multiOne    = 0 // one track, without a size
	multiCodecs = 2 // each track with a fourcc of its own
)

// modNanoseconds is the modifier type for an exact timestamp: nanoseconds after the millisecond.
const modNanoseconds = 0

// enhanced is a message with a fourcc header (Enhanced RTMP v2, "ExVideoTagHeader" and "ExAudioTagHeader"), parsed up to its tracks.
type enhanced struct {
	packet byte
	offset int64 // 90 kHz ticks to add to the time stamp
	multi  bool  // it names its track
	sized  bool  // its tracks have sizes: there may be several
	codecs bool  // and fourccs
	fourcc []byte
	rest   []byte
}

// parseEnhanced reads what follows the first byte, whose low half is packet. multi is the type of a multitrack packet of the kind. ok is
// false if the message is truncated.
func parseEnhanced(packet, multi byte, b []byte) (e enhanced, ok bool) {
	for packet == packetModEx {
		if len(b) < 1 {
			return e, false
		}
		size := int(b[0]) + 1
		b = b[1:]
		if size == 256 {
			if len(b) < 2 {
				return e, false
			}
			size = int(b[0])<<8 + int(b[1]) + 1
			b = b[2:]
		}
		if len(b) < size+1 {
			return e, false
		}
		data, next := b[:size], b[size]
		b = b[size+1:]
		if packet = next & 0x0F; next>>4 == modNanoseconds && size >= 3 {
			nano := int64(data[0])<<16 | int64(data[1])<<8 | int64(data[2])
			e.offset = nano * ingest.Clock / 1e9
		}
	}
	if packet == multi {
		if len(b) < 1 || b[0]&0x0F == multi || b[0]&0x0F == packetModEx {
			return e, false
		}
		kind := b[0] >> 4
		packet, b = b[0]&0x0F, b[1:]
		e.multi, e.sized, e.codecs = true, kind != multiOne, kind == multiCodecs
	}
	e.packet = packet
	if !e.codecs {
		if len(b) < 4 {
			return e, false
		}
		e.fourcc, b = b[:4], b[4:]
	}
	e.rest = b
	return e, true
}

// next returns the next track; ok is false if it is truncated.
func (e *enhanced) next() (id byte, fourcc, body []byte, ok bool) {
	b, fourcc := e.rest, e.fourcc
	e.rest = nil
	if e.codecs {
		if len(b) < 4 {
			return 0, nil, nil, false
		}
		fourcc, b = b[:4], b[4:]
	}
	if e.multi {
		if len(b) < 1 {
			return 0, nil, nil, false
		}
		id, b = b[0], b[1:]
	}
	if e.sized {
		if len(b) < 3 {
			return 0, nil, nil, false
		}
		size := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		if b = b[3:]; size > len(b) {
			return 0, nil, nil, false
		}
		b, e.rest = b[:size:size], b[size:]
	}
	return id, fourcc, b, true
}

// noTrack is the track of a message that names none.
const noTrack = 0

// pick is the chosen track of several of one kind: the first one seen that can be carried.
type pick struct {
	made bool
	id   byte
}

// other reports whether a track is not the chosen one.
func (p *pick) other(id byte) bool { return p.made && p.id != id }

func (p *pick) take(id byte) { p.made, p.id = true, id }
