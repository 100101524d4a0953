// Package tracks makes of a recording's segments what a store has of it as CMAF: fragments and init segments, the playlists of its
// tracks, and the multivariant playlists over these. All of it is a function of the transport stream's bytes and rows, so that it is
// the same whoever makes it, and whenever. The package does no I/O, and refuses to know what a store has: who calls it says so.
package tracks

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Coding is how a segment is coded, by the CRC-32C of the init segments of its tracks. 0: there is no such track. Hollow: there is a fragment
// of the track, with nothing in it, and so no init segment.
type Coding struct{ Video, Audio uint32 }

// Hollow is the track of a segment that the tables announce, and that has no picture or no sound in it.
const Hollow = 1

// None reports whether there is nothing of the segment.
func (c Coding) None() bool { return c == Coding{} }

// Of is the CRC-32C of the track's init segment, or Hollow, or 0.
func (c Coding) Of(t segmenter.Track) uint32 {
	if t == segmenter.VideoTrack {
		return c.Video
	}
	return c.Audio
}

// Over is c with what o has in its place.
func (c Coding) Over(o Coding) Coding {
	if o.Video > Hollow {
		c.Video = o.Video
	}
	if o.Audio > Hollow {
		c.Audio = o.Audio
	}
	return c
}

// Changes reports whether next has another init segment than c for a track that both have.
func (c Coding) Changes(next Coding) bool {
	other := func(a, b uint32) bool { return a > Hollow && b > Hollow && a != b }
	return other(c.Video, next.Video) || other(c.Audio, next.Audio)
}

// Both are the tracks, in the order in which they are stored.
func Both() [2]segmenter.Track { return [2]segmenter.Track{segmenter.VideoTrack, segmenter.AudioTrack} }

// Object is something to be stored.
type Object struct {
	Name segmenter.Name
	Body []byte
	storage.Attributes
}

// Segment is a segment as CMAF.
type Segment struct {
	Coding
	Config *cmaf.Config // of its head
	tracks fmp4.Tracks
}

// Renderer renders segments. It is safe for concurrent use, and its zero value is ready.
type Renderer struct{ pool sync.Pool }

// MaxSegment is the largest segment that should be rendered, in bytes: ten seconds at 100 Mb/s. It is in memory as a whole, twice.
const MaxSegment = 128 << 20

// Segment renders the segment of a row, which is given in pieces of whole packets. The error is a *cmaf.NoForm, or that the segment is
// damaged: nothing can be made of it, however often that is tried.
func (r *Renderer) Segment(pieces [][]byte, row *segmenter.Row) (*Segment, error) {
	m, ok := r.pool.Get().(*fmp4.Remuxer)
	if !ok {
		m = new(fmp4.Remuxer)
	}
	defer r.pool.Put(m)
	head, err := m.Head(pieces)
	if err != nil {
		return nil, fmt.Errorf("render segment %d: %w", row.Sequence, err)
	}
	if head.Unfit != "" {
		return nil, &cmaf.NoForm{Codec: head.Unfit}
	}
	s := &Segment{Config: cmaf.NewConfig(head)}
	of := fmp4.Segment{Number: row.Sequence, Start: row.Start.UnixMilli() * (segmenter.Clock / 1000), Duration: row.Duration}
	if _, s.tracks, err = m.Remux(nil, pieces, of); err != nil {
		return nil, fmt.Errorf("render segment %d: %w", row.Sequence, err)
	}
	s.Coding = Coding{s.codingOf(segmenter.VideoTrack), s.codingOf(segmenter.AudioTrack)}
	return s, nil
}

// Head is how a segment is coded, with the errors of Segment.
func (r *Renderer) Head(pieces [][]byte) (*cmaf.Config, error) {
	m, ok := r.pool.Get().(*fmp4.Remuxer)
	if !ok {
		m = new(fmp4.Remuxer)
	}
	defer r.pool.Put(m)
	head, err := m.Head(pieces)
	switch {
	case err != nil:
		return nil, err
	case head.Unfit != "":
		return nil, &cmaf.NoForm{Codec: head.Unfit}
	}
	return cmaf.NewConfig(head), nil
}

// Track is the fragment of a track; empty where there is none.
func (s *Segment) Track(t segmenter.Track) []byte {
	if t == segmenter.VideoTrack {
		return s.tracks.Video.Data
	}
	return s.tracks.Audio.Data
}

func (s *Segment) codingOf(t segmenter.Track) uint32 {
	init := s.Config.Init(t)
	switch {
	case len(s.Track(t)) == 0:
		return 0
	case init.Body == nil:
		return Hollow
	}
	return init.CRC32C
}

// Objects are what is stored of a segment of a recording: the init segments first.
func (s *Segment) Objects(k segmenter.Key, id segmenter.RecordingID, sequence uint64) (list []Object) {
	add := func(n segmenter.Name, body []byte) {
		if len(body) > 0 {
			a := attributes(n, 0, true)
			a.IfAbsent, a.CRC32C = true, binary.BigEndian.AppendUint32(nil, mpegts.Checksum(body))
			list = append(list, Object{n, body, a})
		}
	}
	for _, t := range Both() {
		if init := s.Config.Init(t); s.codingOf(t) > Hollow {
			add(segmenter.Name{Kind: segmenter.KindInit, App: k.App, Stream: k.Stream, Recording: id, Track: t, CRC32C: init.CRC32C}, init.Body)
		}
	}
	for _, t := range Both() {
		add(segmenter.Name{Kind: segmenter.KindFragment, App: k.App, Stream: k.Stream, Recording: id, Track: t, Sequence: sequence}, s.Track(t))
	}
	return list
}

// attributes are those of an object in a recording with that target duration in seconds, see storage.AttributesOf.
func attributes(n segmenter.Name, target int, settled bool) storage.Attributes {
	a := storage.AttributesOf(n.Kind, target, settled)
	a.ContentType = n.ContentType()
	return a
}
