package segmenter

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// What can be read of a segment while it is written is what it begins with when it is complete, however often and from
// wherever it is read, and its memory stays where it is meanwhile.
func TestGrowing(t *testing.T) {
	now := start
	reg := NewRegistry(Options{Apps: map[string]AppOptions{"live": {SegmentDuration: 2 * time.Second, Window: 20 * time.Second}}, Now: func() time.Time { return now }})
	s, err := reg.Publish(context.Background(), ingest.Announce{App: "live", Stream: "cam", Cancel: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	e := newEncoder(nil, s)
	frame := ingest.Frame{Track: e.video, Units: [][]byte{append([]byte{0x41}, bytes.Repeat([]byte{1}, 9000)...)}}
	type reading struct {
		last *Growing
		body []byte
	}
	readings := map[uint64]*reading{}
	var held []*Growing // released late
	compared := 0
	for i := range 1200 {
		frame.Key = i%60 == 0
		frame.Units[0][0] = 0x41
		if frame.Key {
			frame.Units[0][0] = 0x65
		}
		dts := int64(i) * Clock / 30
		now = now.Add(time.Second / 30)
		frame.DTS, frame.PTS, frame.Arrival = dts, dts, now
		if err := s.WriteFrame(&frame); err != nil {
			t.Fatal(err)
		}
		tl := reg.Timeline("live", "cam")
		if tl == nil || i%7 != 0 {
			continue
		}
		var last *Growing
		r := readings[tl.Snapshot().Opened]
		if r == nil {
			r = &reading{}
		}
		last = r.last
		g := tl.Growing(last)
		if g == nil {
			continue
		}
		if !g.Same(last) {
			r.body = nil
		}
		for _, p := range g.Slices {
			r.body = append(r.body, p...)
		}
		if int64(len(r.body)) != g.Size {
			t.Fatalf("segment %d: read %d bytes of %d", g.Sequence, len(r.body), g.Size)
		}
		r.last, readings[g.Sequence] = g, r
		if i%5 == 0 {
			held = append(held, g) // over the segment's end
		} else {
			g.Release()
		}
		snap := tl.Snapshot()
		for seq, r := range readings {
			seg := snap.Segment(seq)
			if seg == nil || !seg.Retain() {
				continue
			}
			if whole := bytes.Join(seg.Slices(nil), nil); !r.last.Of(seg) || !bytes.HasPrefix(whole, r.body) || int64(len(whole)) != seg.Size {
				t.Fatalf("segment %d does not begin with what was read of it", seq)
			}
			seg.Release()
			compared++
			delete(readings, seq)
		}
	}
	for _, g := range held {
		for _, p := range g.Slices {
			_ = append([]byte(nil), p...)
		}
		g.Release()
	}
	if compared < 15 || len(held) == 0 {
		t.Errorf("%d compared, %d held", compared, len(held))
	}
	s.Close(ingest.ErrUnpublished)
	if g := reg.Timeline("live", "cam").Growing(nil); g != nil {
		t.Errorf("segment %d is written without a publisher", g.Sequence)
	}
}

// Readers beside the publisher read nothing that is being written; the race detector sees to it.
func TestGrowingBesideThePublisher(t *testing.T) {
	reg := NewRegistry(Options{Apps: map[string]AppOptions{"live": {SegmentDuration: 2 * time.Second, Window: 20 * time.Second}}, Now: time.Now})
	s, err := reg.Publish(context.Background(), ingest.Announce{App: "live", Stream: "cam", Cancel: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	e := newEncoder(nil, s)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			var last *Growing
			sum := byte(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				tl := reg.Timeline("live", "cam")
				if tl == nil {
					continue
				}
				if g := tl.Growing(last); g != nil {
					for _, p := range g.Slices {
						for _, b := range p {
							sum ^= b
						}
					}
					g.Release()
					last = g
				}
			}
		})
	}
	frame := ingest.Frame{Track: e.video, Units: [][]byte{make([]byte, 5000)}}
	for i := range 1500 {
		frame.Key = i%60 == 0
		frame.Units[0][0] = 0x41
		if frame.Key {
			frame.Units[0][0] = 0x65
		}
		dts := int64(i) * Clock / 30
		frame.DTS, frame.PTS, frame.Arrival = dts, dts, start.Add(time.Duration(i)*time.Second/30)
		if err := s.WriteFrame(&frame); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	readers.Wait()
}
