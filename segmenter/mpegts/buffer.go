package mpegts

import (
	"io"
	"sync"
)

// PacketSize is the length of a transport stream packet (ISO/IEC 13818-1 2.4.3.2).
const PacketSize = 188

// chunkSize is the largest multiple of a packet in 64 KiB, so that no packet straddles two chunks.
const chunkSize = 64 << 10 / PacketSize * PacketSize

// Pool recycles the memory of buffers. The zero value is ready. All methods are safe for concurrent use.
type Pool struct{ chunks sync.Pool }

// Buffer takes an empty buffer. Its owner calls Release once, when nobody reads it any more.
func (p *Pool) Buffer() *Buffer { return &Buffer{pool: p} }

func (p *Pool) get() *[chunkSize]byte {
	if c, ok := p.chunks.Get().(*[chunkSize]byte); ok {
		return c
	}
	return new([chunkSize]byte)
}

// Buffer holds the packets of one segment in pooled chunks. It is written by one goroutine; once nothing is written any
// more, any number may read.
type Buffer struct {
	pool   *Pool
	chunks []*[chunkSize]byte
	used   int // bytes used in the last chunk
}

// Packet gives room for the next packet. Its content is undefined until it is written.
func (b *Buffer) Packet() []byte {
	if len(b.chunks) == 0 || b.used == chunkSize {
		b.chunks = append(b.chunks, b.pool.get())
		b.used = 0
	}
	p := b.chunks[len(b.chunks)-1][b.used : b.used+PacketSize : b.used+PacketSize]
	b.used += PacketSize
	return p
}

// Len is the number of bytes written, a multiple of PacketSize.
func (b *Buffer) Len() int {
	if len(b.chunks) == 0 {
		return 0
	}
	return (len(b.chunks)-1)*chunkSize + b.used
}

// Slices appends the content to dst as consecutive byte slices, which stay valid until Release and must not be written.
func (b *Buffer) Slices(dst [][]byte) [][]byte {
	for i, c := range b.chunks {
		if i == len(b.chunks)-1 {
			dst = append(dst, c[:b.used])
			break
		}
		dst = append(dst, c[:])
	}
	return dst
}

// WriteTo writes the content to w, as io.WriterTo.
func (b *Buffer) WriteTo(w io.Writer) (n int64, err error) {
	for i, c := range b.chunks {
		part := c[:]
		if i == len(b.chunks)-1 {
			part = c[:b.used]
		}
		m, err := w.Write(part)
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Release gives the memory back. The buffer is empty afterwards.
func (b *Buffer) Release() {
	for i, c := range b.chunks {
		b.pool.chunks.Put(c)
		b.chunks[i] = nil
	}
	b.chunks, b.used = nil, 0
}
