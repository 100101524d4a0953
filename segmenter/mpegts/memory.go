package mpegts

import (
	"sync"
	"sync/atomic"
)

// Chunks come in sizes that double from 8 KiB to 64 KiB, so that two seconds of speech waste a few kilobytes, and a video
// segment of megabytes still needs few of them. Of each size the largest multiple of a packet is used: no packet straddles
// two chunks.
const (
	chunkClasses = 4
	blockSize    = 8 << 10 << (chunkClasses - 1)
	regionSize   = 64 * blockSize
)

func blockOf(class int) int   { return 8 << 10 << class }
func chunkSize(class int) int { return blockOf(class) / PacketSize * PacketSize }

// chunk is a piece of memory that belongs to one buffer at a time.
type chunk struct {
	data   []byte // length and capacity chunkSize(class)
	class  int
	region *region // keeps the memory there
}

// region is memory that chunks are cut from. It lies outside the garbage collector's heap where the system lets it: the
// windows of all streams are nearly all of the server's memory, and would let as much garbage grow beside them.
type region struct{ block []byte }

// Pool recycles the memory of buffers. The zero value is ready. All methods are safe for concurrent use. What it gets back
// from streams that ended goes back to the system.
type Pool struct {
	// Keep is how many chunks of each size stay in memory at least when nobody uses them: for who writes segment after segment. Set before use.
	Keep int

	mu    sync.Mutex
	free  [chunkClasses][]*chunk // the last is the first to go out, since it may still be in the processor's cache
	cold  [chunkClasses][]*chunk // without memory behind them until they are written again
	total [chunkClasses]int      // chunks there are
	rest  *region                // where the next block is cut from
	used  int                    // bytes cut off it
	inUse atomic.Int64           // bytes of chunks that buffers have
}

// InUse is the memory of all buffers that are not released, in bytes, with what of their last chunks is not written yet.
func (p *Pool) InUse() int64 { return p.inUse.Load() }

// Buffer takes an empty buffer. Its owner calls Release once, when nobody reads it any more.
func (p *Pool) Buffer() *Buffer { return &Buffer{pool: p} }

func (p *Pool) get(class int) *chunk {
	p.inUse.Add(int64(blockOf(class)))
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, list := range []*[]*chunk{&p.free[class], &p.cold[class]} {
		if n := len(*list); n > 0 {
			c := (*list)[n-1]
			(*list)[n-1], *list = nil, (*list)[:n-1]
			return c
		}
	}
	return p.cut(class)
}

// cut makes chunks of a block, one to use and the others to keep.
func (p *Pool) cut(class int) *chunk {
	switch {
	case p.rest == nil: // who writes a few packets once needs no mapping
		p.rest, p.used = &region{make([]byte, blockSize)}, 0
	case p.used == len(p.rest.block):
		p.rest, p.used = newRegion(regionSize), 0
	}
	block := p.rest.block[p.used : p.used+blockSize]
	p.used += blockSize
	size := blockOf(class)
	var first *chunk
	for at := 0; at < blockSize; at += size {
		c := &chunk{class: class, region: p.rest}
		c.data = block[at : at+chunkSize(class) : at+chunkSize(class)]
		p.total[class]++
		if first == nil {
			first = c
		} else {
			p.cold[class] = append(p.cold[class], c)
		}
	}
	return first
}

// put takes a chunk back. Beyond a small part of all there are, which is more than the ups and downs of steady streams need,
// its memory is given to the system.
func (p *Pool) put(c *chunk) {
	p.inUse.Add(-int64(blockOf(c.class)))
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free[c.class]) >= max(32, p.Keep, p.total[c.class]/32) && cool(c.data, blockOf(c.class)) {
		p.cold[c.class] = append(p.cold[c.class], c)
		return
	}
	p.free[c.class] = append(p.free[c.class], c)
}
