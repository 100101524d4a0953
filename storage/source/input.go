package source

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Input is what a job reads.
type Input struct {
	io.ReaderAt
	size  int64
	name  string
	close func() error

	version string

	Notes []string // what is missing in it, for people
}

// Size is its size in bytes.
func (i *Input) Size() int64 { return i.size }

// Name is its name without folders, for messages.
func (i *Input) Name() string { return i.name }

// Version is another one when the input was replaced since it was opened the last time.
func (i *Input) Version() string { return i.version }

// Close ends all reading, and waits for that.
func (i *Input) Close() error { return i.close() }

func openObject(ctx context.Context, store storage.Store, key string) (*Input, error) {
	o, err := store.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	in := overParts(ctx, store, []part{{key: key, size: o.Size, etag: o.ETag}}, path.Base(key))
	in.version = fmt.Sprintf("%d %s", o.Size, cmp.Or(o.ETag, o.Modified.UTC().Format(time.RFC3339)))
	return in, nil
}

// part is an object that is part of an input.
type part struct {
	key  string
	at   int64 // in the input
	size int64
	etag string // "": whatever it is
}

// overParts makes one input of objects, one behind the other.
func overParts(ctx context.Context, store storage.Store, parts []part, name string) *Input {
	var size int64
	for i := range parts {
		parts[i].at = size
		size += parts[i].size
	}
	a := newAhead(ctx, size, func(ctx context.Context, p []byte, off int64) error {
		for _, x := range parts {
			if off >= x.at+x.size || off+int64(len(p)) <= x.at {
				continue
			}
			n := min(int64(len(p)), x.at+x.size-off)
			if err := x.read(ctx, store, p[:n], off-x.at); err != nil {
				return err
			}
			if p, off = p[n:], off+n; len(p) == 0 {
				break
			}
		}
		return nil
	})
	return &Input{ReaderAt: a, size: size, name: name, close: a.Close, version: fmt.Sprintf("%d in %d", size, len(parts))}
}

// read fills p from an offset.
func (x *part) read(ctx context.Context, store storage.Store, p []byte, off int64) error {
	body, o, err := store.Get(ctx, x.key, off, int64(len(p)))
	if err != nil {
		return err
	}
	defer body.Close()
	if x.etag != "" && o.ETag != x.etag || o.Size != x.size {
		return fmt.Errorf("%s: %w", x.key, ErrChanged)
	}
	if _, err := io.ReadFull(body, p); err != nil {
		return fmt.Errorf("get %s: %w", x.key, err)
	}
	return nil
}

// How an object is read: in blocks, of which so many are kept, and so many are asked for before they are needed.
const (
	blockSize = 1 << 20
	maxBlocks = 16
	readAhead = 4
)

// ahead reads blocks, keeps those that were used last, and asks for the next ones where it is read in order.
type ahead struct {
	size  int64
	fetch func(ctx context.Context, p []byte, off int64) error
	start func(func(ctx context.Context))
	stop  func()
	all   sync.WaitGroup

	mu     sync.Mutex
	blocks map[int64]*block
	turn   int64
	ended  bool
}

// block is a block that is there, or on its way until ready is closed.
type block struct {
	ready chan struct{}
	data  []byte
	err   error
	used  int64
}

func newAhead(ctx context.Context, size int64, fetch func(ctx context.Context, p []byte, off int64) error) *ahead {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{size: size, fetch: fetch, stop: cancel, blocks: map[int64]*block{}}
	a.start = func(f func(context.Context)) { a.all.Go(func() { f(ctx) }) }
	return a
}

// Close ends all requests, and waits for that.
func (a *ahead) Close() error {
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.stop()
	a.all.Wait()
	return nil
}

// ReadAt implements io.ReaderAt.
func (a *ahead) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d", off)
	}
	for n < len(p) && off < a.size {
		b := a.block(off / blockSize)
		<-b.ready
		if b.err != nil {
			return n, b.err
		}
		c := copy(p[n:], b.data[off%blockSize:])
		n, off = n+c, off+int64(c)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// block returns a block, and asks for it and for those behind it where they are not there.
func (a *ahead) block(i int64) *block {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn++
	_, before := a.blocks[i-1]
	_, here := a.blocks[i]
	b := a.get(i)
	b.used = a.turn
	if before || here || i == 0 { // one read in the middle of nowhere is no row
		for next := i + 1; next <= i+readAhead && next*blockSize < a.size; next++ {
			if _, there := a.blocks[next]; !there && before {
				a.get(next).used = a.turn - 1
			}
		}
	}
	return b
}

// get returns a block, and asks for it where it is not there. a.mu is held.
func (a *ahead) get(i int64) *block {
	if b := a.blocks[i]; b != nil {
		return b
	}
	a.drop()
	b := &block{ready: make(chan struct{}), used: a.turn}
	a.blocks[i] = b
	if a.ended {
		b.err = context.Canceled
		close(b.ready)
		return b
	}
	a.start(func(ctx context.Context) {
		data := make([]byte, min(blockSize, a.size-i*blockSize))
		err := a.fetch(ctx, data, i*blockSize)
		a.mu.Lock()
		defer a.mu.Unlock()
		if b.data, b.err = data, err; err != nil && a.blocks[i] == b {
			delete(a.blocks, i) // who asks again asks anew
		}
		close(b.ready)
	})
	return b
}

// drop makes room for one block, of that which was used the longest ago. Whoever reads it still keeps it.
func (a *ahead) drop() {
	if len(a.blocks) < maxBlocks {
		return
	}
	oldest := int64(-1)
	for i, b := range a.blocks {
		if oldest < 0 || b.used < a.blocks[oldest].used {
			oldest = i
		}
	}
	delete(a.blocks, oldest)
}
