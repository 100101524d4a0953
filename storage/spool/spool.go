package spool

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// Sync says when the spool waits for the disk.
type Sync string

// The policies. What each may lose in a power failure is in docs/bucket.md; a crash of only the process loses the same little with all
// three.
const (
	Always  Sync = "always"  // every record and every segment
	Segment Sync = "segment" // every segment, with the records that came before it
	Never   Sync = "never"   // the system decides; a recording does not go on after a power failure
)

// Options of a Spool.
type Options struct {
	Dir      string // created at the first write
	MaxBytes int64  // of segments; 0: 20 GiB
	Sync     Sync   // "": Segment
	BootID   string // changes with every boot of the machine; "" reads the system's
	FS       FS     // the zero value is the operating system's
}

// DefaultMaxBytes is used if Options.MaxBytes is 0.
const DefaultMaxBytes = 20 << 30

// Stats may be read at any time.
type Stats struct {
	Bytes        atomic.Int64 // gauge: bytes of segments in the folder
	Files        atomic.Int64 // gauge: segments in the folder
	Evicted      atomic.Int64 // removed segments that every target had
	Dropped      atomic.Int64 // segments removed for lack of room before every target had them
	DroppedBytes atomic.Int64
	Aside        atomic.Int64 // gauge: folders that were put aside because they could not be understood
	Errors       atomic.Int64 // failed writes of segments and journals
	Changed      atomic.Int64 // requested segments whose files had another size than was written
}

// Need says what a segment is still needed for.
type Need uint8

// In the order in which they are given up when room is needed.
const (
	Free   Need = iota // every target has it and it is in no playlist
	Wanted             // every target has it; viewers may still request it here
	Unsent             // this may be the only copy
)

// Owner answers for the segments of one recording. Both methods are called from any goroutine. Need is called with the spool locked: it
// must not call the spool.
type Owner interface {
	Need(sequence uint64) Need
	// Dropped reports that an unsent segment had to be removed.
	Dropped(sequence uint64)
}

// Spool is one directory. It is safe for concurrent use; each Folder has one user at a time.
type Spool struct {
	o     Options
	fs    FS
	stats Stats

	mu    sync.Mutex // never held during I/O
	files []file     // oldest first
	aside []string   // folders that were put aside
	index index
	// Folders that are being read for the index, until all have been: closed, and nil here, when that is done.
	looked      map[string]chan struct{}
	folders     map[string]bool // that Recover saw, or that were made since
	surveyed    bool            // Recover saw all that there were
	inventoried bool
}

// file is one segment on disk.
type file struct {
	in       *Folder
	sequence uint64
	size     int64 // bytes; 0 where foreign
	foreign  bool  // not as the journal says: it is not a segment, and does not count towards the cap
}

// victim is a file to be removed, with the owner it had when that was decided.
type victim struct {
	file
	owner Owner
}

// New returns a Spool. It does not touch the disk before Recover or the first write.
func New(o Options) *Spool {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Sync == "" {
		o.Sync = Segment
	}
	if o.BootID == "" {
		o.BootID = bootID()
	}
	return &Spool{o: o, fs: o.FS.withDefaults(), index: index{}, looked: map[string]chan struct{}{}, folders: map[string]bool{}}
}

// bootID returns "" if the system has none; then Never trusts no journal that was not closed properly.
func bootID() string {
	p, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(p))
}

// Stats returns the spool's counters.
func (s *Spool) Stats() *Stats { return &s.stats }

// MaxBytes returns the cap.
func (s *Spool) MaxBytes() int64 { return s.o.MaxBytes }

func (s *Spool) add(f file) {
	s.mu.Lock()
	s.files = append(s.files, f)
	f.in.files++
	s.index.put(f.in.key, f.sequence, f.size)
	s.mu.Unlock()
	s.stats.Bytes.Add(f.size)
	s.stats.Files.Add(1)
}

// makeRoom evicts until size more bytes fit under the cap, as far as possible.
func (s *Spool) makeRoom(size int64) {
	if over := s.stats.Bytes.Load() + size - s.o.MaxBytes; over > 0 {
		s.evict(over)
	}
}

// evict removes segments, oldest first: those nobody needs, then those that may still be requested, then those that nobody else has, until
// at least that many bytes are free. It reports whether any were freed.
func (s *Spool) evict(bytes int64) bool { return s.evictUpTo(bytes, Unsent) }

// Spare is for who writes beside the spool, to a disk that is full: it evicts as the spool's own writes do, but nothing that is unsent.
func (s *Spool) Spare(bytes int64) bool { return s.evictUpTo(bytes+copySlack, Wanted) }

// evictUpTo evicts what is needed no more than that.
func (s *Spool) evictUpTo(bytes int64, most Need) bool {
	victims, unsent := s.choose(bytes, most)
	for i, v := range victims {
		err := s.fs.Remove(v.in.path(segmentFile(v.sequence)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			// It stays, and so does its size: the next call that needs room tries again.
			s.stats.Errors.Add(1)
			s.putBack(victims[i:])
			return i > 0
		}
		s.stats.Bytes.Add(-v.size)
		s.stats.Files.Add(-1)
		if i >= unsent {
			s.stats.Dropped.Add(1)
			s.stats.DroppedBytes.Add(v.size)
			v.owner.Dropped(v.sequence)
		} else {
			s.stats.Evicted.Add(1)
		}
		s.forgetEmpty(v.in)
	}
	return len(victims) > 0
}

// choose removes the victims from the list; those from index unsent on are the only copies.
func (s *Spool) choose(bytes int64, most Need) (victims []victim, unsent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var byNeed [Unsent + 1][]int
	var freed int64
	for i, f := range s.files {
		need := Free
		if f.in.owner != nil {
			need = f.in.owner.Need(f.sequence)
		}
		byNeed[need] = append(byNeed[need], i)
		if need == Free {
			if freed += f.size; freed >= bytes {
				break
			}
		}
	}
	gone := map[int]bool{}
	freed = 0
	for need := Free; need <= most; need++ {
		for _, i := range byNeed[need] {
			if freed >= bytes {
				break
			}
			freed += s.files[i].size
			victims = append(victims, victim{s.files[i], s.files[i].in.owner})
			gone[i] = true
		}
		if need < Unsent {
			unsent = len(victims)
		}
	}
	kept := s.files[:0]
	for i, f := range s.files {
		if gone[i] {
			f.in.files--
			s.index.drop(f.in.key, f.sequence)
		} else {
			kept = append(kept, f)
		}
	}
	clear(s.files[len(kept):])
	s.files = kept
	return victims, unsent
}

func (s *Spool) putBack(victims []victim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := make([]file, 0, len(victims)+len(s.files))
	for _, v := range victims {
		files = append(files, v.file)
		v.in.files++
		if !v.foreign {
			s.index.put(v.in.key, v.sequence, v.size)
		}
	}
	s.files = append(files, s.files...)
}

// forgetEmpty removes the folder of a finished recording with its last segment.
func (s *Spool) forgetEmpty(f *Folder) {
	s.mu.Lock()
	empty := f.done && f.files == 0
	s.mu.Unlock()
	if empty {
		f.remove()
	}
}
