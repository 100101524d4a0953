package storage

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Of a transport stream (ISO/IEC 13818-1).
const (
	tsPacket  = 188
	tsWrap    = int64(1) << 33 // time stamps count modulo this, 90 kHz
	tsMaxHead = 64 << 10       // bytes of the first access unit that are looked at for parameter sets
	typeH264  = 0x1B
	typeH265  = 0x24
	pesClock  = 90000
)

// errNotTS tells that bytes are no transport stream.
var errNotTS = errors.New("no transport stream")

// tsTrack is what the time stamps of one elementary stream say.
type tsTrack struct {
	typ         byte // stream_type; 0: no such stream
	pid         uint16
	first, last int64 // DTS of the first and the last PES, unwrapped from first on
	low, high   int64 // the lowest and highest DTS
	count       int   // PES packets
	cc          [2]uint8
	packets     int
}

// span is from the first PES to the end of the last, which is taken to be as long as the average.
func (t *tsTrack) span() int64 {
	if t.count < 2 {
		return 0
	}
	return t.high - t.low + t.step()
}

// step is the average distance of two PES.
func (t *tsTrack) step() int64 {
	if t.count < 2 {
		return 0
	}
	return (t.high - t.low) / int64(t.count-1)
}

// tsInfo is what a segment says about itself.
type tsInfo struct {
	size         int64
	crc          uint32 // Castagnoli, of all bytes
	video, audio tsTrack
	key          bool   // the first picture is a random access point, or there is no video
	sets         uint32 // hash of the first parameter sets; 0: none found
	jumps        int    // discontinuity_indicators
	lost         int    // continuity counter errors inside
	cut          bool   // it ends within a packet
}

// base is the track that times the segment: video where there is any.
func (t *tsInfo) base() *tsTrack {
	if t.video.count > 0 {
		return &t.video
	}
	return &t.audio
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// scanTS reads a segment to its end. Bytes that are no transport stream are errNotTS, found after the first packets.
func scanTS(r io.Reader) (tsInfo, error) {
	s := tsScanner{pmt: -1, head: make([]byte, 0, 4096)}
	sum := crc32.New(castagnoli)
	in := bufio.NewReaderSize(io.TeeReader(r, sum), tsPacket*348)
	var p [tsPacket]byte
	for {
		n, err := io.ReadFull(in, p[:])
		s.size += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			s.cut = n > 0
			break
		}
		if err != nil {
			return s.tsInfo, err
		}
		if p[0] != 0x47 {
			return s.tsInfo, fmt.Errorf("%w: no sync byte at offset %d", errNotTS, s.size-tsPacket)
		}
		s.packet(p[:])
	}
	s.endHead()
	s.crc = sum.Sum32()
	if s.base().count == 0 {
		return s.tsInfo, fmt.Errorf("%w: %d bytes without a time stamp", errNotTS, s.size)
	}
	return s.tsInfo, nil
}

type tsScanner struct {
	tsInfo
	pmt      int // PID; -1: not yet known
	head     []byte
	headDone bool
}

func (s *tsScanner) packet(p []byte) {
	pid := binary.BigEndian.Uint16(p[1:]) & 0x1fff
	start := p[1]&0x40 != 0
	at, random := 4, false
	if p[3]&0x20 != 0 {
		length := int(p[4])
		if length > 0 {
			random = p[5]&0x40 != 0
			if p[5]&0x80 != 0 {
				s.jumps++
			}
		}
		at = 5 + length
	}
	if p[3]&0x10 == 0 || at >= tsPacket {
		return
	}
	body := p[at:]
	switch {
	case pid == 0:
		if start {
			s.pat(body)
		}
	case int(pid) == s.pmt:
		if start {
			s.pmtSection(body)
		}
	case s.video.typ != 0 && pid == s.video.pid:
		s.count(&s.video, p[3]&0xf)
		if start {
			if s.video.count == 1 {
				s.endHead()
			}
			if s.stamp(&s.video, body) && s.video.count == 1 {
				s.key = random
			}
		}
		if s.video.count == 1 && !s.headDone {
			s.head = append(s.head, body[:min(len(body), tsMaxHead-len(s.head))]...)
		}
	case s.audio.typ != 0 && pid == s.audio.pid:
		s.count(&s.audio, p[3]&0xf)
		if start {
			s.stamp(&s.audio, body)
		}
	}
}

// count follows the continuity counter of packets with a payload.
func (s *tsScanner) count(t *tsTrack, cc uint8) {
	if t.packets == 0 {
		t.cc[0] = cc
	} else if (t.cc[1]+1)&0xf != cc {
		s.lost++
	}
	t.cc[1] = cc
	t.packets++
}

// section strips the pointer field and the header of a section that is whole within its packet: ours are.
func section(body []byte, id byte) []byte {
	if skip := int(body[0]) + 1; skip < len(body) {
		body = body[skip:]
	} else {
		return nil
	}
	if len(body) < 12 || body[0] != id {
		return nil
	}
	end := 3 + int(binary.BigEndian.Uint16(body[1:])&0xfff) - 4 // without the CRC
	if end > len(body) || end < 8 {
		return nil
	}
	return body[8:end]
}

func (s *tsScanner) pat(body []byte) {
	for e := section(body, 0); len(e) >= 4; e = e[4:] {
		if e[0] != 0 || e[1] != 0 { // program 0 is the network's
			s.pmt = int(binary.BigEndian.Uint16(e[2:]) & 0x1fff)
			return
		}
	}
}

func (s *tsScanner) pmtSection(body []byte) {
	e := section(body, 2)
	if len(e) < 4 {
		return
	}
	skip := 4 + int(binary.BigEndian.Uint16(e[2:])&0xfff)
	for e = e[min(skip, len(e)):]; len(e) >= 5; {
		t := &s.audio
		if e[0] == typeH264 || e[0] == typeH265 {
			t = &s.video
		}
		if t.typ == 0 {
			t.typ, t.pid = e[0], binary.BigEndian.Uint16(e[1:])&0x1fff
		}
		e = e[min(5+int(binary.BigEndian.Uint16(e[3:])&0xfff), len(e)):]
	}
	s.key = s.key || s.video.typ == 0
}

// stamp reads the DTS of a PES header, or the PTS where that is the same.
func (s *tsScanner) stamp(t *tsTrack, b []byte) bool {
	if len(b) < 14 || b[0] != 0 || b[1] != 0 || b[2] != 1 || b[7]&0x80 == 0 {
		return false
	}
	f := b[9:]
	if b[7]&0x40 != 0 {
		if len(b) < 19 {
			return false
		}
		f = b[14:]
	}
	v := int64(f[0]>>1&7)<<30 | int64(binary.BigEndian.Uint16(f[1:])>>1)<<15 | int64(binary.BigEndian.Uint16(f[3:])>>1)
	if t.count == 0 {
		t.first, t.low, t.high = v, v, v
	} else {
		v = t.last + tsDistance(t.last, v)
	}
	t.last = v
	t.low, t.high = min(t.low, v), max(t.high, v)
	t.count++
	return true
}

// tsDistance is from a to b the shorter way around.
func tsDistance(a, b int64) int64 {
	d := (b - a) % tsWrap
	if d < -tsWrap/2 {
		d += tsWrap
	} else if d >= tsWrap/2 {
		d -= tsWrap
	}
	return d
}

// endHead hashes the parameter sets of the first access unit. Two segments whose hashes differ need a discontinuity.
func (s *tsScanner) endHead() {
	if s.headDone {
		return
	}
	s.headDone = true
	h := crc32.NewIEEE()
	found := false
	unit, sets := -1, s.video.typ
	flush := func(end int) {
		if unit >= 0 && unit < end && parameterSet(sets, s.head[unit]) {
			found = true
			_, _ = h.Write(trimZeros(s.head[unit:end]))
		}
	}
	for i := 0; i+3 <= len(s.head); i++ {
		if s.head[i] == 0 && s.head[i+1] == 0 && s.head[i+2] == 1 {
			flush(i)
			unit = i + 3
			i += 2
		}
	}
	flush(len(s.head))
	if found {
		s.sets = max(h.Sum32(), 1)
	}
	s.head = nil
}

// trimZeros drops the zero byte that belongs to a longer start code of the next unit.
func trimZeros(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

func parameterSet(typ, header byte) bool {
	if typ == typeH265 {
		t := header >> 1 & 0x3f
		return t >= 32 && t <= 34
	}
	t := header & 0x1f
	return t == 7 || t == 8
}

// follows tells whether b goes on where a ended: the same streams with the same parameters, on one time line. The
// distance is from the first time stamp of a to that of b.
func (a *tsInfo) follows(b *tsInfo) (distance int64, ok bool) {
	ta, tb := a.base(), b.base()
	if a.video.typ != b.video.typ || a.audio.typ != b.audio.typ || a.sets != 0 && b.sets != 0 && a.sets != b.sets {
		return 0, false
	}
	if (ta == &a.video) != (tb == &b.video) {
		return 0, false
	}
	distance = tsDistance(ta.first, tb.first)
	tolerance := max(pesClock/2, 2*ta.step())
	return distance, distance > 0 && abs(distance-ta.span()) <= tolerance
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}
