package mpegts

import (
	"context"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/asticode/go-astits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	mc "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// benchFrame is an access unit of the benchmarks' clip: video where units is set.
type benchFrame struct {
	pts, dts int64
	idr      bool
	units    [][]byte
	audio    []byte
}

// benchClip is ten seconds of what an encoder sends at 6 Mb/s: 30 pictures a second with B-frames and a keyframe every
// two seconds, and AAC at 128 kb/s, interleaved by time.
func benchClip() (frames []benchFrame, size int64) {
	r := rand.New(rand.NewPCG(1, 2))
	fill := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		return p
	}
	audio := int64(0)
	for i := range 300 {
		f := benchFrame{dts: int64(i) * 3000, pts: int64(i+1+i%3) * 3000}
		n := []int{38000, 16000, 15000}[i%3]
		if f.idr = i%60 == 0; f.idr {
			n = 110000
			f.units = append(f.units, sps264, pps264)
		}
		nal := fill(n)
		nal[0] = 0x41
		if f.idr {
			nal[0] = 0x65
		}
		f.units = append(f.units, nal)
		for ; audio*1024*90000/48000 <= f.dts; audio++ {
			frames = append(frames, benchFrame{pts: audio * 1024 * 90000 / 48000, audio: fill(341)})
			size += 341
		}
		frames = append(frames, f)
		for _, u := range f.units {
			size += int64(len(u))
		}
	}
	return frames, size
}

func runMuxer(tb testing.TB, frames []benchFrame, pool *Pool) {
	m, err := NewMuxer(Config{Video: H264, Audio: AAC, ASC: ascLC48})
	if err != nil {
		tb.Fatal(err)
	}
	b := pool.Buffer()
	m.Begin(b)
	for i := range frames {
		f := &frames[i]
		if f.audio != nil {
			m.Audio(b, f.pts, f.audio)
			continue
		}
		if f.idr {
			m.FlushAudio(b)
			b.Release()
			b = pool.Buffer()
			m.Begin(b)
		}
		m.Video(b, VideoUnit{PTS: f.pts, DTS: f.dts, Units: f.units, IDR: f.idr})
	}
	m.FlushAudio(b)
	b.Release()
}

func runMediacommon(tb testing.TB, frames []benchFrame) {
	video := &mc.Track{Codec: &codecs.H264{}}
	audio := &mc.Track{Codec: &codecs.MPEG4Audio{Config: mpeg4audio.AudioSpecificConfig{
		Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2, ChannelCount: 2,
	}}}
	w := &mc.Writer{W: io.Discard, Tracks: []*mc.Track{video, audio}}
	if err := w.Initialize(); err != nil {
		tb.Fatal(err)
	}
	one := make([][]byte, 1)
	for i := range frames {
		f := &frames[i]
		var err error
		if f.audio != nil {
			one[0] = f.audio
			err = w.WriteMPEG4Audio(audio, f.pts, one)
		} else {
			err = w.WriteH264(video, f.pts, f.dts, f.units)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func runAstits(tb testing.TB, frames []benchFrame) {
	m := astits.NewMuxer(context.Background(), io.Discard)
	for pid, kind := range map[uint16]astits.StreamType{pidVideo: astits.StreamTypeH264Video, pidAudio: astits.StreamTypeAACAudio} {
		if err := m.AddElementaryStream(astits.PMTElementaryStream{ElementaryPID: pid, StreamType: kind}); err != nil {
			tb.Fatal(err)
		}
	}
	m.SetPCRPID(pidVideo)
	header := adts(tb, ascLC48)
	var data []byte
	for i := range frames {
		f := &frames[i]
		d := astits.MuxerData{PID: pidVideo, PES: &astits.PESData{Header: &astits.PESHeader{StreamID: 0xE0, OptionalHeader: &astits.PESOptionalHeader{
			MarkerBits: 2, PTSDTSIndicator: astits.PTSDTSIndicatorOnlyPTS, PTS: &astits.ClockReference{Base: f.pts},
		}}}}
		if f.audio != nil {
			d.PID, d.PES.Header.StreamID = pidAudio, 0xC0
			data = append(codec.AppendADTS(data[:0], header, len(f.audio)), f.audio...)
		} else {
			o := d.PES.Header.OptionalHeader
			o.PTSDTSIndicator, o.DTS = astits.PTSDTSIndicatorBothPresent, &astits.ClockReference{Base: f.dts}
			d.AdaptationField = &astits.PacketAdaptationField{Length: 7, HasPCR: true, PCR: &astits.ClockReference{Base: f.dts}, RandomAccessIndicator: f.idr}
			data = append(data[:0], 0, 0, 0, 1, 9, 0xF0)
			for _, u := range f.units {
				data = append(append(data, 0, 0, 0, 1), u...)
			}
		}
		d.PES.Data = data
		if _, err := m.WriteData(&d); err != nil {
			tb.Fatal(err)
		}
	}
}

// The three benchmarks write the same frames; the others discard their output, ours keeps it in pooled buffers.

func BenchmarkMuxer(b *testing.B) {
	frames, size := benchClip()
	pool := new(Pool)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		runMuxer(b, frames, pool)
	}
}

func BenchmarkMediacommon(b *testing.B) {
	frames, size := benchClip()
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		runMediacommon(b, frames)
	}
}

func BenchmarkAstits(b *testing.B) {
	frames, size := benchClip()
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		runAstits(b, frames)
	}
}

// TestFasterThanMediacommon guards a ratio, not a time: the best of several interleaved runs of each.
func TestFasterThanMediacommon(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("compares speeds: not with -short or -race")
	}
	const times = 5
	frames, _ := benchClip()
	pool := new(Pool)
	runMuxer(t, frames, pool)
	best := func(least *time.Duration, run func()) {
		start := time.Now()
		run()
		if d := time.Since(start); *least == 0 || d < *least {
			*least = d
		}
	}
	var ours, theirs time.Duration
	for range 10 {
		best(&ours, func() { runMuxer(t, frames, pool) })
		best(&theirs, func() { runMediacommon(t, frames) })
	}
	ratio := float64(theirs) / float64(ours)
	t.Logf("ours %v, mediacommon %v: %.1f times as fast", ours, theirs, ratio)
	if ratio < times {
		t.Errorf("%.1f times as fast as mediacommon, want %d", ratio, times)
	}
}
