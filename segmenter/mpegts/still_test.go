package mpegts

import (
	"bytes"
	"slices"
	"testing"
)

// TestStill puts stills between two segments and has the demuxer that is not ours read the whole.
func TestStill(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  Config
		picture int // bytes of a keyframe
	}{
		{"picture and sound", Config{Video: H264, Audio: AAC, ASC: ascLC48}, 40_000},
		{"a small picture", Config{Video: H264, Audio: AAC, ASC: ascLC48}, 20},
		{"H.265", Config{Video: H265, Audio: MP3MPEG1}, 2900},
		{"picture alone", Config{Video: H264}, 3000},
		{"sound alone", Config{Audio: AAC, ASC: ascLC48}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, m, pool := newSource(3), newMuxer(t, c.config), new(Pool)
			segment := func(n int64) *Buffer {
				b := pool.Buffer()
				m.Begin(b)
				for i := range int64(50) {
					at := n*180000 + i*3600
					if c.config.Video != 0 {
						size := 600
						if i == 0 {
							size = c.picture
						}
						m.Video(b, VideoUnit{PTS: at + 7200, DTS: at, IDR: i == 0, Units: [][]byte{r.nal(c.config.Video, size, i == 0)}})
					}
					switch {
					case c.config.Audio == AAC:
						for k := range int64(2) {
							m.Audio(b, at+k*1920, r.bytes(200))
						}
					case c.config.Audio != 0:
						m.Audio(b, at, r.mp3(417, false))
					}
				}
				m.FlushAudio(b)
				return b
			}
			first := segment(0)
			whole := first.bytes()
			for n := int64(1); n <= 3; n++ {
				b := pool.Buffer()
				if !Still(b, first, n*180000) {
					t.Fatal("there is none")
				}
				if size := b.Len(); size > c.picture*2+16_000 {
					t.Errorf("%d bytes", size)
				}
				one := inspect(t, b.bytes())
				want := inspect(t, first.bytes())
				if len(one.pmt) == 0 || len(one.pcrs) != 1 || one.pcrs[0] != want.pcrs[0]+n*180000 {
					t.Errorf("%d tables, PCR %v", len(one.pmt), one.pcrs)
				}
				for _, x := range []struct {
					name      string
					got, want []pesUnit
				}{{"picture", one.video, want.video}, {"sound", one.audio, want.audio}} {
					if len(x.want) == 0 {
						if len(x.got) != 0 {
							t.Errorf("%s from nowhere", x.name)
						}
						continue
					}
					w := x.want[0]
					w.pts += n * 180000
					w.dts += n * 180000
					if len(x.got) != 1 {
						t.Fatalf("%d units of %s", len(x.got), x.name)
					}
					g := x.got[0]
					if !bytes.Equal(g.data, w.data) {
						t.Errorf("%s has %d bytes, want %d", x.name, len(g.data), len(w.data))
					}
					if g.pts != w.pts || g.dts != w.dts || g.hasDTS != w.hasDTS || g.randomAccess != w.randomAccess || g.pcr != w.pcr {
						t.Errorf("%s at %d and %d, random access %v, PCR %v; want %d and %d, %v, %v",
							x.name, g.pts, g.dts, g.randomAccess, g.pcr, w.pts, w.dts, w.randomAccess, w.pcr)
					}
				}
				for _, x := range []struct {
					b     *Buffer
					still bool
				}{{b, true}, {first, false}} {
					if info, err := Scan(bytes.NewReader(x.b.bytes())); err != nil || info.Still() != x.still {
						t.Errorf("a still is told as %v: %+v, %v", !x.still, info, err)
					}
				}
				whole = append(whole, b.bytes()...)
			}
			inspect(t, append(whole, segment(4).bytes()...))
		})
	}
}

func TestStillOfNothing(t *testing.T) {
	m, pool := newMuxer(t, Config{Video: H264}), new(Pool)
	b := pool.Buffer()
	m.Begin(b)
	if dst := pool.Buffer(); Still(dst, b, 90000) || dst.Len() != 0 {
		t.Errorf("%d bytes of tables alone", dst.Len())
	}
}

func (b *Buffer) bytes() []byte { return bytesOf(b) }

// TestStillOfOtherPIDs: segments that another packed have other PIDs. What stands in for them has theirs.
func TestStillOfOtherPIDs(t *testing.T) {
	r, m, pool := newSource(3), newMuxer(t, Config{Video: H264, Audio: AAC, ASC: ascLC48}), new(Pool)
	b := pool.Buffer()
	m.Begin(b)
	for i := range int64(10) {
		m.Video(b, VideoUnit{PTS: i*3600 + 7200, DTS: i * 3600, IDR: i == 0, Units: [][]byte{r.nal(H264, 900, i == 0)}})
		m.Audio(b, i*3600, r.bytes(200))
	}
	m.FlushAudio(b)
	raw := b.bytes()
	to := map[uint16]uint16{pidPMT: 0x1E0, pidVideo: 0x1E1, pidAudio: 0x1E2}
	swap := func(p []byte) {
		v := uint16(p[0])<<8 | uint16(p[1])
		if n, ok := to[v&0x1FFF]; ok {
			p[0], p[1] = byte(v>>8)&0xE0|byte(n>>8), byte(n)
		}
	}
	for at := 0; at < len(raw); at += PacketSize {
		p := raw[at : at+PacketSize]
		pid := uint16(p[1]&0x1F)<<8 | uint16(p[2])
		switch pid {
		case pidPAT:
			swap(p[5+10:])
		case pidPMT:
			swap(p[5+8:])
			swap(p[5+13:])
			swap(p[5+18:])
		}
		swap(p[1:])
	}
	other := pool.Buffer()
	other.Append(raw)
	dst := pool.Buffer()
	if !Still(dst, other, 90000) {
		t.Fatal("nothing stands in for it")
	}
	var got []uint16
	for at, body := 0, dst.bytes(); at < len(body); at += PacketSize {
		pid := uint16(body[at+1]&0x1F)<<8 | uint16(body[at+2])
		if n := len(got); n == 0 || got[n-1] != pid {
			got = append(got, pid)
		}
	}
	if want := []uint16{0, 0x1E0, 0x1E1, 0x1E2}; !slices.Equal(got, want) {
		t.Errorf("PIDs %x, want %x", got, want)
	}
}
