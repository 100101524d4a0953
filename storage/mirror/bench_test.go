package mirror_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// discard is a bucket that accepts everything.
type discard struct{}

func (discard) Put(_ context.Context, _ string, body io.ReadSeeker, _ storage.Attributes) (string, error) {
	_, err := io.Copy(io.Discard, body)
	return "", err
}

// One operation is one segment of 100 kB in each of several streams, from the frame to the bucket, with the playlists.
func BenchmarkMirror(b *testing.B) {
	for _, streams := range []int{1, 100, 500} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			m := mirror.New(mirror.Options{Store: discard{}, Spool: spool.New(spool.Options{Dir: b.TempDir(), Sync: spool.Never})})
			reg := segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": {}}, Now: time.Now})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- m.Run(ctx, reg) }()
			track := &ingest.Track{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 0.25, Alone: true}
			sessions := make([]ingest.Session, streams)
			for i := range sessions {
				s, err := reg.Publish(ctx, ingest.Announce{App: "live", Stream: fmt.Sprint("s", i), Identity: "me", Cancel: func(error) {}})
				if err != nil {
					b.Fatal(err)
				}
				sessions[i] = s
			}
			unit := make([]byte, 50_000)
			for i := range unit {
				unit[i] = 0x55
			}
			b.ReportAllocs()
			n := int64(0)
			for b.Loop() {
				for _, s := range sessions {
					for k := range int64(2) {
						unit[0] = 0x65 - byte(k)*0x24
						dts := (2*n + k) * 2 * ingest.Clock
						if err := s.WriteFrame(&ingest.Frame{Track: track, PTS: dts, DTS: dts, Key: k == 0, Units: [][]byte{unit}, Arrival: time.Now()}); err != nil {
							b.Fatal(err)
						}
					}
				}
				n++
				if err := m.Barrier(ctx); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n)/float64(streams), "µs/segment")
			cancel()
			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}
