package mpegts

import (
	"encoding/binary"
	"testing"
)

// FuzzMuxer lets data decide what arrives, in which order, and when. Whatever it is, the output is whole packets, each PID
// with its counter in step, and adaptation fields that fit.
func FuzzMuxer(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00begin\x01video with some text in it\x02audio\x03\x04\x05\x06\x07"))
	f.Add([]byte{0, 1, 255, 255, 255, 255, 255, 255, 255, 127, 40, 2, 1, 0, 0, 0, 0, 0, 0, 0, 128, 9, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 7, 5, 1, 3})
	long := newSource(3).bytes(3000)
	f.Add(long)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := newMuxer(t, Config{Video: H264, Audio: AAC, ASC: ascLC48})
		pool := new(Pool)
		bufs := []*Buffer{pool.Buffer()}
		b := bufs[0]
		take := func(n int) []byte {
			n = min(n, len(data))
			p := data[:n]
			data = data[n:]
			return p
		}
		number := func() int64 {
			var p [8]byte
			copy(p[:], take(8))
			return int64(binary.LittleEndian.Uint64(p[:]))
		}
		now := int64(0)
		units := func() (list [][]byte) {
			for _, n := range take(int(append(take(1), 0)[0] & 3)) {
				list = append(list, take(int(n)))
			}
			return list
		}
		for len(data) > 0 {
			switch op := take(1)[0]; op % 10 {
			case 0:
				m.Begin(b)
			case 1, 2:
				now += int64(op) * 300
				m.Video(b, VideoUnit{PTS: now + int64(op&64)*90, DTS: now, Units: units(), IDR: op&128 != 0, ParameterSets: [][]byte{sps264, pps264}})
			case 3:
				m.Video(b, VideoUnit{PTS: number(), DTS: number(), Units: units(), IDR: op&128 != 0, ParameterSets: units()})
			case 4, 5:
				now += int64(op) * 8
				m.Audio(b, now, take(int(append(take(1), 0)[0])))
			case 6:
				m.Audio(b, number(), make([]byte, int(op)<<6))
			case 7:
				m.FlushAudio(b)
			case 8:
				if op&16 != 0 {
					m.Away(Track(op >> 5 & 1))
					break
				}
				m.Discontinuity()
			case 9:
				c := Config{Video: []StreamType{0, H264, H265, 9}[op>>4&3], Audio: []StreamType{0, AAC, MP3MPEG1, 9}[op>>6], ASC: take(2)}
				if m.Reconfigure(c) != nil && op&1 == 0 {
					break
				}
				m.FlushAudio(b)
				b = pool.Buffer()
				bufs = append(bufs, b)
				m.Begin(b)
			}
		}
		m.FlushAudio(b)
		var out []byte
		for _, b := range bufs {
			out = append(out, bytesOf(b)...)
			if b.Len()%PacketSize != 0 {
				t.Fatalf("a buffer of %d bytes", b.Len())
			}
			b.Release()
		}
		checkPackets(t, out)
	})
}

// checkPackets checks what any sequence of packets must fulfil.
func checkPackets(t *testing.T, out []byte) {
	counters := map[uint16]byte{}
	for i := 0; len(out) > 0; i++ {
		p := out[:PacketSize]
		out = out[PacketSize:]
		pid := uint16(p[1]&0x1F)<<8 | uint16(p[2])
		if p[0] != 0x47 || p[1]&0xA0 != 0 || p[3]&0xC0 != 0 {
			t.Fatalf("packet %d: header % x", i, p[:4])
		}
		switch pid {
		case pidPAT, pidPMT, pidVideo, pidAudio:
		default:
			t.Fatalf("packet %d: PID %#x", i, pid)
		}
		body, carries := 4, p[3]&payload != 0
		if p[3]&adaptation != 0 {
			body += 1 + int(p[4])
			if body > PacketSize || carries && body == PacketSize || !carries && body != PacketSize {
				t.Fatalf("packet %d: adaptation field of %d bytes", i, p[4])
			}
			if p[4] > 0 && p[5]&0x10 != 0 && p[4] < 7 {
				t.Fatalf("packet %d: no room for its PCR", i)
			}
		} else if !carries {
			t.Fatalf("packet %d: empty", i)
		}
		last, seen := counters[pid]
		want := last
		if carries {
			want = (last + 1) & 15
		}
		if cc := p[3] & 15; seen && cc != want {
			t.Fatalf("packet %d of PID %#x: continuity counter %d after %d", i, pid, cc, last)
		}
		counters[pid] = p[3] & 15
		if p[1]&0x40 != 0 && pid >= pidVideo && pid <= pidAudio {
			if s := p[body:]; len(s) < 9 || s[0] != 0 || s[1] != 0 || s[2] != 1 || s[6] != 0x84 {
				t.Fatalf("packet %d: PES header % x", i, s[:min(9, len(s))])
			}
		}
	}
}
