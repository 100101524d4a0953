package file

import (
	"errors"
	"fmt"
	"io"
)

// blockSize is how much is read of a file at once, bytes.
const blockSize = 512 << 10

// window reads a file in blocks, and keeps a few: tracks and tables lie at several places of it. It serves one goroutine.
type window struct {
	r      io.ReaderAt
	size   int64
	keep   int // blocks
	blocks []*block
	turn   uint64
	joined []byte // what lies in several blocks
}

type block struct {
	number int64
	data   []byte
	used   uint64
}

func newWindow(r io.ReaderAt, size int64, keep int) *window {
	return &window{r: r, size: size, keep: keep}
}

// at is n bytes at an offset, which are valid until the next call. io.ErrUnexpectedEOF: they are not all there.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > w.size || int64(n) > w.size-off {
		return nil, io.ErrUnexpectedEOF
	}
	b, err := w.block(off / blockSize)
	if err != nil {
		return nil, err
	}
	from := int(off % blockSize)
	if from+n <= len(b) {
		return b[from : from+n : from+n], nil
	}
	if cap(w.joined) < n {
		w.joined = make([]byte, 0, n+n/4)
	}
	out := append(w.joined[:0], b[from:]...)
	for len(out) < n {
		off += int64(len(b) - from)
		if b, err = w.block(off / blockSize); err != nil {
			return nil, err
		}
		from = 0
		out = append(out, b[:min(len(b), n-len(out))]...)
	}
	w.joined = out
	return out, nil
}

func (w *window) block(number int64) ([]byte, error) {
	w.turn++
	var oldest *block
	for _, b := range w.blocks {
		if b.number == number {
			b.used = w.turn
			return b.data, nil
		}
		if oldest == nil || b.used < oldest.used {
			oldest = b
		}
	}
	b := oldest
	if len(w.blocks) < w.keep {
		b = &block{data: make([]byte, blockSize)}
		w.blocks = append(w.blocks, b)
	}
	n := min(blockSize, w.size-number*blockSize)
	b.number, b.data = -1, b.data[:n]
	if got, err := w.r.ReadAt(b.data, number*blockSize); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read %d bytes at %d: %w", n, number*blockSize, err)
	}
	b.number, b.used = number, w.turn
	return b.data, nil
}
