package mpegts

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	lap     = int64(1) << 33 // time stamps count modulo this, 90 kHz
	maxHead = 64 << 10       // bytes of the first access unit that are looked at for parameter sets
	second  = 90000          // ticks
)

// ErrNotTS tells that bytes are no transport stream.
var ErrNotTS = errors.New("no transport stream")

// Checksum is the CRC-32C (Castagnoli) by which segments are known, of bytes that are in memory.
func Checksum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// ScannedTrack is what the time stamps of one elementary stream say. Times are in 90 kHz ticks.
type ScannedTrack struct {
	Type        StreamType // 0: no such stream
	First, Last int64      // DTS of the first and the last PES packet, unwrapped from First on
	Count       int        // PES packets

	pid       uint16
	low, high int64 // the lowest and the highest DTS
	cc        uint8 // of the last packet
	packets   int
}

// Span is from the first PES packet to the end of the last, which is taken to be as long as the average.
func (t *ScannedTrack) Span() int64 {
	if t.Count < 2 {
		return 0
	}
	return t.high - t.low + t.step()
}

// step is the average distance of two PES packets.
func (t *ScannedTrack) step() int64 {
	if t.Count < 2 {
		return 0
	}
	return (t.high - t.low) / int64(t.Count-1)
}

// Scanned is what a segment says about itself.
type Scanned struct {
	Size         int64
	CRC32C       uint32 // Castagnoli, of all bytes
	Video, Audio ScannedTrack
	Key          bool   // the first picture is a random access point, or there is no video
	Sets         uint32 // hash of the first parameter sets; 0: none found
	Jumps        int    // discontinuity_indicators, of the tables
	Lost         int    // errors of continuity counters inside
	Cut          bool   // it ends within a packet
	Tables       int    // packets of the program association table: a segment has one
}

// Still reports whether it stands in the place of a lost segment: what Still writes, or tables alone.
func (t *Scanned) Still() bool {
	return t.Video.Count <= 1 && t.Audio.Count <= 1 && (t.Tables >= stillGroup || t.Video.Count+t.Audio.Count == 0)
}

// Base is the track that times the segment: video where there is any.
func (t *Scanned) Base() *ScannedTrack {
	if t.Video.Count > 0 {
		return &t.Video
	}
	return &t.Audio
}

// Scan reads a segment to its end. Bytes that are no transport stream are ErrNotTS, found after the first packets.
func Scan(r io.Reader) (Scanned, error) {
	s := scanner{pmt: -1, head: make([]byte, 0, 4096)}
	sum := crc32.New(castagnoli)
	in := bufio.NewReaderSize(io.TeeReader(r, sum), PacketSize*348)
	var p [PacketSize]byte
	for {
		n, err := io.ReadFull(in, p[:])
		s.Size += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			s.Cut = n > 0
			break
		}
		if err != nil {
			return s.Scanned, err
		}
		if p[0] != 0x47 {
			return s.Scanned, fmt.Errorf("%w: no sync byte at offset %d", ErrNotTS, s.Size-PacketSize)
		}
		s.packet(p[:])
	}
	s.endHead()
	s.CRC32C = sum.Sum32()
	if s.Base().Count == 0 {
		return s.Scanned, fmt.Errorf("%w: %d bytes without a time stamp", ErrNotTS, s.Size)
	}
	return s.Scanned, nil
}

type scanner struct {
	Scanned
	pmt      int // PID; -1: not yet known
	head     []byte
	headDone bool
}

func (s *scanner) packet(p []byte) {
	pid := binary.BigEndian.Uint16(p[1:]) & 0x1fff
	start := p[1]&0x40 != 0
	at, random := 4, false
	if p[3]&0x20 != 0 {
		length := int(p[4])
		if length > 0 {
			random = p[5]&0x40 != 0
			if pid == 0 && p[5]&0x80 != 0 { // it is set in all PIDs alike
				s.Jumps++
			}
		}
		at = 5 + length
	}
	if p[3]&0x10 == 0 || at >= PacketSize {
		return
	}
	body := p[at:]
	switch {
	case pid == 0:
		s.Tables++
		if start {
			s.pat(body)
		}
	case int(pid) == s.pmt:
		if start {
			s.pmtSection(body)
		}
	case s.Video.Type != 0 && pid == s.Video.pid:
		s.count(&s.Video, p[3]&0xf)
		if start {
			if s.Video.Count == 1 {
				s.endHead()
			}
			if s.stamp(&s.Video, body) && s.Video.Count == 1 {
				s.Key = random
			}
		}
		if s.Video.Count == 1 && !s.headDone {
			s.head = append(s.head, body[:min(len(body), maxHead-len(s.head))]...)
		}
	case s.Audio.Type != 0 && pid == s.Audio.pid:
		s.count(&s.Audio, p[3]&0xf)
		if start {
			s.stamp(&s.Audio, body)
		}
	}
}

// count follows the continuity counter of packets with a payload.
func (s *scanner) count(t *ScannedTrack, cc uint8) {
	if t.packets > 0 && (t.cc+1)&0xf != cc {
		s.Lost++
	}
	t.cc = cc
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

func (s *scanner) pat(body []byte) {
	for e := section(body, 0); len(e) >= 4; e = e[4:] {
		if e[0] != 0 || e[1] != 0 { // program 0 is the network's
			s.pmt = int(binary.BigEndian.Uint16(e[2:]) & 0x1fff)
			return
		}
	}
}

func (s *scanner) pmtSection(body []byte) {
	e := section(body, 2)
	if len(e) < 4 {
		return
	}
	skip := 4 + int(binary.BigEndian.Uint16(e[2:])&0xfff)
	for e = e[min(skip, len(e)):]; len(e) >= 5; {
		t := &s.Audio
		typ := StreamType(e[0])
		if typ == H264 || typ == H265 {
			t = &s.Video
		}
		if t.Type == 0 && typ != ID3 {
			t.Type, t.pid = StreamType(e[0]), binary.BigEndian.Uint16(e[1:])&0x1fff
		}
		e = e[min(5+int(binary.BigEndian.Uint16(e[3:])&0xfff), len(e)):]
	}
	s.Key = s.Key || s.Video.Type == 0
}

// stamp reads the DTS of a PES header, or the PTS where that is the same.
func (s *scanner) stamp(t *ScannedTrack, b []byte) bool {
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
	if t.Count == 0 {
		t.First, t.low, t.high = v, v, v
	} else {
		v = t.Last + Distance(t.Last, v)
	}
	t.Last = v
	t.low, t.high = min(t.low, v), max(t.high, v)
	t.Count++
	return true
}

// Distance is from a to b the shorter way around.
func Distance(a, b int64) int64 {
	d := (b - a) % lap
	if d < -lap/2 {
		d += lap
	} else if d >= lap/2 {
		d -= lap
	}
	return d
}

// endHead hashes the parameter sets of the first access unit. Two segments whose hashes differ need a discontinuity.
func (s *scanner) endHead() {
	if s.headDone {
		return
	}
	s.headDone = true
	h := crc32.NewIEEE()
	found := false
	unit, sets := -1, s.Video.Type
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
		s.Sets = max(h.Sum32(), 1)
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

func parameterSet(typ StreamType, header byte) bool {
	if typ == H265 {
		t := header >> 1 & 0x3f
		return t >= 32 && t <= 34
	}
	t := header & 0x1f
	return t == 7 || t == 8
}

// Follows reports whether b goes on where a ended: the same streams with the same parameters, on one time line. The
// distance is from the first time stamp of a to that of b.
func (a *Scanned) Follows(b *Scanned) (distance int64, ok bool) {
	ta, tb := a.Base(), b.Base()
	if a.Video.Type != b.Video.Type || a.Audio.Type != b.Audio.Type || a.Sets != 0 && b.Sets != 0 && a.Sets != b.Sets {
		return 0, false
	}
	if (ta == &a.Video) != (tb == &b.Video) {
		return 0, false
	}
	distance = Distance(ta.First, tb.First)
	tolerance := max(second/2, 2*ta.step())
	return distance, distance > 0 && abs(distance-ta.Span()) <= tolerance
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}
