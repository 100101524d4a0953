package fmp4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// stream is a segment of one PES packet for each picture, as another's muxer would write it.
type stream struct {
	b  []byte
	cc byte
}

// tables are those that our muxer writes.
func (s *stream) tables(t *testing.T, c mpegts.Config) {
	m, err := mpegts.NewMuxer(c)
	if err != nil {
		t.Fatal(err)
	}
	b := new(mpegts.Pool).Buffer()
	m.Begin(b)
	s.b = append(s.b, bytes.Join(pieces(b), nil)...)
}

// picture writes a PES packet. bound says its length in its header, and then others' bytes are behind it; stuffed puts that many bytes
// of stuffing into a packet in the middle.
func (s *stream) picture(dts int64, data []byte, bound bool, stuffed int) {
	stamp := func(prefix byte, t int64) []byte {
		return []byte{prefix | byte(t>>29)&0x0E | 1, byte(t >> 22), byte(t>>14) | 1, byte(t >> 7), byte(t<<1) | 1}
	}
	pes := []byte{0, 0, 1, 0xE0, 0, 0, 0x84, 0x80, 5}
	pes = append(append(pes, stamp(0x20, dts)...), data...)
	if bound {
		binary.BigEndian.PutUint16(pes[4:], uint16(len(pes)-6))
		pes = append(pes, bytes.Repeat([]byte{0, 0, 1, 0x65}, len(pes)%150)...)
	}
	for i := 0; len(pes) > 0; i++ {
		p := []byte{0x47, 1, 0, 0x10 | s.cc&15}
		s.cc++
		if i == 0 {
			p[1] |= 0x40
		}
		free := max(184-len(pes), 0)
		if i == 3 {
			free = max(free, stuffed)
		}
		if free > 0 {
			p[3] |= 0x20
			p = append(p, byte(free-1))
			for k := 1; k < free; k++ {
				p = append(p, []byte{0, 0xFF}[min(k-1, 1)])
			}
		}
		n := 188 - len(p)
		s.b = append(append(s.b, p...), pes[:n]...)
		pes = pes[n:]
	}
}

// pictures is a segment of pictures, and what their samples should be.
type pictures struct {
	stream
	count int
	want  [][]byte

	data, sample []byte // of the one in hand
}

// put adds a NAL unit behind some zeros. keep says that the sample has it.
func (p *pictures) put(zeros int, u []byte, keep bool) {
	p.data = append(append(append(p.data, make([]byte, zeros)...), 0, 0, 1), u...)
	if keep {
		p.sample = append(binary.BigEndian.AppendUint32(p.sample, uint32(len(u))), u...)
	}
}

// end ends the picture in hand.
func (p *pictures) end(bound bool, stuffed int) {
	p.picture(int64(p.count)*3000, p.data, bound, stuffed)
	p.want = append(p.want, p.sample)
	p.data, p.sample = nil, nil
	p.count++
}

// hold renders the segment from memory that another function cuts up.
func (p *pictures) hold(t *testing.T, r *Remuxer, piece func() int) {
	t.Helper()
	var list [][]byte
	for b := p.b; len(b) > 0; {
		n := min(piece()*188, len(b))
		list, b = append(list, bytes.Clone(b[:n])), b[n:]
	}
	v, _, err := render(r, list, Segment{Start: wall(), Duration: int64(p.count) * 3000})
	if err != nil {
		t.Fatal(err)
	}
	init, _ := inits(t, list)
	samples := parse(t, init, v.Data).samples
	if len(samples) != len(p.want) {
		t.Fatalf("%d pictures, want %d", len(samples), len(p.want))
	}
	for i, s := range samples {
		if !bytes.Equal(s.Data, p.want[i]) {
			t.Fatalf("picture %d has %d bytes, want %d: %s", i, len(s.Data), len(p.want[i]), difference(s.Data, p.want[i]))
		}
	}
}

// NAL units come out as they went in, and nothing between them, however long they and their start codes are, however the packets lie
// in memory, and whatever looks like a start code without being one.
func TestRemuxUnits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	unit := func(kind byte, n int) []byte {
		u := []byte{kind}
		for len(u) < n {
			switch r.IntN(12) {
			case 0:
				u = append(u, 0, 0, 3)
			case 1:
				u = append(u, 0, 1)
			case 2:
				u = append(u, 1, 0)
			default:
				u = append(u, byte(r.Uint32())|4)
			}
			for len(u) >= 3 && u[len(u)-1] <= 2 && u[len(u)-2] == 0 && u[len(u)-3] == 0 {
				u[len(u)-1] = 3
			}
		}
		u[len(u)-1] |= 4
		return u
	}
	var remuxer Remuxer
	for round := range 200 {
		var p pictures
		p.tables(t, mpegts.Config{Video: mpegts.H264})
		zeros := func() int { return r.IntN(2) * r.IntN(4) } // they are trailing, or make a start code longer
		for i := range 4 {
			if round%2 == 0 {
				p.put(1, []byte{9, 0xF0}, false)
			}
			if i == 0 {
				p.put(zeros(), sps264, false)
				p.put(zeros(), pps264, false)
			}
			if round%3 == 0 {
				p.put(zeros(), unit(0x65, 1+r.IntN(3000)), true)
			} else {
				for range 1 + r.IntN(30) {
					if p.put(zeros(), unit(0x65, 1+r.IntN(400)), true); r.IntN(9) == 0 {
						p.put(zeros(), sps264, false)
					}
				}
			}
			p.data = append(p.data, make([]byte, r.IntN(3))...)
			p.end(round%4 == 0, r.IntN(2)*r.IntN(100))
		}
		p.hold(t, &remuxer, func() int { return 1 + r.IntN(20) })
	}
}

// A start code is found wherever it lies against the packets' bounds, between bytes that are nothing like one.
func TestRemuxStartCodes(t *testing.T) {
	for zeros := range 2 {
		var p pictures
		p.tables(t, mpegts.Config{Video: mpegts.H264})
		for n := range 3 * 188 {
			if n == 0 {
				p.put(1, sps264, false)
				p.put(1, pps264, false)
			}
			p.put(1, bytes.Repeat([]byte{0x66}, 1+n), true)
			p.put(zeros, bytes.Repeat([]byte{0x65}, 700), true)
			p.end(false, 0)
		}
		p.hold(t, new(Remuxer), func() int { return 300 })
	}
}

// difference tells where two slices differ first.
func difference(a, b []byte) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("%x differs from %x at %d", a[i:min(i+8, len(a))], b[i:min(i+8, len(b))], i)
}
