package mpegts

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

var update = flag.Bool("update", false, "write the golden files anew")

// scenario is a stream to make up.
type scenario struct {
	config   Config
	seed     uint64
	start    int64 // DTS of the first picture
	interval int64 // ticks between pictures
	gop      int   // pictures per IDR, and per segment
	pictures int   // in an audio-only stream: the length, in intervals
	reorder  bool
	maxUnit  int // bytes
	frame    int64
	maxFrame int   // bytes
	skew     int64 // by how much audio comes later than video of its time
	inBand   bool  // parameter sets are in the units
}

// sent is what went into a muxer.
type sent struct {
	pts, dts int64
	data     []byte
	idr      bool
}

// play muxes a scenario into one buffer per segment, with the last audio of a segment arriving after the next has begun.
// It returns the segments, and what a demuxer should find in all of them together.
func (s scenario) play(t testing.TB) (segments [][]byte, video, audio []sent) {
	m, r, pool := newMuxer(t, s.config), newSource(s.seed), new(Pool)
	stream := s.config.Video
	sets := [][]byte{sps264, pps264}
	aud := aud264
	if stream == H265 {
		sets, aud = [][]byte{vps265, sps265, pps265}, aud265
	}
	b, next := pool.Buffer(), s.start
	var old *Buffer
	m.Begin(b)
	sound := func(until int64, to *Buffer) {
		for ; s.config.Audio != 0 && next < until; next += s.frame {
			n := 8 + r.IntN(s.maxFrame-7)
			frame := r.bytes(n)
			var data []byte
			if s.config.Audio == AAC {
				data = append(codec.AppendADTS(nil, adts(t, s.config.ASC), n), frame...)
			} else {
				frame = r.mp3(n, s.config.Audio == MP3MPEG2)
				data = bytes.Clone(frame)
			}
			pts := next + int64(r.IntN(181)) - 90 // an encoder that rounds to milliseconds
			m.Audio(to, pts, frame)
			audio = append(audio, sent{pts: pts, data: data})
			for i := range frame {
				frame[i] = 0 // it was only borrowed
			}
		}
	}
	closeSegment := func(b *Buffer) {
		m.FlushAudio(b)
		segments = append(segments, bytesOf(b))
		b.Release()
	}
	for i := range s.pictures {
		dts := s.start + int64(i)*s.interval
		if i > 0 && i%s.gop == 0 {
			old, b = b, pool.Buffer()
			m.Begin(b)
		}
		if stream != 0 {
			v := VideoUnit{DTS: dts, PTS: dts, IDR: i%s.gop == 0, ParameterSets: sets}
			if s.reorder {
				v.PTS += int64(1+i%3) * s.interval
			}
			var want [][]byte
			if v.IDR {
				want = append(want, sets...)
				if s.inBand {
					v.Units = append(v.Units, sets...)
				}
			}
			v.Units = append(v.Units, aud)
			for range 1 + r.IntN(4) {
				u := r.nal(stream, 2+r.IntN(s.maxUnit), v.IDR)
				v.Units, want = append(v.Units, u, nil), append(want, u)
			}
			m.Video(b, v)
			video = append(video, sent{pts: v.PTS, dts: dts, data: annexB(stream, want...), idr: v.IDR})
		}
		if old != nil { // audio of before the cut
			sound(dts, old)
			closeSegment(old)
			old = nil
		}
		sound(dts-s.skew+s.interval, b)
	}
	closeSegment(b)
	if n := m.Stats().AudioDropped.Load() + m.Stats().AudioLate.Load() + m.Stats().VideoDropped.Load() + m.Stats().PCRReset.Load(); n != 0 {
		t.Errorf("%d complaints about a stream that is right", n)
	}
	return segments, video, audio
}

// verify checks a scenario with the independent demuxer.
func (s scenario) verify(t *testing.T) {
	t.Helper()
	segments, video, audio := s.play(t)
	for i, seg := range segments {
		first := seg[2*PacketSize:]
		if seg[1] != 0x40 || seg[2] != 0 || seg[PacketSize+1] != 0x50 || seg[PacketSize+2] != 0 {
			t.Fatalf("segment %d does not begin with PAT and PMT: % x", i, seg[:4])
		}
		pid := uint16(first[1]&0x1F)<<8 | uint16(first[2])
		if want := map[bool]uint16{true: pidAudio, false: pidVideo}[s.config.Video == 0]; pid != want || first[1]&0x40 == 0 ||
			first[3]&adaptation == 0 || first[5]&0x50 != 0x50 {
			t.Fatalf("segment %d: no random access with a PCR on PID %#x after the tables: % x", i, want, first[:12])
		}
	}
	in := inspect(t, bytes.Join(segments, nil))
	checkSpacing(t, in.pcrs)
	if len(in.video) != len(video) {
		t.Fatalf("%d pictures, want %d", len(in.video), len(video))
	}
	for i, want := range video {
		got := in.video[i]
		if got.pts != int64(wire(want.pts)) || got.dts != int64(wire(want.dts)) || got.hasDTS != (want.pts != want.dts) {
			t.Fatalf("picture %d: PTS %d DTS %d (%v), want %d and %d", i, got.pts, got.dts, got.hasDTS, wire(want.pts), wire(want.dts))
		}
		if !bytes.Equal(got.data, want.data) || got.length != 0 {
			t.Fatalf("picture %d: %d bytes (announced %d) differ from the %d sent", i, len(got.data), got.length, len(want.data))
		}
		if got.randomAccess != want.idr {
			t.Fatalf("picture %d: random access %v", i, got.randomAccess)
		}
	}
	at := 0
	for i, got := range in.audio {
		if at == len(audio) || got.pts != int64(wire(audio[at].pts)) || got.hasDTS {
			t.Fatalf("audio PES %d: PTS %d does not belong to frame %d", i, got.pts, at)
		}
		if got.length != len(got.data)+8 {
			t.Fatalf("audio PES %d: %d bytes announced, %d found", i, got.length, len(got.data)+8)
		}
		begin := audio[at].pts
		for rest := got.data; len(rest) > 0; at++ {
			if at == len(audio) || !bytes.HasPrefix(rest, audio[at].data) {
				t.Fatalf("audio PES %d: differs from frame %d", i, at)
			}
			if span := audio[at].pts + s.frame - begin; at > 0 && span > audioSpan+270 && span > s.frame+270 {
				t.Fatalf("audio PES %d: covers %d ticks", i, span)
			}
			rest = rest[len(audio[at].data):]
		}
	}
	if at != len(audio) {
		t.Fatalf("%d audio frames, want %d", at, len(audio))
	}
}

const wrap = 1 << 33

func scenarios() map[string]scenario {
	av := Config{Video: H264, Audio: AAC, ASC: ascLC48}
	list := map[string]scenario{
		"h264-aac":      {config: av, interval: 3600, gop: 10, pictures: 30, reorder: true, maxUnit: 900, frame: 1920, maxFrame: 300},
		"h265-aac":      {config: Config{Video: H265, Audio: AAC, ASC: ascLC44}, interval: 3003, gop: 12, pictures: 30, reorder: true, maxUnit: 700, frame: 2089, maxFrame: 200, inBand: true},
		"h264-mp3":      {config: Config{Video: H264, Audio: MP3MPEG1}, interval: 3000, gop: 15, pictures: 30, maxUnit: 500, frame: 2351, maxFrame: 417},
		"h264-only":     {config: Config{Video: H264}, interval: 1500, gop: 20, pictures: 50, maxUnit: 300},
		"aac-only":      {config: Config{Audio: AAC, ASC: ascLC48}, interval: 9600, gop: 10, pictures: 30, frame: 1920, maxFrame: 300},
		"he-aac-only":   {config: Config{Audio: AAC, ASC: ascHE48}, interval: 9600, gop: 10, pictures: 30, frame: 3840, maxFrame: 200},
		"mp3-only":      {config: Config{Audio: MP3MPEG2}, interval: 9600, gop: 10, pictures: 30, frame: 2351, maxFrame: 209},
		"aac-8khz-only": {config: Config{Audio: AAC, ASC: []byte{0x15, 0x88}}, interval: 9600, gop: 10, pictures: 30, frame: 11520, maxFrame: 200},
		"5fps":          {config: av, interval: 18000, gop: 5, pictures: 20, maxUnit: 900, frame: 1920, maxFrame: 300, reorder: true},
		"1fps":          {config: av, interval: 90000, gop: 2, pictures: 8, maxUnit: 900, frame: 1920, maxFrame: 300},
		"0.2fps":        {config: Config{Video: H264}, interval: 450000, gop: 1, pictures: 4, maxUnit: 900},
		"late-audio":    {config: av, interval: 3600, gop: 25, pictures: 75, maxUnit: 2000, frame: 1920, maxFrame: 400, skew: 9000},
		"wrap":          {config: av, start: wrap - Offset - 40000, interval: 3600, gop: 10, pictures: 40, reorder: true, maxUnit: 900, frame: 1920, maxFrame: 300},
		"negative":      {config: av, start: -45000, interval: 3600, gop: 10, pictures: 20, maxUnit: 900, frame: 1920, maxFrame: 300},
		"far-on":        {config: av, start: 5*wrap + 77, interval: 3600, gop: 10, pictures: 20, maxUnit: 900, frame: 1920, maxFrame: 300},
		"large":         {config: av, interval: 3600, gop: 4, pictures: 8, maxUnit: 200000, frame: 1920, maxFrame: maxAudioFrame},
	}
	for i, n := range []int{3000, 1800, 6006, 9000, 9090} {
		list[fmt.Sprintf("interval-%d", n)] = scenario{config: av, seed: uint64(i), interval: int64(n), gop: 7, pictures: 60, reorder: i%2 == 0, maxUnit: 600, frame: 1920, maxFrame: 350}
	}
	return list
}

func TestStreams(t *testing.T) {
	for name, s := range scenarios() {
		t.Run(name, s.verify)
	}
}

func TestRandomStreams(t *testing.T) {
	audio := []Config{{}, {Audio: AAC, ASC: ascLC48}, {Audio: AAC, ASC: ascHE48}, {Audio: MP3MPEG1}, {Audio: MP3MPEG2}}
	frame := []int64{1, 1920, 3840, 2351, 2351}
	r := newSource(99)
	for i := range 60 {
		k := r.IntN(len(audio))
		c := audio[k]
		if c.Video = []StreamType{0, H264, H265}[r.IntN(3)]; c.Video == 0 && c.Audio == 0 {
			c.Video = H264
		}
		s := scenario{
			config: c, seed: uint64(i), start: r.Int64N(4*wrap) - wrap, interval: 1500 + r.Int64N(20000), gop: 1 + r.IntN(40),
			pictures: 1 + r.IntN(80), reorder: r.IntN(2) == 0, maxUnit: 1 + r.IntN(3000), frame: frame[k],
			maxFrame: 100 + r.IntN(700), skew: r.Int64N(9000), inBand: r.IntN(2) == 0,
		}
		if c.Video == 0 { // a segment needs a frame, and no frame comes before its segment
			s.interval, s.gop, s.skew = max(s.interval, frame[k]), max(s.gop, 2), 0
		}
		t.Run(fmt.Sprint(i), s.verify)
	}
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"h264-aac", "h265-aac", "h264-mp3", "aac-only", "5fps", "wrap"} {
		t.Run(name, func(t *testing.T) {
			s := scenarios()[name]
			s.pictures, s.maxUnit = min(s.pictures, 2*s.gop), min(s.maxUnit, 250)
			segments, _, _ := s.play(t)
			got := bytes.Join(segments, nil)
			file := filepath.Join("testdata", name+".ts")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				at := 0
				for at < min(len(got), len(want)) && got[at] == want[at] {
					at++
				}
				t.Errorf("%d bytes, want %d; packet %d is the first that differs (run with -update if that is meant)", len(got), len(want), at/PacketSize)
			}
		})
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	for name, c := range map[string]Config{
		"video and audio": {Video: H264, Audio: AAC, ASC: ascLC48},
		"H.265 and MP3":   {Video: H265, Audio: MP3MPEG1},
		"audio only":      {Audio: AAC, ASC: ascLC48},
	} {
		m, r, pool := newMuxer(t, c), newSource(1), new(Pool)
		b := pool.Buffer()
		for range 4000 { // all that one segment will need
			b.Packet()
		}
		b.Release()
		b = pool.Buffer()
		units := [][]byte{r.nal(H264, 9000, false)}
		idr := [][]byte{r.nal(H264, 30000, true)}
		sets := [][]byte{sps264, pps264}
		frame := r.mp3(400, false)
		m.Begin(b)
		i := int64(0)
		b.chunks = make([]*chunk, 0, 64) // the list of chunks is the segment's, not the access unit's
		allocs := testing.AllocsPerRun(50, func() {
			v := VideoUnit{PTS: i*3000 + 6000, DTS: i * 3000, Units: units, ParameterSets: sets}
			if i%20 == 0 {
				v.IDR, v.Units = true, idr
			}
			if c.Video != 0 {
				m.Video(b, v)
			}
			m.Audio(b, i*3840, frame)
			m.Audio(b, i*3840+1920, frame)
			i++
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations per picture", name, allocs)
		}
		b.Release()
	}
}
