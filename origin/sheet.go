package origin

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// sheet is a playlist with its header fields, made once per generation and shared by all requests.
type sheet struct {
	playlist     *segmenter.Playlist
	state        segmenter.State
	cacheControl string
	lastModified string
	size         string
	gzipSize     string
	lastSequence string // X-HLS-Last-Sequence; "" for none
	lastUpdated  string // X-HLS-Last-Updated, epoch milliseconds

	from *segmenter.Playlist // the ordinary entry that a low-latency one was made of
}

func newSheet(p *segmenter.Playlist, cacheControl string) *sheet {
	return &sheet{
		playlist:     p,
		cacheControl: cacheControl,
		lastModified: httpDate(p.Modified),
		size:         itoa(int64(len(p.Body))),
		gzipSize:     itoa(int64(len(p.Gzip))),
	}
}

// aged returns the sheet with another Cache-Control: the same text at another stage of the recording.
func (s *sheet) aged(cacheControl string) *sheet {
	if s.cacheControl == cacheControl {
		return s
	}
	again := *s
	again.cacheControl = cacheControl
	return &again
}

// sheetOf returns the sheet of this playlist, or makes it.
func (o *Origin) sheetOf(name segmenter.Name, snap *segmenter.Snapshot, p *segmenter.Playlist, s *slot) *sheet {
	if s != nil {
		if sh := s.sheet.Load(); sh != nil && sh.playlist == p && sh.state == snap.State {
			return sh
		}
	}
	td := snap.TargetDuration
	ended := snap.State == segmenter.Ended
	var sh *sheet
	switch name.Kind {
	case segmenter.KindEntry:
		sh = newSheet(p, name.Kind.Age(td, false)) // also when ended: a restarted show must not be hidden by its past
	case segmenter.KindLive:
		sh = newSheet(p, name.Kind.Age(td, ended))
		if snap.Next() > 0 {
			sh.lastSequence = itoa(int64(snap.Next() - 1))
		}
		sh.lastUpdated = itoa(p.Modified.UnixMilli())
	default:
		sh = newSheet(p, name.Kind.Age(td, ended && o.opts.Settled(name.App, name.Stream, name.Recording)))
	}
	sh.state = snap.State
	if s != nil {
		s.sheet.Store(sh)
	}
	return sh
}

func httpDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// slot remembers what a path stands for and the newest sheet of it, so that a poll costs one lookup. It holds a playlist, never a snapshot,
// which would keep the table of a whole recording alive.
type slot struct {
	name  segmenter.Name
	sheet atomic.Pointer[sheet]
	made  atomic.Pointer[made]          // of CMAF and DASH
	edges [2]atomic.Pointer[edgeSheets] // of a low-latency playlist: whole, and as a delta update
}

// maxSlots is half the number of paths that slots can hold.
const maxSlots = 4096

// slots is a bounded table with two generations: when the young one is full, the old one is dropped and replaced by it. A path that is
// requested survives by being moved to the young one.
type slots struct {
	mu         sync.RWMutex
	max        int
	young, old map[string]*slot
}

func (s *slots) find(path string) *slot {
	s.mu.RLock()
	found := s.young[path]
	aged := s.old[path]
	s.mu.RUnlock()
	if found == nil && aged != nil {
		s.insert(aged.name, path, aged)
		return aged
	}
	return found
}

// insert stores the slot under a copy of path; the name must not be borrowed.
func (s *slots) insert(name segmenter.Name, path string, as *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || len(s.young) >= s.max {
		s.old, s.young = s.young, make(map[string]*slot)
	}
	if as == nil {
		as = &slot{name: name}
	}
	s.young[strings.Clone(path)] = as
}
