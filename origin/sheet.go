package origin

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
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
	made  atomic.Pointer[made]         // of CMAF and DASH
	edges [2]atomic.Pointer[edgeSheet] // of a low-latency playlist: whole, and as a delta update
	copy  atomic.Pointer[copied]       // of one that another server has
	least atomic.Pointer[least]        // of one that another server has, and that was shown from the bucket
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

// made is a playlist of CMAF, or a manifest, with what it was made of. As a slot does, it holds playlists and no snapshot.
type made struct {
	sheet *sheet
	of    []source
}

// source is a playlist in memory, of which a page was made.
type source struct {
	name     segmenter.Name
	playlist *segmenter.Playlist
	state    segmenter.State
	edge     uint64 // of a manifest of low latency: the number after its newest segment, which that playlist may not list yet; else 0
}

// rolls reports whether a kind is made anew with each segment, and polled.
func rolls(kind segmenter.Kind) bool {
	return kind == segmenter.KindTrackLive || kind == segmenter.KindCMAFEntry || kind == segmenter.KindDASHEntry || kind == segmenter.KindLowLatencyDASH
}

// madeOf is the page of a slot, as long as nothing that it was made of has changed; nil then, and where there is none. So a poll costs a
// look at what is published, as with the playlists themselves.
func (o *Origin) madeOf(s *slot) *sheet {
	if s == nil {
		return nil
	}
	m := s.made.Load()
	if m == nil {
		return nil
	}
	for i := range m.of {
		if !o.stands(&m.of[i]) {
			return nil
		}
	}
	return m.sheet
}

// stands reports whether a playlist is the one that is published.
func (o *Origin) stands(s *source) bool {
	line := o.line(s.name)
	if line == nil {
		return false
	}
	snap := line.Snapshot()
	if s.edge > 0 && snap.Whole().Next() != s.edge {
		return false
	}
	return snap.State == s.state && published(snap, s.name.Kind) == s.playlist && !(s.state == segmenter.Stalled && o.rules.Load().failOnStale)
}

// keepMade keeps a page in the slot of its path, if it is one that is polled, and as it is without a view.
func (o *Origin) keepMade(req *http1.Request, a *ask, sh *sheet, of ...*listing) {
	if !rolls(a.name.Kind) || !a.view.plain() {
		return
	}
	m := &made{sheet: sh}
	for _, l := range of {
		if l.sheet == nil {
			return
		}
		name, ok := segmenter.ParseName(l.name.String()) // l's may be borrowed from the request
		s := source{name, l.sheet.playlist, l.sheet.state, l.edge}
		if !ok || !o.stands(&s) {
			return
		}
		m.of = append(m.of, s)
	}
	o.remember(req, a)
	if a.slot != nil {
		a.slot.made.Store(m)
	}
}
