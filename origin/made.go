package origin

import (
	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

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
}

// rolls reports whether a kind is made anew with each segment, and polled.
func rolls(kind segmenter.Kind) bool {
	return kind == segmenter.KindTrackLive || kind == segmenter.KindCMAFEntry || kind == segmenter.KindDASHEntry
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
		s := source{name, l.sheet.playlist, l.sheet.state}
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
