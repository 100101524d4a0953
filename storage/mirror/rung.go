package mirror

import (
	"context"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// Rung is a recording as package ladder sees it, which writes the playlists that lead to several of them: it tells what each store has of it.
// It may be asked when the mirror has forgotten it, too. Its methods take recording.mu.
type Rung struct{ r *recording }

// Way is how a recording gets to a store: its transport stream, or what is made of that as CMAF.
type Way struct {
	Store  int // index in Mirror.Uploaders
	Tracks bool
}

func (w Way) target() int {
	if w.Tracks {
		return w.Store + maxStores
	}
	return w.Store
}

// Rung returns a recording that the mirror still works on; nil where there is none.
func (m *Mirror) Rung(key segmenter.Key, id segmenter.RecordingID) *Rung {
	if r := m.find(key, id); r != nil {
		return &Rung{r}
	}
	return nil
}

// Archives returns the names of its timestamped playlists that the table tells of.
func (g *Rung) Archives() (names []segmenter.RecordingID) {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	for _, sp := range g.r.splits {
		names = append(names, sp.name)
	}
	return names
}

// Finished reports whether a store has a final timestamped playlist.
func (g *Rung) Finished(way Way, name segmenter.RecordingID) bool {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	for _, sp := range g.r.splits {
		if sp.name == name {
			return sp.final&(1<<way.target()) != 0
		}
	}
	return true // finished so long ago that the table has forgotten it
}

// lane is the one of a way; nil where nothing goes it.
func (g *Rung) lane(way Way) *lane {
	l := g.r.way(way.target())
	if l != nil && l.of != nil && len(g.r.codings) == 0 {
		return nil // there is nothing of it as CMAF
	}
	return l
}

// Has reports whether a store has a playlist of it.
func (g *Rung) Has(way Way, n segmenter.Name) bool {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	l := g.lane(way)
	switch {
	case l == nil:
		return false
	case n.Kind == segmenter.KindLive:
		return l.liveWritten
	}
	for i, sp := range g.r.splits {
		if sp.name == n.Recording {
			return i < l.split && !sp.before || i == l.split && l.named > sp.first
		}
	}
	return false
}

// HadBefore reports whether a store may have a playlist of it that the table does not tell of: from before a start or a takeover, when it was
// not written again yet, or so long ago that the table has forgotten it.
func (g *Rung) HadBefore(way Way, n segmenter.Name) bool {
	g.r.mu.Lock()
	defer g.r.mu.Unlock()
	l, splits := g.lane(way), g.r.splits
	switch {
	case l == nil:
		return false
	case n.Kind == segmenter.KindLive:
		return g.r.recalled && !l.liveWritten
	}
	i := slices.IndexFunc(splits, func(sp split) bool { return sp.name == n.Recording })
	if i < 0 {
		return len(splits) > 0 && n.Recording < splits[0].name
	}
	return g.r.recalled && (i < l.split && splits[i].before || i == l.split && l.named <= splits[i].first)
}

// Stored is what a store has of a recording as CMAF by a playlist that is there.
type Stored struct {
	First, Next uint64 // the first segment, and the number after the last
	Gaps        uint64
	Ended       bool // nothing will be added

	lane  *lane
	known began
}

// Stored finds it by the playlist over the transport stream; not ok where there is nothing, or the table has forgotten some of it.
func (g *Rung) Stored(store int, n segmenter.Name) (s *Stored, ok bool) {
	r := g.r
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.way(Way{store, true}.target())
	if l == nil {
		return nil, false
	}
	if n.Kind != segmenter.KindArchive {
		return &Stored{l.liveFirst, l.liveNext, l.liveGaps, l.liveEnded, l, l.began}, l.liveNext > l.liveFirst
	}
	i := slices.IndexFunc(r.splits, func(sp split) bool { return sp.name == n.Recording })
	if i < 0 {
		return nil, false
	}
	s = &Stored{lane: l, First: r.splits[i].first, Next: l.named}
	if i < l.split {
		if s.Next, s.Ended = r.next(), true; i+1 < len(r.splits) {
			s.Next = r.splits[i+1].first
		}
	}
	return s, s.Next > s.First && s.First >= r.base
}

// List is what playlists over it are made of; nil where the table has forgotten some of it meanwhile.
func (s *Stored) List() *tracks.List {
	r := s.lane.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.First < r.base {
		return nil
	}
	list := s.lane.trackList(s.First, s.Next, s.Ended)
	list.Origin = s.lane.origin(s.First, s.known).Origin
	return &list
}

// Head is how a segment is coded, as read from where it is nearest; nil where nothing can be made of it.
func (g *Rung) Head(ctx context.Context, store int, row *segmenter.Row) (*cmaf.Config, error) {
	return g.r.m.uploaders[store].head(ctx, g.r, row, coded{})
}
