package held

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/episode"
)

// Options of a Box. Now is required.
type Options struct {
	Dir      string // of the spool; what is kept lies in a folder of it, which is created at the first write
	Sync     bool   // what Keep has written survives a crash of the machine, not only of the process
	MaxBytes int64  // of what is kept; 0: no bound
	Now      func() time.Time
	Log      *slog.Logger // default: none
	// Room makes room on a disk that is full, and reports whether it has; nil: nothing can.
	Room func(bytes int64) bool
	// Write writes all of p, Fsync brings a file to the disk; nil: as the system does. Tests insert a disk that fails or hangs.
	Write func(f *os.File, p []byte) error
	Fsync func(f *os.File) error
}

// Stats may be read at any time.
type Stats struct {
	Files  atomic.Int64  // gauge: on disk
	Bytes  atomic.Int64  // gauge: of segments in them
	Failed atomic.Uint64 // segments that the disk did not take, or not in time
}

// Box keeps segments. It is safe for concurrent use. Run removes what is not needed any more.
type Box struct {
	Stats Stats

	o       Options
	slots   chan struct{} // of writes under way
	writing sync.WaitGroup
	wake    chan struct{}
	heads   map[string]Segment // of what an earlier process left, by file, without their bytes; until TakeUp

	mu      sync.Mutex // never held during I/O
	next    uint64     // number of the next file
	slow    int        // writes under way that have taken longer than patience
	claimed int64      // bytes that what is needed takes
	passed  []*entry   // what stays for a moment yet, the oldest first
	leaving []*entry   // what is to be removed
	spell   episode.Spell
}

// entry is a file. Guarded by Box.mu.
type entry struct {
	name    string
	size    int64
	writing bool
	slow    bool      // it has been for longer than patience
	over    bool      // nobody needs it
	due     time.Time // when it is not needed any more
}

const (
	patience  = 200 * time.Millisecond // for the disk: as long as the bucket waits for it
	passedFor = 5 * time.Second        // how long what was passed on stays: the spool has it by then, or its disk is in trouble
	maxWrites = 8                      // under way at once
	fileBytes = 4 << 10                // that a file takes beside its segment, about
)

// New returns a Box. It does not touch the disk.
func New(o Options) *Box {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Write == nil {
		o.Write = func(f *os.File, p []byte) error { _, err := f.Write(p); return err }
	}
	if o.Fsync == nil {
		o.Fsync = (*os.File).Sync
	}
	return &Box{o: o, slots: make(chan struct{}, maxWrites), wake: make(chan struct{}, 1)}
}

func (b *Box) dir() string             { return filepath.Join(b.o.Dir, dirName) }
func (b *Box) path(name string) string { return filepath.Join(b.dir(), name) }

// Reasons for not keeping something.
var (
	errSlow = errors.New("the disk does not answer")
	errMany = errors.New("as much is kept as may be")
)

// Keep writes a segment, of which nothing may be changed any more. It returns when the disk has it, or when that takes longer than a moment.
// done says that it is not needed any more: from now on or, where it was passed on to the spool, from a moment later on. It waits for nothing,
// and only its first call counts. It is nil where the segment is not kept.
func (b *Box) Keep(s *Segment) (done func(passed bool)) {
	e, err := b.admit(s.Size)
	if err != nil {
		b.failed(err)
		return nil
	}
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case b.slots <- struct{}{}:
	case <-enough.C:
		b.wrote(e, errSlow)
		b.failed(errSlow)
		return nil
	}
	written := make(chan error, 1)
	b.writing.Go(func() {
		err := b.write(e.name, s)
		if full(err) && b.o.Room != nil && b.o.Room(s.Size+maxHead) {
			err = b.write(e.name, s)
		}
		<-b.slots
		b.wrote(e, err)
		written <- err
	})
	select {
	case err := <-written:
		if err != nil {
			b.failed(err)
			return nil
		}
		b.worked()
	case <-enough.C:
		if b.late(e) {
			b.failed(errSlow)
		} else if err := <-written; err != nil { // it has ended in the same moment
			b.failed(err)
			return nil
		}
	}
	return func(passed bool) { b.done(e, passed) }
}

// full reports whether err means that there is no room.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// admit claims the room for a file. What was passed on makes room for what was not. While a write hangs, none is tried.
func (b *Box) admit(size int64) (*entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slow > 0 {
		return nil, errSlow
	}
	for b.o.MaxBytes > 0 && b.claimed+size+fileBytes > b.o.MaxBytes {
		if len(b.passed) == 0 {
			return nil, errMany
		}
		b.leave(b.passed[0])
		b.passed = b.passed[1:]
	}
	b.claimed += size + fileBytes
	b.next = max(b.next+1, uint64(b.o.Now().UnixNano()))
	return &entry{name: fmt.Sprintf(nameForm, b.next), size: size, writing: true}, nil
}

// wrote notes that a write has ended.
func (b *Box) wrote(e *entry, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.writing = false
	if e.slow {
		b.slow--
	}
	switch {
	case err == nil:
		b.Stats.Files.Add(1)
		b.Stats.Bytes.Add(e.size)
		if e.over {
			b.leaving = append(b.leaving, e)
			b.stir()
		}
	case !e.over:
		e.over = true
		b.claimed -= e.size + fileBytes
	}
}

// late notes that a write takes longer than is waited for it; false: it has ended.
func (b *Box) late(e *entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.writing {
		e.slow = true
		b.slow++
	}
	return e.slow
}

// failed counts what is not kept, worked that something is; either says so in the log where that is news.
func (b *Box) failed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Stats.Failed.Add(1)
	if b.spell.Bad(b.o.Now()) {
		b.o.Log.Error("segments by HTTP that wait for their playlist are not kept on disk, a crash now would lose them; nothing else is affected: check that spool.dir is writable and has room", "err", err)
	}
}

func (b *Box) worked() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if lasted, tell := b.spell.Good(b.o.Now()); tell {
		b.o.Log.Info("segments by HTTP that wait for their playlist are kept on disk again", "after", lasted.Round(time.Millisecond))
	}
}

// done is what Keep returns.
func (b *Box) done(e *entry, passed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case e.over || !e.due.IsZero():
		return
	case passed:
		e.due = b.o.Now().Add(passedFor)
		b.passed = append(b.passed, e)
	default:
		b.leave(e)
	}
	b.stir()
}

// leave gives a file up. b.mu is held.
func (b *Box) leave(e *entry) {
	e.over = true
	b.claimed -= e.size + fileBytes
	if !e.writing {
		b.leaving = append(b.leaving, e)
	}
}

// stir wakes Run. b.mu is held.
func (b *Box) stir() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Run removes what is not needed any more until ctx ends. Then it removes what was passed on, too: the spool has settled. What was not stays
// for the next process.
func (b *Box) Run(ctx context.Context) error {
	for {
		wait := b.sweep(false)
		next := time.NewTimer(wait)
		select {
		case <-b.wake:
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			b.writing.Wait()
			b.sweep(true)
			return nil
		}
		next.Stop()
	}
}

// sweep removes what is not needed any more, and returns how long there will be nothing else.
func (b *Box) sweep(all bool) (wait time.Duration) {
	now := b.o.Now()
	b.mu.Lock()
	for len(b.passed) > 0 && (all || !now.Before(b.passed[0].due)) {
		b.leave(b.passed[0])
		b.passed = b.passed[1:]
	}
	wait = passedFor
	if len(b.passed) > 0 {
		wait = max(b.passed[0].due.Sub(now), time.Millisecond)
	}
	leaving := b.leaving
	b.leaving = nil
	b.mu.Unlock()
	for _, e := range leaving {
		b.remove(e.name)
		b.Stats.Files.Add(-1)
		b.Stats.Bytes.Add(-e.size)
	}
	return wait
}

// remove removes a file. One that cannot be is looked at again at the next start.
func (b *Box) remove(name string) {
	if err := os.Remove(b.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.failed(fmt.Errorf("remove: %w", err))
	}
}
