package tracks

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// Manifest is what a DASH manifest in a store is made of.
type Manifest struct {
	Name   segmenter.Name // of KindDASHEntry or KindDASHArchive
	Master *m3u8.Master   // over transport streams, of the same recordings; it is changed
	Type   m3u8.Type
	Lists  []*List // what each of these recordings has
	// Head reads the head of a row's segment. It returns nil where nothing can be made of it.
	Head func(l *List, row *segmenter.Row) (*cmaf.Config, error)
}

// ErrNothing means that there is nothing that a manifest could lead to.
var ErrNothing = errors.New("there is neither video nor audio")

// Object renders the manifest. A store cannot tell the time, so it names no clock. The error is a *cmaf.NoForm, ErrNothing, or of Head.
func (m *Manifest) Object() (Object, error) {
	if len(m.Lists) == 0 {
		return Object{}, ErrNothing
	}
	if err := Tracks(m.Master, m.Name.App, m.Lists[0].Recording); err != nil {
		return Object{}, err
	}
	at := *m
	at.Lists = nil
	for _, l := range m.Lists { // as playlists tell the time, of which others make the same manifest
		short := *l
		short.Rows = slices.Clone(l.Rows)
		for i := range short.Rows {
			short.Rows[i].Start = short.Rows[i].Start.Truncate(time.Millisecond)
		}
		at.Lists = append(at.Lists, &short)
	}
	lines, err := cmaf.Lines(m.Master, m.Name.App, at.line)
	switch {
	case err != nil:
		return Object{}, err
	case len(lines) == 0:
		return Object{}, ErrNothing
	}
	first := at.list(lines[0].Name)
	begun, _ := first.Recording.Time()
	doc := cmaf.Manifest{
		Begun: begun, Type: m.Type, TargetDuration: first.TargetDuration, EndList: first.EndList, Modified: first.Rows[len(first.Rows)-1].End(), Timeless: true,
	}
	return Object{m.Name, doc.Append(nil, lines), attributes(m.Name, first.TargetDuration, first.EndList && m.Type != m3u8.Sliding)}, nil
}

// list is what the recording of a stream has; nil where it has nothing.
func (m *Manifest) list(stream string) *List {
	i := slices.IndexFunc(m.Lists, func(l *List) bool { return l.Stream == stream })
	if i < 0 {
		return nil
	}
	return m.Lists[i]
}

// line is a track of the manifest.
func (m *Manifest) line(n segmenter.Name) (*cmaf.Line, error) {
	l := m.list(n.Stream)
	if l == nil {
		return nil, nil
	}
	all, err := l.coded(m.Head)
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for _, s := range all {
		if s.Ends(n.Track) {
			s.Rows = s.Rows[:len(s.Rows)-1]
		}
		if s.Config != nil && len(s.Rows) > 0 {
			kept = append(kept, s)
		}
	}
	if len(kept) == 0 {
		return nil, nil
	}
	return &cmaf.Line{Dir: l.Stream + "/" + string(l.Recording) + "/" + string(rune(n.Track)) + "/", Stretches: kept}, nil
}

// Origin is where the stretch of rows began that a list begins in. The zero value is where the list begins, with a discontinuity.
type Origin struct {
	Since  uint64 // as of cmaf.Stretch
	Begun  time.Time
	Before int64
}

// From is the list from its i-th row on.
func (l *List) From(i int) List {
	short := *l
	short.Rows, short.Codings, short.Origin = l.Rows[i:], l.Codings[i:], Origin{}
	var have Coding // of what lies behind
	for ; i > 0 && !l.Rows[i].Discontinuity; i-- {
		if !l.Rows[i].Gap {
			have = have.Over(l.Codings[i])
		}
		if !l.Rows[i-1].Gap && l.Codings[i-1].Changes(have) {
			short.Origin.Since = l.Rows[i].Sequence
			break
		}
		short.Origin.Before += l.Rows[i-1].Duration
	}
	short.Origin.Begun = l.Rows[i].Start.Truncate(time.Millisecond)
	return short
}

// coded are the stretches with how each is coded. A gap ends one: a manifest numbers what it names, and cannot leave anything out.
func (l *List) coded(head func(l *List, row *segmenter.Row) (*cmaf.Config, error)) (all []cmaf.Stretch, err error) {
	at := 0
	for _, s := range l.stretches() {
		rows, last := s.Rows, s.Last
		for from := 0; from < len(rows); {
			to := from
			for to < len(rows) && !rows[to].Gap {
				to++
			}
			if s.Rows = rows[from:to]; to > from {
				if s.Last = nil; to == len(rows) {
					s.Last = last
				}
				l.place(&s, at+from)
				codings := l.Codings[at+from : at+to]
				c := s // how it is listed stays as it is, for what follows
				if c.Config, c.Of, err = l.config(&s, codings, head); err != nil {
					return nil, err
				}
				all = append(all, c)
			}
			from = to + 1
		}
		at += len(rows)
	}
	return all, nil
}

// place says where a stretch began, the first row of which is the i-th.
func (l *List) place(s *cmaf.Stretch, i int) {
	s.Begun, s.Since, s.Before = s.Rows[0].Start.Truncate(time.Millisecond), 0, 0
	switch {
	case i == 0 && !l.Origin.Begun.IsZero():
		s.Since, s.Begun, s.Before = l.Origin.Since, l.Origin.Begun, l.Origin.Before
	case i > 0 && !s.Rows[0].Discontinuity:
		s.Since = s.Rows[0].Sequence
	}
}

// tries is how many segments of a stretch are looked at, at most.
const tries = 4

// config is how a stretch is coded, by the newest of its rows that has all tracks which it is listed with; nil where none of a few can be read.
func (l *List) config(s *cmaf.Stretch, codings []Coding, head func(l *List, row *segmenter.Row) (*cmaf.Config, error)) (*cmaf.Config, segmenter.Row, error) {
	want := Coding{s.Config.Init(segmenter.VideoTrack).CRC32C, s.Config.Init(segmenter.AudioTrack).CRC32C}
	left := tries
	for i := len(s.Rows) - 1; i >= 0 && left > 0 && !want.None(); i-- {
		var have Coding
		if have.Video, have.Audio = codings[i].shown(); have != want || s.Rows[i].Gap {
			continue
		}
		left--
		if c, err := head(l, &s.Rows[i]); c != nil || err != nil {
			return c, s.Rows[i], err
		}
	}
	return nil, segmenter.Row{}, nil
}

// Heads are heads of segments that were read, by their numbers, since manifests need the same again and again. It is safe for concurrent
// use, and its zero value is ready.
type Heads struct {
	mu  sync.Mutex
	all map[uint64]*cmaf.Config
}

// maxHeads is how many heads are kept. All are let go when there are more.
const maxHeads = 256

// Get is the head of a row's segment, which read reads where it is not known.
func (h *Heads) Get(sequence uint64, read func() (*cmaf.Config, error)) (*cmaf.Config, error) {
	h.mu.Lock()
	c := h.all[sequence]
	h.mu.Unlock()
	if c != nil {
		return c, nil
	}
	c, err := read()
	if c == nil || err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil || len(h.all) >= maxHeads {
		h.all = map[uint64]*cmaf.Config{}
	}
	h.all[sequence] = c
	return c, nil
}
