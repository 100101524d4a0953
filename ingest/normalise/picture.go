package normalise

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Limits of one picture that is joined from several messages.
const (
	maxPictureBytes = 8 << 20
	maxPictureUnits = 4096 // 4K H.265 in small slices stays below 1,000
)

// keptBytes is the most memory that an empty store keeps for reuse.
const keptBytes = 512 << 10

// sameTime is how far apart the timestamps of one picture's messages may be, in 90 kHz ticks: some encoders stamp each slice with the time
// at which it was ready.
const sameTime = 5 * ingest.Clock / 1000

// staleAfter is how long a possibly incomplete picture is held while only audio comes.
const staleAfter = 500 * time.Millisecond

// part is the part of a picture that a message is.
type part uint8

const (
	picture      part = iota // a picture, or its beginning
	continuation             // further slices of the picture before it
	suffix                   // no slice, and its units belong after one
	prefix                   // no slice: it belongs to the picture that follows
)

// role returns which part a message is, from its units (ISO/IEC 14496-10 7.4.1.2.3, ISO/IEC 23008-2 7.4.2.4.4). after is the distance of
// its timestamp from the previous picture's, if there was one. Slices of a picture whose beginning was lost are not part of the previous
// picture: their time differs.
func role(s codec.Survey, any bool, after int64) part {
	switch {
	case s.Slices == 0 && s.Trailing && s.Sets == 0 && any:
		return suffix
	case s.Slices == 0:
		return prefix
	case any && !s.First && s.Sets == 0 && -sameTime <= after && after <= sameTime:
		return continuation
	}
	return picture
}

// pictures joins messages into access units.
type pictures struct {
	holding bool // pictures come in several messages: each is held until the next message shows that it is complete
	codec   ingest.Codec
	any     bool
	dts     int64 // of the newest picture's first slice
	ahead   store // units that wait for their picture
	held    heldUnit
	units   store // of held, unless that is empty
}

// heldUnit is an access unit that is not complete yet. Its Units are in a store.
type heldUnit struct {
	Video
	some bool
	at   time.Duration // Arrival, on the stream's clock
	sets codec.Sets    // that may be among the units
}

// anySets says that any set may be there.
const anySets = codec.VPS | codec.SPS | codec.PPS

// store keeps NAL units, by copy if they are borrowed. It reuses its memory.
type store struct {
	retained bool
	memory   *ingest.Memory
	lent     int // bytes taken from it
	kept     [][]byte
	bytes    []byte
	ends     []int // where each unit ends in bytes
	size     int
}

func (b *store) add(units [][]byte) (ok bool) {
	n := len(b.kept) + len(b.ends) + len(units)
	for _, u := range units {
		b.size += len(u)
	}
	if n > maxPictureUnits || b.size > maxPictureBytes || !b.memory.Hold(int64(b.size-b.lent)) {
		return false
	}
	b.lent = b.size
	for _, u := range units {
		if b.retained {
			b.kept = append(b.kept, u)
		} else {
			b.bytes = append(b.bytes, u...)
			b.ends = append(b.ends, len(b.bytes))
		}
	}
	return true
}

// appendTo appends all units to dst; they are valid until the store is emptied.
func (b *store) appendTo(dst [][]byte) [][]byte {
	from := 0
	for _, end := range b.ends {
		dst = append(dst, b.bytes[from:end:end])
		from = end
	}
	return append(dst, b.kept...)
}

func (b *store) empty() bool { return len(b.kept)+len(b.ends) == 0 }

// yield releases the memory of what is kept; adding more claims it again.
func (b *store) yield() {
	b.memory.Yield(int64(b.lent))
	b.lent = 0
}

func (b *store) reset() {
	clear(b.kept)
	if b.yield(); cap(b.bytes) > keptBytes {
		b.bytes = nil
	}
	b.kept, b.bytes, b.ends, b.size = b.kept[:0], b.bytes[:0], b.ends[:0], 0
}

// picture takes a message and passes on the access unit that it is or completes.
func (s *Stream) picture(m *Video) error {
	p := &s.pictures
	if m.Codec != p.codec {
		if err := s.changeCodec(m.Codec); err != nil {
			return err
		}
	}
	survey := m.Codec.Survey(m.Units)
	if r := role(survey, p.any, m.DTS-p.dts); r != picture {
		return s.part(m, r, survey.Content)
	}
	if p.held.some {
		if err := s.complete(); err != nil {
			return err
		}
	}
	p.any, p.dts = true, m.DTS
	if !p.holding {
		return s.single(m, survey.Sets)
	}
	if !p.ahead.empty() {
		survey.Sets = anySets
	}
	p.units, p.ahead = p.ahead, p.units // ahead is empty
	if !p.units.add(m.Units) {
		p.units.reset()
		s.video.account.Refuse(ingest.Malformed)
		return nil
	}
	p.held = heldUnit{Video: *m, some: true, at: s.at, sets: survey.Sets}
	return nil
}

// part takes a message that is not a picture by itself.
func (s *Stream) part(m *Video, r part, content bool) error {
	p := &s.pictures
	switch r {
	case suffix:
		if !p.held.some || !p.units.add(m.Units) {
			s.video.account.Refuse(ingest.NoPicture)
		}
	case prefix:
		if err := s.complete(); err != nil {
			return err
		}
		if content && !p.ahead.add(m.Units) {
			p.ahead.reset()
			s.video.account.Refuse(ingest.NoPicture)
		}
	case continuation:
		switch {
		case !p.held.some:
			p.holding = true // from the next picture on
			s.video.account.Refuse(ingest.NoPicture)
		case !p.units.add(m.Units):
			s.video.account.Refuse(ingest.Malformed)
		default:
			p.held.Key = p.held.Key || m.Key
			p.held.Arrival, p.held.at = m.Arrival, s.at
		}
	}
	return nil
}

func (s *Stream) store() store { return store{retained: s.o.Retained, memory: s.o.Memory} }

// changeCodec starts over with another codec.
func (s *Stream) changeCodec(c ingest.Codec) error {
	if err := s.complete(); err != nil {
		return err
	}
	p := &s.pictures
	p.ahead.reset()
	p.units.reset()
	*p = pictures{holding: p.holding, codec: c, ahead: s.store(), units: s.store()}
	s.sets.use(c)
	return nil
}
