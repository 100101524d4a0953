package mpegts

import (
	"bytes"
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
