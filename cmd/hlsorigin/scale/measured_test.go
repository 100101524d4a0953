package scale_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/scale"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// counter is a bucket that counts what is put into it, by kind.
type counter struct {
	storetest.Memory
	mu    sync.Mutex
	puts  map[segmenter.Kind]int
	bytes int64 // of segments
	gets  int   // and HEAD
}

func (c *counter) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	n, _ := segmenter.ParseName(key)
	c.mu.Lock()
	c.puts[n.Kind]++
	if n.Kind == segmenter.KindSegment {
		size, _ := body.Seek(0, io.SeekEnd)
		c.bytes += size
	}
	c.mu.Unlock()
	return c.Memory.Put(ctx, key, body, a)
}

func (c *counter) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	c.mu.Lock()
	c.gets++
	c.mu.Unlock()
	return c.Memory.Get(ctx, key, off, n)
}

func (c *counter) Stat(ctx context.Context, key string) (storage.Object, error) {
	c.mu.Lock()
	c.gets++
	c.mu.Unlock()
	return c.Memory.Stat(ctx, key)
}

// parameter set of 1280 by 720
var sps = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}

// show publishes a picture every 2 s, every other a keyframe, for some segments, in the time of a bubble, and returns what the mirror put.
func show(t *testing.T, segments int, o segmenter.AppOptions, cmaf bool) *counter {
	t.Helper()
	c := &counter{puts: map[segmenter.Kind]int{}}
	o.SegmentDuration, o.Window, o.TargetDuration = 4*time.Second, 60*time.Second, 4*time.Second
	reg := segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": o}, Now: time.Now})
	m := mirror.New(mirror.Options{Store: c, GrowEvery: -1, CMAF: func(string) bool { return cmaf }})
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		if err := m.Run(ctx, reg); err != nil {
			t.Error(err)
		}
	})
	work.Go(func() {
		for tick := time.NewTicker(time.Second); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				reg.Expire(time.Now())
			}
		}
	})
	s, err := reg.Publish(ctx, ingest.Announce{App: "live", Stream: "cam", Protocol: "test", Remote: "192.0.2.1:5000", Identity: "me", Cancel: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	track := &ingest.Track{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 1, Alone: true}
	unit := bytes.Repeat([]byte{0x55}, 20_000) // 80 kb/s
	for n := range int64(segments) * 2 {
		key := n%2 == 0
		if unit[0] = 0x41; key {
			unit[0] = 0x65
		}
		binary.BigEndian.PutUint64(unit[1:], 0x0101010101010101+uint64(n)<<8)
		dts := 2 * n * ingest.Clock
		if err := s.WriteFrame(&ingest.Frame{Track: track, PTS: dts, DTS: dts, Key: key, Units: [][]byte{unit}, Arrival: time.Now()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
	}
	s.Close(ingest.ErrUnpublished)
	time.Sleep(20 * time.Second) // the grace after a clean end
	if err := m.Flush(ctx); err != nil {
		t.Error(err)
	}
	stop()
	work.Wait()
	return c
}

// The mirror puts what is computed: each segment, a live playlist for each, and a timestamped playlist as often as its rule says.
func TestMeasuredPuts(t *testing.T) {
	const segments = 600
	synctest.Test(t, func(t *testing.T) {
		c := show(t, segments, segmenter.AppOptions{}, false)
		if n := c.puts[segmenter.KindSegment]; n != segments {
			t.Errorf("%d segments, want %d", n, segments)
		}
		if n := c.puts[segmenter.KindLive]; n < segments || n > segments+1 { // the last segment's may have the end
			t.Errorf("%d live playlists for %d segments", n, segments)
		}
		if n := c.puts[segmenter.KindEntry]; n != 2 {
			t.Errorf("%d entries", n)
		}
		grown := float64(scale.Growing(segments, float64(c.bytes)/segments, 4, 1))
		t.Logf("the timestamped playlist was written %d times, %v are computed", c.puts[segmenter.KindArchive], grown)
		if got := float64(c.puts[segmenter.KindArchive]); math.Abs(got-grown) > max(2, 0.05*grown) {
			t.Errorf("the timestamped playlist was written %v times, %v are computed", got, grown)
		}
		if c.gets > 2 { // whether there is an entry from when the stream had low latency
			t.Errorf("%d reads", c.gets)
		}
	})
}

// Low latency puts the live playlist once more.
func TestMeasuredPutsWithLowLatency(t *testing.T) {
	const segments = 30
	synctest.Test(t, func(t *testing.T) {
		c := show(t, segments, segmenter.AppOptions{LowLatency: true, PartDuration: time.Second}, false)
		if n := c.puts[segmenter.KindLowLatency]; n < segments || n > segments+1 {
			t.Errorf("%d low-latency playlists for %d segments", n, segments)
		}
		if n := c.puts[segmenter.KindLowLatencyEntry]; n != 1 {
			t.Errorf("%d low-latency entries", n)
		}
	})
}

// CMAF of one track puts a fragment, a playlist and a manifest for each segment, one init segment, an entry, and of each timestamped playlist
// its own, that of the track and a manifest.
func TestMeasuredPutsWithCMAF(t *testing.T) {
	const segments = 60
	synctest.Test(t, func(t *testing.T) {
		c := show(t, segments, segmenter.AppOptions{}, true)
		grown := scale.Growing(segments, float64(c.bytes)/segments, 4, 1)
		for _, want := range []struct {
			what        string
			kind        segmenter.Kind
			least, most int
		}{
			{"fragments", segmenter.KindFragment, segments, segments},
			{"playlists of the track", segmenter.KindTrackLive, segments, segments + 1},
			{"init segments", segmenter.KindInit, 1, 1},
			{"entries", segmenter.KindCMAFEntry, 1, 2},
			{"manifests", segmenter.KindDASHEntry, segments, segments + 2},
			{"timestamped manifests", segmenter.KindDASHArchive, grown - 3, grown + 3},
			{"timestamped playlists", segmenter.KindCMAFArchive, grown - 3, grown + 3},
			{"timestamped playlists of the track", segmenter.KindTrackArchive, grown - 3, grown + 3},
		} {
			n := c.puts[want.kind]
			t.Logf("%s: %d", want.what, n)
			if n < want.least || n > want.most {
				t.Errorf("%s: %d, want %d to %d", want.what, n, want.least, want.most)
			}
		}
	})
}
