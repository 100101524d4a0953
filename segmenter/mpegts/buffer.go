package mpegts

import (
	"hash/crc32"
	"io"
	"sync/atomic"
)

// PacketSize is the length of a transport stream packet (ISO/IEC 13818-1 2.4.3.2).
const PacketSize = 188

// Buffer holds the packets of one segment in pooled chunks. It is written by one goroutine; once nothing is written any
// more, any number may read.
type Buffer struct {
	pool   *Pool
	chunks []*chunk
	full   int    // bytes in all chunks but the last
	last   []byte // data of the last chunk
	used   int    // bytes used in it
	sum    uint32 // CRC-32C of all bytes but those of the last chunk from summed on
	summed int
	pins   atomic.Int32 // owners beside the first
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// class is the size class of the i-th chunk.
func class(i int) int { return min(i, chunkClasses-1) }

// Packet gives room for the next packet. Its content is undefined until it is written, which must be before the next call of
// any method.
func (b *Buffer) Packet() []byte {
	if b.used == len(b.last) {
		b.grow()
	}
	p := b.last[b.used : b.used+PacketSize : b.used+PacketSize]
	b.used += PacketSize
	return p
}

// packets gives adjacent room for at least one and at most n packets, n > 0.
func (b *Buffer) packets(n int) []byte {
	if b.used == len(b.last) {
		b.grow()
	}
	size := min(n*PacketSize, len(b.last)-b.used)
	p := b.last[b.used : b.used+size : b.used+size]
	b.used += size
	return p
}

func (b *Buffer) grow() {
	b.add(b.pool.get(class(len(b.chunks))))
}

func (b *Buffer) add(c *chunk) {
	if b.chunks == nil {
		b.chunks = make([]*chunk, 0, 16)
	}
	b.CRC32C()
	b.chunks = append(b.chunks, c)
	b.full += b.used
	b.last, b.used, b.summed = c.data, 0, 0
}

// CRC32C is the Castagnoli checksum of all bytes. It reads only what was written since the last call: the muxer calls it
// after each access unit, while that is still in the processor's cache.
func (b *Buffer) CRC32C() uint32 {
	if b.summed < b.used {
		b.sum = crc32.Update(b.sum, castagnoli, b.last[b.summed:b.used])
		b.summed = b.used
	}
	return b.sum
}

// Trim moves what is in the last chunk to smaller ones, where that saves memory and nobody has pinned the buffer: a window holds many segments. Slices from
// before are not valid any more.
func (b *Buffer) Trim() {
	n := len(b.chunks) - 1
	if n < 0 || len(b.last)-b.used < chunkSize(0) || b.pins.Load() > 0 {
		return
	}
	b.CRC32C()
	old, rest := b.chunks[n], b.last[:b.used]
	b.chunks, b.used, b.summed = b.chunks[:n], 0, 0
	for c := chunkClasses - 1; len(rest) > 0; {
		if c > 0 && chunkSize(c) > len(rest) {
			c--
			continue
		}
		b.add(b.pool.get(c))
		b.used = copy(b.last, rest)
		b.summed = b.used
		rest = rest[b.used:]
	}
	b.pool.put(old)
}

// Append writes packets that were made before, PacketSize bytes each.
func (b *Buffer) Append(p []byte) {
	for n := len(p) / PacketSize; n > 0; n = len(p) / PacketSize {
		p = p[copy(b.packets(n), p):]
	}
}

// Len is the number of bytes written, a multiple of PacketSize.
func (b *Buffer) Len() int { return b.full + b.used }

// Slices appends the content to dst as consecutive byte slices, which stay valid until Release and must not be written. They do not
// keep the buffer: without a Release to come its memory may go back to the system while they are read.
func (b *Buffer) Slices(dst [][]byte) [][]byte {
	for i := range b.chunks {
		dst = append(dst, b.part(i))
	}
	return dst
}

// SlicesFrom is as Slices, without the first off bytes. Who has pinned the buffer may read them while more is written.
func (b *Buffer) SlicesFrom(dst [][]byte, off int) [][]byte {
	for i := range b.chunks {
		p := b.part(i)
		if off >= len(p) {
			off -= len(p)
			continue
		}
		dst, off = append(dst, p[off:]), 0
	}
	return dst
}

// View brings view, an earlier answer for the same buffer or nil, up to what is written now: the content as consecutive slices. Who
// holds the buffer may read them while more is written, until it is trimmed.
func (b *Buffer) View(view [][]byte) [][]byte {
	from := max(0, len(view)-1)
	view = view[:from]
	for i := from; i < len(b.chunks); i++ {
		view = append(view, b.part(i))
	}
	return view
}

// Pin makes the caller another owner: the bytes that are written stay where they are until it calls Release as well. It must
// not run while the buffer is written, or released by its only owner.
func (b *Buffer) Pin() { b.pins.Add(1) }

func (b *Buffer) part(i int) []byte {
	if i == len(b.chunks)-1 {
		return b.last[:b.used]
	}
	return b.chunks[i].data
}

// WriteTo writes the content to w, as io.WriterTo.
func (b *Buffer) WriteTo(w io.Writer) (n int64, err error) {
	for i := range b.chunks {
		m, err := w.Write(b.part(i))
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Release ends one's ownership. With that of the last owner the memory is given back, and the buffer is empty.
func (b *Buffer) Release() {
	if b.pins.Add(-1) >= 0 {
		return
	}
	for i, c := range b.chunks {
		b.pool.put(c)
		b.chunks[i] = nil
	}
	b.chunks, b.full, b.last, b.used, b.sum, b.summed = nil, 0, nil, 0, 0, 0
	b.pins.Store(0)
}
