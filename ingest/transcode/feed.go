package transcode

import (
	"sync"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// packet is a copied frame of the source.
type packet struct {
	track    *ingest.Track
	pts, dts int64
	key      bool
	units    [][]byte
	size     int
}

func (p *packet) video() bool { return p.track.Codec.IsVideo() }

func (p *packet) keyframe() bool { return p.video() && p.key }

// copyOf copies a frame with all its units in one piece of memory.
func copyOf(f *ingest.Frame, size int) packet {
	p := packet{track: f.Track, pts: f.PTS, dts: f.DTS, key: f.Key, units: make([][]byte, len(f.Units)), size: size}
	b := make([]byte, 0, size)
	for i, u := range f.Units {
		n := len(b)
		b = append(b, u...)
		p.units[i] = b[n:len(b):len(b)]
	}
	return p
}

// feed is the bounded queue between a source and its process. The source's goroutine offers and never waits; one other goroutine takes.
// When the feed is full, it drops frames up to the next keyframe, together with the part of the same GOP that has not been taken.
type feed struct {
	stats     *Stats
	memory    *ingest.Memory // of the packets in q
	maxBytes  int
	maxFrames int
	maxLag    int64 // ticks between the oldest and the newest picture

	mu       sync.Mutex
	q        []packet
	bytes    int
	skip     bool  // until a keyframe that fits
	paused   bool  // nobody takes: everything is dropped
	offered  int64 // pictures offered
	slow     int64 // GOPs dropped because the taker is slow
	short    int64 // GOPs dropped because there was no memory for them
	closed   chan struct{}
	isClosed bool
	cause    error         // of closed
	more     chan struct{} // holds a token if there may be more
}

func newFeed(o *Options, stats *Stats) *feed {
	return &feed{
		stats: stats, memory: o.Memory, maxBytes: o.MaxBytes, maxFrames: o.MaxFrames, maxLag: codec.Ticks(o.MaxLag),
		skip: true, closed: make(chan struct{}), more: make(chan struct{}, 1),
	}
}

// offer adds a copy of a frame, or drops it.
func (f *feed) offer(frame *ingest.Frame) {
	size := 0
	for _, u := range frame.Units {
		size += len(u)
	}
	if size == 0 {
		return
	}
	video := frame.Track.Codec.IsVideo()
	key := video && frame.Key
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isClosed {
		return
	}
	if video {
		f.offered++
	}
	part := 1
	if f.skip {
		part = 2 // half empty again, so that the next GOP is not dropped as well
	}
	switch {
	case f.paused || f.skip && !key:
		f.stats.DroppedFrames.Add(1)
		return
	case !f.fits(frame, size, part):
		f.slow++
		f.stats.DroppedGOPs.Add(1)
		f.overflow(key)
		return
	case !f.memory.Hold(int64(size)):
		f.short++
		f.stats.StarvedGOPs.Add(1)
		f.overflow(key)
		return
	}
	f.skip = false
	f.q = append(f.q, copyOf(frame, size))
	f.bytes += size
	f.signal()
}

// fits reports whether the queue with the frame is within one part of its limits.
func (f *feed) fits(frame *ingest.Frame, size, part int) bool {
	lag := int64(0)
	if len(f.q) > 0 {
		lag = frame.DTS - f.q[0].dts
	}
	return f.bytes+size <= f.maxBytes/part && len(f.q) < f.maxFrames/part && lag <= f.maxLag/int64(part)
}

// overflow drops the current frame, and the queued beginning of its GOP.
func (f *feed) overflow(key bool) {
	f.stats.DroppedFrames.Add(1)
	f.skip = true
	if key {
		return // its GOP begins with it
	}
	for i := len(f.q) - 1; i >= 0; i-- {
		if f.q[i].keyframe() {
			f.cut(i)
			return
		}
	}
}

// cut drops all packets from the i-th.
func (f *feed) cut(i int) {
	for j := i; j < len(f.q); j++ {
		f.bytes -= f.q[j].size
		f.memory.Yield(int64(f.q[j].size))
		f.q[j] = packet{}
		f.stats.DroppedFrames.Add(1)
	}
	f.q = f.q[:i]
}

func (f *feed) signal() {
	select {
	case f.more <- struct{}{}:
	default:
	}
}

// take waits for the next packet. It returns false if the feed or quit was closed.
func (f *feed) take(quit <-chan struct{}) (packet, bool) {
	for {
		p, ok, closed := f.pop()
		if ok || closed {
			return p, ok
		}
		select {
		case <-f.more:
		case <-quit:
			return packet{}, false
		}
	}
}

func (f *feed) pop() (p packet, ok, closed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.q) == 0 {
		return packet{}, false, f.isClosed
	}
	p = f.q[0]
	f.bytes -= p.size
	if p.video() { // the memory of sound goes on to the audio line
		f.memory.Yield(int64(p.size))
	}
	f.q[0] = packet{}
	f.q = f.q[1:]
	return p, true, false
}

// drop gives up what nobody took. The feed is closed.
func (f *feed) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut(0)
}

// pause drops everything until resume, which waits for a keyframe.
func (f *feed) pause() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut(0)
	f.paused, f.skip = true, true
}

func (f *feed) resume() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paused = false
}

// close lets the taker have what is queued, and nothing after that.
func (f *feed) close(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isClosed {
		return
	}
	f.isClosed, f.cause = true, cause
	close(f.closed)
	f.signal()
}

// load returns how many pictures were offered, and how many GOPs were dropped because the taker is slow, and because memory is short.
func (f *feed) load() (offered, slow, short int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.offered, f.slow, f.short
}
