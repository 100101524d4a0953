package vod

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

const (
	// uploadBytes is how much may be on its way to the output at a time; one object always may.
	uploadBytes = 16 << 20
	// uploadCount is how many objects may.
	uploadCount = 4
	// large is from which size on the memory of a fragment is used again, bytes.
	large = 1 << 20
)

// uploads puts objects, several at a time. All methods may be called from any goroutine.
type uploads struct {
	out Output

	mu      sync.Mutex
	changed *sync.Cond
	bytes   int // on the way
	count   int
	err     error
	put     int      // objects that were put
	total   int64    // bytes of them
	free    [][]byte // memory of fragments, to be used again
}

func newUploads(out Output) *uploads {
	u := &uploads{out: out}
	u.changed = sync.NewCond(&u.mu)
	return u
}

// memory is that for a fragment of about n bytes, empty. It is given back with keep.
func (u *uploads) memory(n int) []byte {
	if n < large { // it must not push out what is worth keeping
		return make([]byte, 0, n)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := len(u.free) - 1; i >= 0; i-- {
		if b := u.free[i]; cap(b) >= n && cap(b) <= 4*n+1<<16 {
			u.free = slices.Delete(u.free, i, i+1)
			return b[:0]
		}
	}
	if len(u.free) > 0 { // too short, or far too long
		u.free = u.free[:len(u.free)-1]
	}
	return make([]byte, 0, (n+n/16)/large*large+large) // segments of a film are of about one size: the next one shall fit, too
}

// keep takes memory back.
func (u *uploads) keep(b []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.free) < 1 && cap(b) >= large {
		u.free = append(u.free, b)
	}
}

// send puts an object, given in consecutive slices, while the caller goes on, and calls done when these are not needed any more, also where it
// fails; nil: nobody needs to know. Where there is no room it waits. The error is that of an object before.
func (u *uploads) send(ctx context.Context, key, contentType string, body [][]byte, done func()) error {
	if done == nil {
		done = func() {}
	}
	size := 0
	for _, p := range body {
		size += len(p)
	}
	u.mu.Lock()
	for u.err == nil && u.count > 0 && (u.count >= uploadCount || u.bytes+size > uploadBytes) {
		u.changed.Wait() // each Put ends with its context
	}
	if err := u.err; err != nil {
		u.mu.Unlock()
		done()
		return err
	}
	u.count++
	u.bytes += size
	u.put++
	u.total += int64(size)
	u.mu.Unlock()
	go func() {
		err := u.out.Put(ctx, key, contentType, body)
		done()
		u.mu.Lock()
		defer u.mu.Unlock()
		u.count--
		u.bytes -= size
		if err != nil && u.err == nil {
			u.err = fmt.Errorf("put %s: %w", key, err)
		}
		u.changed.Broadcast()
	}()
	return nil
}

// wait waits until all that was sent is put.
func (u *uploads) wait() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for u.count > 0 {
		u.changed.Wait()
	}
	return u.err
}

// now puts an object, and waits for it, and for all before it.
func (u *uploads) now(ctx context.Context, key, contentType string, body []byte) error {
	if err := u.wait(); err != nil {
		return err
	}
	if err := u.send(ctx, key, contentType, [][]byte{body}, nil); err != nil {
		return err
	}
	return u.wait()
}
