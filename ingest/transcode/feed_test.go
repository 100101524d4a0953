package transcode

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

var (
	testVideo = &ingest.Track{Codec: ingest.H264}
	testAudio = &ingest.Track{Codec: ingest.AAC}
)

// picture is frame n of a stream with a keyframe every fifth, a second apart.
func picture(n, size int) *ingest.Frame {
	return &ingest.Frame{Track: testVideo, PTS: int64(n) * ingest.Clock, DTS: int64(n) * ingest.Clock, Key: n%5 == 0, Units: [][]byte{make([]byte, size)}}
}

// TestFeedLimits fills a feed up to each of its limits: what remains are whole GOPs of five pictures.
func TestFeedLimits(t *testing.T) {
	for name, o := range map[string]Options{
		"bytes":  {MaxBytes: 1250},
		"frames": {MaxFrames: 12},
		"lag":    {MaxLag: 11 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if o.MaxLag == 0 {
				o.MaxLag = time.Hour
			}
			var stats Stats
			o = o.withDefaults()
			f := newFeed(&o, &stats)
			for n := range 23 {
				f.offer(picture(n, 100))
			}
			if _, gops, _ := f.load(); len(f.q) != 10 || f.bytes != 1000 || gops != 3 || stats.DroppedGOPs.Load() != 3 || stats.DroppedFrames.Load() != 13 {
				t.Fatalf("%d packets, %d bytes, %d groups and %d frames dropped", len(f.q), f.bytes, gops, stats.DroppedFrames.Load())
			}
			for n := range 10 {
				if p, ok := f.take(nil); !ok || p.dts != int64(n)*ingest.Clock {
					t.Fatalf("packet %d is of %d", n, p.dts)
				}
			}
			f.offer(picture(23, 100))
			f.offer(picture(24, 100))
			f.offer(picture(25, 100))
			if p, _ := f.take(nil); p.dts != 25*ingest.Clock || f.bytes != 0 {
				t.Errorf("it goes on with %d instead of a keyframe", p.dts/ingest.Clock)
			}
		})
	}
}

// TestFeedCutsWhatWasBegun fills a feed with one long GOP: what was taken of it stays, the rest is dropped up to a keyframe.
func TestFeedCutsWhatWasBegun(t *testing.T) {
	var stats Stats
	o := Options{MaxFrames: 4}.withDefaults()
	f := newFeed(&o, &stats)
	f.offer(picture(0, 1))
	if p, _ := f.take(nil); !p.keyframe() {
		t.Fatal("no keyframe")
	}
	f.offer(picture(1, 1))
	f.offer(&ingest.Frame{Track: testAudio, Units: [][]byte{{1}}, Key: true})
	f.offer(picture(2, 1))
	f.offer(picture(3, 1))
	f.offer(picture(4, 1))
	if len(f.q) != 4 || !f.skip {
		t.Errorf("%d packets, skipping: %v", len(f.q), f.skip)
	}
	f.offer(picture(5, 1)) // not half empty yet
	if len(f.q) != 4 || stats.DroppedGOPs.Load() != 2 {
		t.Errorf("%d packets, %d groups dropped", len(f.q), stats.DroppedGOPs.Load())
	}
}

func TestFeedPauseAndEnd(t *testing.T) {
	var stats Stats
	o := Options{}.withDefaults()
	f := newFeed(&o, &stats)
	f.offer(picture(0, 10))
	f.pause()
	f.offer(picture(5, 10))
	f.resume()
	f.offer(picture(6, 10))
	f.offer(picture(10, 10))
	f.offer(picture(11, 0)) // empty
	f.close(ingest.ErrUnpublished)
	f.close(ingest.ErrShutdown)
	f.offer(picture(15, 10))
	if p, ok := f.take(nil); !ok || p.dts != 10*ingest.Clock {
		t.Errorf("taken: %v", p)
	}
	if _, ok := f.take(nil); ok || f.cause != ingest.ErrUnpublished || stats.DroppedGOPs.Load() != 0 {
		t.Error("it does not end, or not with the first cause")
	}
	quit := make(chan struct{})
	close(quit)
	if _, ok := newFeed(&o, &stats).take(quit); ok {
		t.Error("quit does not end a wait")
	}
}

func TestHole(t *testing.T) {
	const second = ingest.Clock
	for _, tt := range []struct {
		step, usual int64
		want        bool
	}{{second, second / 25, true}, {second, 0, false}, {second, second, false}, {2 * second, second, false}, {4 * second, second, true}, {second / 10, second / 60, false}} {
		if hole(tt.step, tt.usual) != tt.want {
			t.Errorf("a step of %d ticks after one of %d", tt.step, tt.usual)
		}
	}
}

// BenchmarkOffer measures what a picture of 20 KB costs the goroutine that reads the socket.
func BenchmarkOffer(b *testing.B) {
	var stats Stats
	o := Options{MaxLag: 1000 * time.Hour}.withDefaults()
	f := newFeed(&o, &stats)
	p := picture(0, 20_000)
	b.ReportAllocs()
	for b.Loop() {
		f.offer(p)
		f.pop()
	}
}

// TestFeedDrawsOnTheMemory holds that what waits is counted, that it is dropped where there is no memory for it, and that all is given back.
func TestFeedDrawsOnTheMemory(t *testing.T) {
	var stats Stats
	memory := ingest.NewMemory(2400) // of which half is for what waits
	o := Options{Memory: memory, MaxLag: time.Hour}.withDefaults()
	f, line := newFeed(&o, &stats), audioLine{memory: memory}
	for n := range 23 {
		f.offer(picture(n, 100))
	}
	if len(f.q) != 10 || memory.Used() != 1000 || stats.DroppedFrames.Load() != 13 {
		t.Errorf("%d packets wait, %d bytes are used, %d frames dropped", len(f.q), memory.Used(), stats.DroppedFrames.Load())
	}
	if slow, short := stats.DroppedGOPs.Load(), stats.StarvedGOPs.Load(); slow != 0 || short != 3 {
		t.Errorf("%d groups are dropped for want of memory, and %d because the transcoder is slow", short, slow)
	}
	for range 10 {
		f.take(nil)
	}
	if memory.Used() != 0 {
		t.Errorf("%d bytes are used by what was taken", memory.Used())
	}
	f.offer(picture(25, 100))
	sound := ingest.Frame{Track: testAudio, Key: true, Units: [][]byte{make([]byte, 1)}}
	for range 3 {
		f.offer(&sound)
	}
	f.take(nil)
	for range 2 {
		p, _ := f.take(nil)
		line.add(p)
	}
	if memory.Used() != 3 {
		t.Errorf("%d bytes are used by sound that waits for pictures", memory.Used())
	}
	for range audioFrames {
		f.offer(&sound)
		p, _ := f.take(nil)
		line.add(p)
	}
	if memory.Used() != audioFrames+1 {
		t.Errorf("%d bytes are used", memory.Used())
	}
	f.close(nil)
	f.drop()
	line.drop()
	if memory.Used() != 0 {
		t.Errorf("%d bytes are left", memory.Used())
	}
}
