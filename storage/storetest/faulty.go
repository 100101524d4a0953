package storetest

import (
	"context"
	"io"
	"sync"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Op is the name of a method of storage.Store.
type Op string

// The methods of storage.Store.
const (
	OpPut    Op = "put"
	OpGet    Op = "get"
	OpStat   Op = "stat"
	OpList   Op = "list"
	OpRemove Op = "remove"
)

// Fault is what a Faulty store does to matching calls. Without an effect a call passes.
type Fault struct {
	Ops   []Op                              // none: all
	Match func(op Op, key string) bool      // nil: all; for List and Remove it gets the prefix and the first key
	Times int                               // how many calls it affects before it is used up; 0: all
	Hook  func(context.Context, Op, string) // called first, for instance to wait

	Err       error // the call fails with it
	Hang      bool  // the call hangs until its context ends, or until the faults are changed; then it passes
	Lost      bool  // with Err: the call is carried out, and only its answer is lost
	CutBody   int64 // with Err: the body of a Get breaks off with it after this many bytes
	Corrupted bool  // a Get's first byte is wrong
}

// Faulty puts faults in front of a store. Faults can be changed while it is in use. It is safe for concurrent use.
type Faulty struct {
	storage.Store

	mu      sync.Mutex
	faults  []*Fault
	hits    int
	changed chan struct{} // closed when the faults are changed
}

// NewFaulty wraps a store, without any faults.
func NewFaulty(s storage.Store) *Faulty { return &Faulty{Store: s, changed: make(chan struct{})} }

// Set replaces the faults; no faults heal the store. The first one that matches a call applies.
func (f *Faulty) Set(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
	for _, fault := range faults {
		f.faults = append(f.faults, &fault)
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// Hits returns the number of calls that have met a fault.
func (f *Faulty) Hits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hits
}

// meet finds the fault for a call, and hangs if that says so.
func (f *Faulty) meet(ctx context.Context, op Op, key string) (Fault, error) {
	f.mu.Lock()
	var hit Fault
	for i, fault := range f.faults {
		if !fault.matches(op, key) {
			continue
		}
		hit = *fault
		f.hits++
		if fault.Times > 0 {
			if fault.Times--; fault.Times == 0 {
				f.faults = append(f.faults[:i:i], f.faults[i+1:]...)
			}
		}
		break
	}
	changed := f.changed
	f.mu.Unlock()
	if hit.Hook != nil {
		hit.Hook(ctx, op, key)
	}
	if hit.Hang {
		select {
		case <-ctx.Done():
			return hit, context.Cause(ctx)
		case <-changed:
		}
	}
	if hit.Lost || op == OpGet && hit.CutBody > 0 {
		return hit, nil
	}
	return hit, hit.Err
}

func (f *Fault) matches(op Op, key string) bool {
	if f.Match != nil && !f.Match(op, key) {
		return false
	}
	for _, o := range f.Ops {
		if o == op {
			return true
		}
	}
	return len(f.Ops) == 0
}

func lost(f Fault, err error) error {
	if f.Lost {
		return f.Err
	}
	return err
}

// Put stores an object, or meets a fault.
func (f *Faulty) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	fault, err := f.meet(ctx, OpPut, key)
	if err != nil {
		return "", err
	}
	etag, err := f.Store.Put(ctx, key, body, a)
	return etag, lost(fault, err)
}

// Get opens an object, or meets a fault.
func (f *Faulty) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	fault, err := f.meet(ctx, OpGet, key)
	if err != nil {
		return nil, storage.Object{}, err
	}
	r, o, err := f.Store.Get(ctx, key, off, n)
	if err != nil || fault.CutBody == 0 && !fault.Corrupted {
		return r, o, err
	}
	return &faultyBody{ReadCloser: r, fault: fault}, o, nil
}

type faultyBody struct {
	io.ReadCloser
	fault Fault
	pos   int64
}

func (b *faultyBody) Read(p []byte) (int, error) {
	if cut := b.fault.CutBody; cut > 0 {
		if b.pos >= cut {
			return 0, b.fault.Err
		}
		p = p[:min(int64(len(p)), cut-b.pos)]
	}
	n, err := b.ReadCloser.Read(p)
	if b.fault.Corrupted && b.pos == 0 && n > 0 {
		p[0] ^= 0xff
	}
	b.pos += int64(n)
	return n, err
}

// Stat describes an object, or meets a fault.
func (f *Faulty) Stat(ctx context.Context, key string) (storage.Object, error) {
	fault, err := f.meet(ctx, OpStat, key)
	if err != nil {
		return storage.Object{}, err
	}
	o, err := f.Store.Stat(ctx, key)
	return o, lost(fault, err)
}

// List lists keys, or meets a fault.
func (f *Faulty) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	fault, err := f.meet(ctx, OpList, prefix)
	if err != nil {
		return err
	}
	return lost(fault, f.Store.List(ctx, prefix, fn))
}

// Remove deletes keys, or meets a fault.
func (f *Faulty) Remove(ctx context.Context, keys ...string) error {
	key := ""
	if len(keys) > 0 {
		key = keys[0]
	}
	fault, err := f.meet(ctx, OpRemove, key)
	if err != nil {
		return err
	}
	return lost(fault, f.Store.Remove(ctx, keys...))
}
