//go:build linux

package publish

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/bench/stub"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// flvOf writes tags as an FLV file.
func flvOf(tags ...tag) []byte {
	b := []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	for _, t := range tags {
		b = append(b, t.kind, byte(len(t.body)>>16), byte(len(t.body)>>8), byte(len(t.body)),
			byte(t.at>>16), byte(t.at>>8), byte(t.at), byte(t.at>>24), 0, 0, 0)
		b = append(b, t.body...)
		b = binary.BigEndian.AppendUint32(b, uint32(11+len(t.body)))
	}
	return b
}

// clip returns a clip of 40 ms: a keyframe of several chunks, an audio frame, another picture; and one audio frame too many.
func clip(t *testing.T) *Clip {
	t.Helper()
	c, err := parse(flvOf(
		tag{kind: 18, body: []byte{2, 0, 1, 'x'}},
		tag{kind: 9, body: []byte{0x17, 0, 0, 0, 0}},
		tag{kind: 8, body: []byte{0xaf, 0, 0x11, 0x90}},
		tag{kind: 9, body: append([]byte{0x17, 1, 0, 0, 0}, bytes.Repeat([]byte{7}, 1000)...)},
		tag{kind: 8, at: 10, body: []byte{0xaf, 1, 9}},
		tag{kind: 9, at: 20, body: []byte{0x27, 1, 0, 0, 0, 8}},
		tag{kind: 8, at: 40, body: []byte{0xaf, 1, 9}},
	), 40*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseRefusesWhatIsCut(t *testing.T) {
	whole := flvOf(tag{kind: 9, body: []byte{0x17, 1, 0, 0, 0}})
	for n := range len(whole) {
		if _, err := parse(whole[:n], time.Second); err == nil {
			t.Errorf("%d of %d bytes are taken", n, len(whole))
		}
	}
}

// The server's chunk reader is an independent view of what is sent.
func TestReelIsRTMP(t *testing.T) {
	r := clip(t).reel(128)
	if len(r.head) != 3 || len(r.pieces) != 3 {
		t.Fatalf("%d pieces ahead, %d in a round", len(r.head), len(r.pieces))
	}
	var wire bytes.Buffer
	wire.Write(appendMessage(nil, 2, 128, 1, 0, []byte{0, 0, 0, 128}))
	for i := range r.pieces {
		r.pieces[i].stamp(uint32(70000+i), 5)
		wire.Write(r.pieces[i].wire)
	}
	in := chunk.NewReader(&wire, make([]byte, 4<<10), chunk.Limits{})
	for i, p := range r.pieces {
		m, err := in.Next()
		for err == nil && m.Type == chunk.TypeSetChunkSize {
			m, err = in.Next()
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Timestamp != uint32(70000+i) || m.StreamID != 5 || len(m.Payload) == 0 || p.key != (i == 0) {
			t.Errorf("message %d: time %d, stream %d, %d bytes, key %v", i, m.Timestamp, m.StreamID, len(m.Payload), p.key)
		}
	}
}

// sink accepts publishers until the test ends, and returns its address.
func sink(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() { _ = stub.Sink(l, 4<<10, 0) })
	t.Cleanup(func() {
		_ = l.Close()
		server.Wait()
	})
	return "rtmp://" + l.Addr().String() + "/live/x"
}

func TestFleetKeepsTime(t *testing.T) {
	url := sink(t)

	var mu sync.Mutex
	keys := map[int][]time.Time{}
	enough := make(chan struct{})
	f := Start(t.Context(), Options{
		Clip: clip(t), Stagger: 40 * time.Millisecond,
		URL: func(int) string { return url },
		Key: func(i, n int, sent time.Time) {
			mu.Lock()
			defer mu.Unlock()
			if keys[i] = append(keys[i], sent); i == 0 && n == 10 {
				close(enough)
			}
		},
	})
	if err := f.Grow(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	<-enough
	f.Stop()
	if err := f.Err(); err != nil || f.Lost.Load() != 0 {
		t.Errorf("lost %d: %v", f.Lost.Load(), err)
	}
	if len(keys) != 5 {
		t.Errorf("%d publishers sent keyframes", len(keys))
	}
	// Ten rounds of 40 ms: never sooner, whatever the machine does meanwhile.
	if d := keys[0][10].Sub(keys[0][0]); d < 350*time.Millisecond {
		t.Errorf("ten rounds took %v", d)
	}
	if f.Frames.Load() < 30 || f.Late.Snapshot().N() != uint64(f.Frames.Load()) {
		t.Errorf("%d frames, %d of them timed", f.Frames.Load(), f.Late.Snapshot().N())
	}
}

func TestFleetNoticesAServerThatHangsUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var server sync.WaitGroup
	defer server.Wait()
	server.Go(func() {
		if c, err := l.Accept(); err == nil {
			_ = c.Close()
		}
	})
	f := Start(t.Context(), Options{Clip: clip(t), URL: func(int) string { return "rtmp://" + l.Addr().String() + "/live/x" }})
	defer f.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := f.Grow(ctx, 1); err == nil {
		t.Error("a server that hangs up lets publish")
	}
}

// The search for a capacity ends at a machine that cannot send in time: it must be able to end there.
func TestFleetThatIsBehindGrowsAndStops(t *testing.T) {
	url := sink(t)
	hasty, err := parse(flvOf(
		tag{kind: 9, body: []byte{0x17, 0, 0, 0, 0}},
		tag{kind: 9, body: []byte{0x17, 1, 0, 0, 0, 7}},
	), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	behind := make(chan struct{})
	f := Start(ctx, Options{
		Clip: hasty, Stagger: time.Millisecond, Workers: 1,
		URL: func(int) string { return url },
		Key: func(i, n int, _ time.Time) {
			if i == 0 && n == 20 {
				close(behind)
			}
			time.Sleep(3 * time.Millisecond) // a round lasts 1 ms
		},
	})
	if err := f.Grow(ctx, 1); err != nil {
		t.Fatal(err)
	}
	<-behind
	if err := f.Grow(ctx, 1); err != nil {
		t.Fatal(err)
	}
	f.Stop()
	if ctx.Err() != nil {
		t.Error("a fleet that is behind did not stop")
	}
}
