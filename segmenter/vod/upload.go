package vod

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// uploadBytes is how much may be on its way to the output at a time; one object always may.
	uploadBytes = 16 << 20
	// uploadCount is how many objects may.
	uploadCount = 4
	// large is from which size on the memory of a body is used again, bytes.
	large = 1 << 20
	// cleanFor is how long the removal of what was put may take when the caller has given up.
	cleanFor = time.Minute
)

// uploads puts objects, several at a time, and knows what was put. All methods may be called from any goroutine.
type uploads struct {
	out Output

	mu      sync.Mutex
	changed *sync.Cond
	bytes   int // on the way
	count   int
	err     error
	put     map[string]bool // keys
	total   int64           // bytes that were put
	free    [][]byte        // bodies to be used again
}

func newUploads(out Output) *uploads {
	u := &uploads{out: out, put: map[string]bool{}}
	u.changed = sync.NewCond(&u.mu)
	return u
}

// body is memory for an object of about n bytes, empty.
func (u *uploads) body(n int) []byte {
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

// send puts an object while the caller goes on: the body is the uploads' from now on. Where there is no room it waits. The error is that of
// an object before.
func (u *uploads) send(ctx context.Context, key, contentType string, body []byte) error {
	u.mu.Lock()
	for u.err == nil && u.count > 0 && (u.count >= uploadCount || u.bytes+len(body) > uploadBytes) {
		u.changed.Wait() // each Put ends with its context
	}
	if u.err != nil {
		defer u.mu.Unlock()
		return u.err
	}
	u.count++
	u.bytes += len(body)
	u.put[key] = true
	u.total += int64(len(body))
	u.mu.Unlock()
	go func() {
		err := u.out.Put(ctx, key, contentType, body)
		u.mu.Lock()
		defer u.mu.Unlock()
		u.count--
		u.bytes -= len(body)
		if err != nil && u.err == nil {
			u.err = fmt.Errorf("put %s: %w", key, err)
		}
		if len(u.free) < 1 && cap(body) >= large {
			u.free = append(u.free, body)
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
	if err := u.send(ctx, key, contentType, body); err != nil {
		return err
	}
	return u.wait()
}

// undo removes what was put, but for what lies in the folders that are kept. It goes on where ctx has ended.
func (u *uploads) undo(ctx context.Context, kept map[string]RungDone) error {
	_ = u.wait()
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(u.put)), func(key string) bool {
		folder, _, in := strings.Cut(key, "/")
		_, keep := kept[folder]
		return in && keep && !strings.HasSuffix(key, ".m3u8")
	})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanFor)
	defer cancel()
	return remove(ctx, u.out, keys)
}

// remove removes objects, playlists first: so that nothing that can still be found names what is gone.
func remove(ctx context.Context, out Output, keys []string) (err error) {
	slices.SortStableFunc(keys, func(a, b string) int { return rank(a) - rank(b) })
	for _, key := range keys {
		if e := out.Remove(ctx, key); e != nil && err == nil {
			err = fmt.Errorf("remove %s: %w", key, e)
		}
	}
	return err
}

// rank is the order in which objects of a package are removed.
func rank(key string) int {
	switch {
	case !strings.HasSuffix(key, ".m3u8") && !strings.HasSuffix(key, ".mpd") && !strings.HasSuffix(key, ".vtt"):
		return 2
	case strings.Contains(key, "/"):
		return 1
	}
	return 0
}
