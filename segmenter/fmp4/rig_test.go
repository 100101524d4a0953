package fmp4

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Parameter sets as encoders write them, and the AudioSpecificConfigs of stereo AAC.
var (
	sps264  = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}
	pps264  = []byte{0x68, 0xee, 0x3c, 0x80}
	ascLC48 = []byte{0x11, 0x90}
	ascHE48 = []byte{0x13, 0x10} // core at 24 kHz
)

// frame is an access unit of a clip: video where units is set.
type frame struct {
	pts, dts int64
	idr      bool
	units    [][]byte
	audio    []byte
}

// clip is what an encoder sends at 6 Mb/s: 30 pictures a second with B-frames and a keyframe every two seconds, and AAC at 128
// kb/s, interleaved by time, from a DTS on.
func clip(seconds int, from int64) (frames []frame) {
	r := rand.New(rand.NewPCG(1, 2))
	fill := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		for i := 2; i < len(p); i++ { // as emulation prevention does
			if p[i-2] == 0 && p[i-1] == 0 && p[i] < 4 {
				p[i] = 4
			}
		}
		p[len(p)-1] |= 1
		return p
	}
	audio := int64(0)
	for i := range seconds * 30 {
		f := frame{dts: from + int64(i)*3000, pts: from + int64(i+1+i%3)*3000}
		n := []int{38000, 16000, 15000}[i%3]
		if f.idr = i%60 == 0; f.idr {
			n = 110000
		}
		nal := fill(n)
		nal[0] = 0x41
		if f.idr {
			nal[0] = 0x65
		}
		f.units = append(f.units, nal)
		frames = append(frames, f)
		for ; audio*1024*90000/48000 <= int64(i)*3000; audio++ {
			frames = append(frames, frame{pts: from + audio*1024*90000/48000, audio: fill(341)})
		}
	}
	return frames
}

// muxed is a clip as segments, each of which begins with a keyframe.
func muxed(tb testing.TB, frames []frame, c mpegts.Config) (segments []*mpegts.Buffer) {
	tb.Helper()
	m, err := mpegts.NewMuxer(c)
	if err != nil {
		tb.Fatal(err)
	}
	pool := new(mpegts.Pool)
	var b *mpegts.Buffer
	for i := range frames {
		f := &frames[i]
		if f.idr || b == nil {
			if b != nil {
				m.FlushAudio(b)
			}
			b = pool.Buffer()
			segments = append(segments, b)
			m.Begin(b)
		}
		if f.audio != nil {
			m.Audio(b, f.pts, f.audio)
		} else {
			m.Video(b, mpegts.VideoUnit{PTS: f.pts, DTS: f.dts, Units: f.units, IDR: f.idr, ParameterSets: [][]byte{sps264, pps264}})
			if c.ID3 {
				m.Metadata(b, f.pts, bytes.Repeat([]byte("ID3"), 100))
			}
		}
	}
	m.FlushAudio(b)
	return segments
}

// both is a program of H.264 and AAC.
func both() mpegts.Config {
	return mpegts.Config{Video: mpegts.H264, Audio: mpegts.AAC, ASC: ascLC48}
}

// pieces are the bytes of a segment in pieces as they lie in memory, which does not end with the buffer.
func pieces(b *mpegts.Buffer) (list [][]byte) {
	for _, p := range b.Slices(nil) {
		list = append(list, bytes.Clone(p))
	}
	runtime.KeepAlive(b)
	return list
}

// render renders a segment into memory of its own.
func render(r *Remuxer, pieces [][]byte, s Segment) (video, audio Track, err error) {
	out, t, err := r.Remux([]byte("before"), pieces, s)
	if !bytes.HasPrefix(out, []byte("before")) {
		return t.Video, t.Audio, errors.New("what was in the buffer is not there any more")
	}
	return t.Video, t.Audio, err
}

// parsed is a file as another's reader has it.
type parsed struct {
	file    *mp4.File
	samples []mp4.FullSample
}

// parse reads init and fragments with another's reader.
func parse(tb testing.TB, init []byte, fragments ...[]byte) parsed {
	tb.Helper()
	all := append(bytes.Clone(init), bytes.Join(fragments, nil)...)
	f, err := mp4.DecodeFile(bytes.NewReader(all))
	if err != nil {
		tb.Fatal(err)
	}
	p := parsed{file: f}
	for _, s := range f.Segments {
		for _, fr := range s.Fragments {
			samples, err := fr.GetFullSamples(f.Init.Moov.Mvex.Trex)
			if err != nil {
				tb.Fatal(err)
			}
			p.samples = append(p.samples, samples...)
		}
	}
	var again bytes.Buffer
	if err := f.Encode(&again); err != nil {
		tb.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), all) {
		tb.Error("another's writer writes other bytes of what its reader read")
	}
	return p
}

// inits are the init segments of a segment.
func inits(tb testing.TB, segment [][]byte) (video, audio []byte) {
	tb.Helper()
	h, err := new(Remuxer).Head(segment)
	if err != nil {
		tb.Fatal(err)
	}
	if h.Video != nil {
		video = AppendVideoInit(nil, h.Video)
	}
	if h.Audio != nil {
		audio = AppendAudioInit(nil, *h.Audio)
	}
	return video, audio
}

// tool runs a program, and skips the test where there is none.
func tool(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, bad bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, bad.Bytes())
	}
	if bad.Len() > 0 {
		t.Errorf("%s %v says %s", name, args, bad.Bytes())
	}
	return out.Bytes()
}
