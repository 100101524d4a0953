package readback

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hlsorigin/hlsorigin/storage"
)

// ErrFull says that there is no memory for another object: too many are being read.
var ErrFull = errors.New("no memory for what is read from the bucket: too many read it")

// lend gives n bytes for pieces of an object, of at most most; false where there is no room.
func (r *Cache) lend(n, most int64) bool {
	if r.Stats.Lent.Add(n) > most {
		r.Stats.Lent.Add(-n)
		return false
	}
	return true
}

// fetch fills an entry.
func (r *Cache) fetch(ctx context.Context, e *entry) {
	body, o, err := r.src.Get(ctx, e.key, 0, -1)
	if err != nil {
		r.end(e, err)
		return
	}
	defer body.Close()
	e.object = o
	check, err := r.inspect(e.key, o)
	if err != nil {
		r.end(e, err)
		return
	}
	known, sure := r.known(e.key)
	if sure && o.Size != known.Size {
		r.end(e, known.otherwise(e.key, fmt.Sprintf("%d bytes", o.Size)))
		return
	}
	if sure {
		check = known.check(e.key, check)
	}
	var head []byte
	if check != nil {
		head = make([]byte, min(o.Size, inspected))
	} else {
		check = func([]byte) error { return nil }
	}
	if _, err := io.ReadFull(body, head); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		r.end(e, fmt.Errorf("get %s: %w", e.key, err))
		return
	}
	if err := check(head); err != nil {
		r.end(e, err)
		return
	}
	if !r.admit(e) {
		if err := passOver(body, sure, check); err != nil {
			r.end(e, fmt.Errorf("get %s: %w", e.key, err))
			return
		}
		e.passed = true
		r.end(e, nil)
		return
	}
	data := make([]byte, o.Size)
	filled := int64(copy(data, head))
	if !sure {
		e.data = data
		e.mu.Lock()
		e.filled = filled
		e.mu.Unlock()
		close(e.ready)
	}
	for filled < o.Size {
		n, err := body.Read(data[filled:])
		if bad := check(data[filled : filled+int64(n)]); bad != nil {
			r.end(e, bad)
			return
		}
		filled += int64(n)
		if err == io.EOF && filled < o.Size {
			err = fmt.Errorf("get %s: %w", e.key, io.ErrUnexpectedEOF)
		}
		if err != nil && err != io.EOF {
			r.end(e, err)
			return
		}
		if sure {
			continue // nobody has it open yet
		}
		e.mu.Lock()
		e.filled = filled
		e.wake()
		e.mu.Unlock()
	}
	if sure {
		e.data = data
		e.mu.Lock()
		e.filled = filled
		e.mu.Unlock()
	}
	r.end(e, nil)
}

// inspected is how much of an object has been looked at before it counts as open: three packets of a transport stream.
const inspected = 3 * 188

func (r *Cache) inspect(key string, o storage.Object) (check func([]byte) error, err error) {
	if r.o.Inspect == nil {
		return nil, nil
	}
	return r.o.Inspect(key, o)
}

// admit charges the object's memory.
func (r *Cache) admit(e *entry) bool {
	if e.object.Size > r.o.MaxObject {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.makeRoom(e.object.Size) {
		return false
	}
	e.cost += e.object.Size
	r.charge(e.object.Size)
	return true
}

// end makes the outcome known, and decides how long it is remembered.
func (r *Cache) end(e *entry, err error) {
	missing := storage.KindOf(err) == storage.Missing
	if err != nil && !missing && storage.KindOf(err) != storage.Cancelled {
		r.Stats.Failures.Add(1)
	}
	r.mu.Lock()
	switch ttl := ttl(e.key, e.object); {
	case missing:
		e.expires = r.o.Now().Add(r.o.NegativeTTL)
	case err != nil || e.passed:
		r.forget(e)
	case ttl >= 0:
		e.expires = r.o.Now().Add(ttl)
	}
	e.mu.Lock()
	e.err, e.whole = err, true
	e.wake()
	e.mu.Unlock()
	if e.readers == 0 {
		r.release(e) // all have left meanwhile, and with the last of them the entry went
	}
	r.mu.Unlock()
	select {
	case <-e.ready:
	default:
		close(e.ready)
	}
}

// wake tells all who wait. e.mu is held.
func (e *entry) wake() {
	close(e.more)
	e.more = make(chan struct{})
}
