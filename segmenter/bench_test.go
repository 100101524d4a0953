package segmenter

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// BenchmarkWriteFrame is one video frame of 25 kB and the audio that goes with it, cut, muxed, rendered and all: without parts, and
// with parts that nobody asks for.
func BenchmarkWriteFrame(b *testing.B) {
	for _, low := range []bool{false, true} {
		b.Run(fmt.Sprintf("low=%v", low), func(b *testing.B) { benchmarkFrames(b, low) })
	}
}

func benchmarkFrames(b *testing.B, low bool) {
	now := start
	reg := NewRegistry(Options{Apps: map[string]AppOptions{"live": {SegmentDuration: 2 * time.Second, Window: 20 * time.Second, LowLatency: low}}, Now: func() time.Time { return now }})
	s, err := reg.Publish(context.Background(), ingest.Announce{App: "live", Stream: "cam", Cancel: func(error) {}})
	if err != nil {
		b.Fatal(err)
	}
	e := newEncoder(nil, s)
	unit := append([]byte{0x41}, bytes.Repeat([]byte{1}, 25000)...)
	video := ingest.Frame{Track: e.video, Units: [][]byte{unit}}
	audio := ingest.Frame{Track: e.audio, Key: true, Units: [][]byte{make([]byte, 340)}}
	b.ReportAllocs()
	b.SetBytes(int64(len(unit)) + 2*340)
	for i := range b.N {
		video.Key = i%60 == 0
		unit[0] = 0x41
		if video.Key {
			unit[0] = 0x65
		}
		dts := int64(i) * Clock / 30
		now = now.Add(time.Second / 30)
		video.DTS, video.PTS, video.Arrival, audio.Arrival = dts, dts+6000, now, now
		for k := range int64(2) {
			audio.DTS = dts + k*1500
			audio.PTS = audio.DTS
			_ = s.WriteFrame(&audio)
		}
		_ = s.WriteFrame(&video)
	}
}

// BenchmarkPublish is what a cut costs beyond its frames, by the length of the window and of the recording.
func BenchmarkPublish(b *testing.B) {
	for _, tc := range []struct {
		window time.Duration
		before int // segments in the recording so far
	}{{20 * time.Second, 0}, {60 * time.Second, 0}, {60 * time.Second, 43200}, {time.Hour, 1800}} {
		b.Run(fmt.Sprintf("window=%v/before=%d", tc.window, tc.before), func(b *testing.B) {
			now := start
			reg := NewRegistry(Options{Apps: map[string]AppOptions{"live": {SegmentDuration: 2 * time.Second, Window: tc.window}}, Now: func() time.Time { return now }})
			s, err := reg.Publish(context.Background(), ingest.Announce{App: "live", Stream: "cam", Cancel: func(error) {}})
			if err != nil {
				b.Fatal(err)
			}
			e := newEncoder(nil, s)
			frame := ingest.Frame{Track: e.video, Key: true, Units: [][]byte{append([]byte{0x65}, make([]byte, 100)...)}}
			step := func(i int) {
				frame.DTS = int64(i) * 2 * Clock
				frame.PTS = frame.DTS
				now = now.Add(2 * time.Second)
				frame.Arrival = now
				_ = s.WriteFrame(&frame)
			}
			for i := range tc.before {
				step(i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				step(tc.before + i)
			}
		})
	}
}
