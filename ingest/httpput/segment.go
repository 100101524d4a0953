package httpput

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// segment is a transport stream segment that came, taken apart.
type segment struct {
	packets []byte
	sum     uint32 // CRC-32C
	units   []unit // of both tracks, in decoding order
	streams [2][]byte
	video   mpegts.StreamType
	audio   mpegts.StreamType
	layout  layout
}

// unit is a PES packet: a picture, or some frames of sound.
type unit struct {
	video      bool
	random     bool  // its packet has the random_access_indicator
	pts, dts   int64 // modulo 2^33
	begin, end int   // in its stream
}

// bytes are the unit's, as they were packed.
func (s *segment) bytes(u *unit) []byte { return s.streams[track(u.video)][u.begin:u.end] }

func track(video bool) int {
	if video {
		return 0
	}
	return 1
}

// parseSegment takes a segment apart. Its error is a refusal.
func parseSegment(b []byte) (*segment, error) {
	if why := notTS(b); why != "" {
		return nil, ingest.Refuse(ingest.Unsupported, "%s", why)
	}
	s := &segment{packets: b, sum: mpegts.Checksum(b)}
	if err := s.layout.look(b); err != nil {
		return nil, ingest.Refuse(ingest.Unsupported, "the segment cannot be carried: %s", err)
	}
	var d mpegts.Demuxer
	if _, err := d.Read([][]byte{b}, (*gather)(s)); err != nil {
		return nil, ingest.Refuse(ingest.Unsupported, "the segment cannot be read: %s", err)
	}
	slices.SortStableFunc(s.units, func(a, b unit) int { return int(mpegts.Distance(b.dts, a.dts)) })
	if len(s.units) == 0 {
		return nil, ingest.Refuse(ingest.Unsupported, "the segment has neither pictures nor sound")
	}
	s.layout.delimited = s.delimited()
	return s, nil
}

// notTS says what a body is that is no transport stream; empty: it may be one.
func notTS(b []byte) string {
	box := ""
	if len(b) >= 8 {
		box = string(b[4:8])
	}
	switch {
	case len(b) == 0:
		return "the body is empty"
	case slices.Contains([]string{"ftyp", "styp", "moof", "sidx", "moov", "prft", "emsg"}, box):
		return "fragmented MP4 is not taken yet: set the encoder's segment type to MPEG transport stream (ffmpeg: -hls_segment_type mpegts)"
	case bytes.HasPrefix(bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF")), []byte("WEBVTT")):
		return "subtitles in files of their own are not carried: send captions in the video (CEA-608 or CEA-708), or none"
	case b[0] != 0x47:
		return "the body is neither an MPEG transport stream nor a playlist; what is encrypted as a whole looks so too: send segments in the clear"
	case len(b)%mpegts.PacketSize != 0:
		return fmt.Sprintf("the body ends in the middle of a packet: %d bytes are no multiple of %d", len(b), mpegts.PacketSize)
	}
	return ""
}

// gather collects what a segment consists of, as mpegts.Handler.
type gather segment

// Program implements mpegts.Handler.
func (g *gather) Program(video, audio mpegts.StreamType) error {
	g.video, g.audio = video, audio
	return nil
}

// Begin implements mpegts.Handler.
func (g *gather) Begin(u *mpegts.Unit) error {
	video := u.Track == mpegts.VideoTrack
	at := len(g.streams[track(video)])
	g.units = append(g.units, unit{video: video, random: u.Random, pts: u.PTS, dts: u.DTS, begin: at, end: at})
	return nil
}

// Bytes implements mpegts.Handler.
func (g *gather) Bytes(t mpegts.Track, p []byte) {
	k := track(t == mpegts.VideoTrack)
	g.streams[k] = append(g.streams[k], p...)
}

// Packets implements mpegts.Handler.
func (g *gather) Packets(t mpegts.Track, r *mpegts.Run) {
	k := track(t == mpegts.VideoTrack)
	for {
		b := slices.Grow(g.streams[k], max(r.Bound(), mpegts.PayloadSize))
		n, plain := r.Copy(b[len(b):cap(b)])
		if g.streams[k] = b[:len(b)+n]; n == 0 && plain {
			return
		}
	}
}

// End implements mpegts.Handler.
func (g *gather) End(t mpegts.Track) error {
	video := t == mpegts.VideoTrack
	for i := len(g.units) - 1; i >= 0; i-- {
		if u := &g.units[i]; u.video == video {
			u.end = len(g.streams[track(video)])
			break
		}
	}
	return nil
}

// delimited reports whether the first picture begins with an access unit delimiter; true where there are no pictures.
func (s *segment) delimited() bool {
	for i := range s.units {
		u := &s.units[i]
		if !u.video {
			continue
		}
		c := codec.H264
		if s.video == mpegts.H265 {
			c = codec.H265
		}
		for n := range codec.AnnexB(s.bytes(u)) {
			return c.NAL(n) == codec.KindDelimiter
		}
		return false
	}
	return true
}

// layout is what there is to say of a segment's packets beside what they carry.
type layout struct {
	first     uint16          // PID of the first packet that is neither null nor a description of services
	counters  map[uint16]span // continuity counters, by PID, of packets with a payload
	pcrApart  int64           // the longest time between two PCRs, ticks
	pcr       int             // how many there are
	lead      int             // PID of the pictures, or where there are none of the sound; below 0: not known
	delimited bool
	foreign   []uint8 // stream types that are not carried, of what else the program has
}

// span is the first and the last counter of a PID, and whether its first PES packet has the random_access_indicator.
type span struct {
	first, last   uint8
	begun, random bool
}

// look walks over the packets. Its error is why they cannot be carried at all.
func (l *layout) look(b []byte) error {
	l.counters, l.lead = map[uint16]span{}, -1
	last, programs, pmt := int64(-1), 0, -1
	l.first = 0x1FFF
	for at := 0; at < len(b); at += mpegts.PacketSize {
		p := b[at : at+mpegts.PacketSize]
		if p[0] != 0x47 {
			return fmt.Errorf("no sync byte at byte %d", at)
		}
		if p[3]&0xC0 != 0 {
			return errors.New("its packets are scrambled: send it in the clear")
		}
		pid := binary.BigEndian.Uint16(p[1:]) & 0x1FFF
		if l.first == 0x1FFF && pid != 0x11 {
			l.first = pid
		}
		if pid == 0x1FFF {
			continue
		}
		body := 4
		if p[3]&0x20 != 0 {
			if body = 5 + int(p[4]); p[4] >= 7 && p[5]&0x10 != 0 {
				pcr := int64(binary.BigEndian.Uint32(p[6:]))<<1 | int64(p[10]>>7)
				if last >= 0 {
					l.pcrApart = max(l.pcrApart, mpegts.Distance(last, pcr))
				}
				last = pcr
				l.pcr++
			}
		}
		if p[3]&0x10 == 0 || body >= mpegts.PacketSize {
			continue
		}
		c, known := l.counters[pid]
		if !known {
			c.first = p[3] & 15
		}
		c.last = p[3] & 15
		if start := p[1]&0x40 != 0; start && !c.begun {
			c.begun, c.random = true, p[3]&0x20 != 0 && p[4] > 0 && p[5]&0x40 != 0
		}
		l.counters[pid] = c
		if p[1]&0x40 == 0 {
			continue
		}
		switch {
		case pid == 0:
			n, at := programsOf(p[body:])
			if programs = max(programs, n); n > 0 {
				pmt = at
			}
		case int(pid) == pmt:
			l.mapping(p[body:])
		}
	}
	if programs > 1 {
		return fmt.Errorf("it has %d programs: send one", programs)
	}
	return nil
}

// section is the body of a table that is whole within its packet, without its header and CRC.
func section(b []byte, id byte) []byte {
	if n := int(b[0]) + 1; n < len(b) {
		b = b[n:]
	}
	if len(b) < 12 || b[0] != id {
		return nil
	}
	if end := 3 + int(binary.BigEndian.Uint16(b[1:])&0xFFF) - 4; 8 <= end && end <= len(b) {
		return b[8:end]
	}
	return nil
}

// programsOf counts the programs of a program association table, and returns where the map of the first is.
func programsOf(b []byte) (n, pmt int) {
	for e := section(b, 0); len(e) >= 4; e = e[4:] {
		if e[0] != 0 || e[1] != 0 {
			if n++; n == 1 {
				pmt = int(binary.BigEndian.Uint16(e[2:]) & 0x1FFF)
			}
		}
	}
	return n, pmt
}

// mapping reads a program map.
func (l *layout) mapping(b []byte) {
	e := section(b, 2)
	if len(e) < 4 {
		return
	}
	video, audio := -1, -1
	l.foreign = l.foreign[:0]
	for e = e[min(4+int(binary.BigEndian.Uint16(e[2:])&0xFFF), len(e)):]; len(e) >= 5; {
		pid := int(binary.BigEndian.Uint16(e[1:]) & 0x1FFF)
		switch t := e[0]; mpegts.StreamType(t) {
		case mpegts.H264, mpegts.H265:
			video = max(video, pid)
		case mpegts.AAC, mpegts.MP3MPEG1, mpegts.MP3MPEG2:
			audio = max(audio, pid)
		case mpegts.ID3:
		default:
			if t != 0x86 && t != 0x05 && t != 0x06 { // SCTE-35, and private data
				l.foreign = append(l.foreign, t)
			}
		}
		e = e[min(5+int(binary.BigEndian.Uint16(e[3:])&0xFFF), len(e)):]
	}
	if l.lead = video; video < 0 {
		l.lead = audio
	}
}

// maxPCR is how far apart PCRs may be (ISO/IEC 13818-1 2.7.2), ticks.
const maxPCR = ingest.Clock / 10

// unfit says why a segment cannot be passed on as it came; empty: it can. before are the counters of the segment before it, nil where none is
// to be gone on from.
func (l *layout) unfit(before map[uint16]span) string {
	switch {
	case l.first != 0:
		return "its segments do not begin with a program association table"
	case l.pcr == 0 || l.pcrApart > maxPCR+ingest.Clock/1000:
		return "its segments have a PCR less often than every 100 ms"
	case l.lead >= 0 && !l.counters[uint16(l.lead)].random:
		return "its segments do not begin with a random access point that says so"
	case !l.delimited:
		return "its pictures do not begin with access unit delimiters"
	}
	for pid, c := range l.counters {
		if b, ok := before[pid]; ok && (b.last+1)&15 != c.first {
			return "its continuity counters begin anew with each segment"
		}
	}
	return ""
}

// same reports whether two segments have the same bytes.
func same(a, b *segment) bool { return a.sum == b.sum && len(a.packets) == len(b.packets) }
