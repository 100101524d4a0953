package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Clip is a playlist over part of a recording, whose segments are the recording's own.
type Clip struct {
	App       string                `json:"app"`
	Title     string                `json:"title"`  // what it is called: the stream part of its playlist's name
	Stream    string                `json:"stream"` // that it is of, or the ladder
	Recording segmenter.RecordingID `json:"recording"`
	PartOf    string                `json:"part_of,omitempty"`  // title of the ladder's clip that it is a rung of
	Rungs     []string              `json:"rungs,omitempty"`    // of a ladder's, the titles of the rungs' clips
	LeftOut   []string              `json:"left_out,omitempty"` // of a ladder's, the rungs that have not all of it
	AskedFrom time.Time             `json:"asked_start"`
	AskedTo   time.Time             `json:"asked_end"`
	Start     time.Time             `json:"start"` // of the first frame
	End       time.Time             `json:"end"`   // after the last
	Duration  Seconds               `json:"duration_seconds"`
	First     uint64                `json:"first"` // sequence numbers, both included
	Last      uint64                `json:"last"`
	Segments  int                   `json:"segments"` // gaps not included
	Gaps      int                   `json:"gaps"`
	Bytes     int64                 `json:"bytes"`
	Created   time.Time             `json:"created"`
}

// Ref names the clip as recordings are named: its playlist stands among theirs.
func (c *Clip) Ref() RecordingRef { return RecordingRef{c.App, c.Title, c.Recording} }

// Key is the key of the clip's playlist.
func (c *Clip) Key() string { return c.Ref().key() }

func (c *Clip) hold() hold {
	return hold{folder: folderRef{c.App, c.Stream, c.Recording}, first: c.First, last: c.Last, title: c.Title}
}

// ClipOrder says what is to be clipped.
type ClipOrder struct {
	App, Stream string // a stream or a ladder
	Title       string
	Start, End  time.Time
	// Running gives the newest recording of a stream or of a ladder as it stands in memory, whose playlist in the store may
	// be behind; nil: it is not in memory. May be nil.
	Running func(app, stream string) *segmenter.Snapshot
	// Taken says what besides the store has a name that a clip would get; empty: nothing. May be nil.
	Taken func(title string) (what string)
}

// Why a clip cannot be made. The text says what to do.
var (
	ErrClipName    = errors.New("a clip cannot be called that")
	ErrClipExists  = errors.New("the clip exists")
	ErrClipRange   = errors.New("the range cannot be clipped")
	ErrClipNothing = errors.New("nothing was recorded in the range")
	// ErrClipEarly says that the store has not all of it yet.
	ErrClipEarly = errors.New("the bucket has not all of it yet")
)

// MaxClip is the longest that a clip may be asked for, as with a harvest of MediaPackage.
const MaxClip = 24 * time.Hour

// Clip writes the playlist of a clip, and before it the holds that keep its segments in the store for as long as it is there. Nothing
// is copied. It is cut at segments: the first is the one that Start lies in, the last the one that End lies in. Of a ladder each rung
// that has all of it gets a clip of its own, under one multivariant playlist. What the store lacks of a finished recording is a gap.
func (l *Library) Clip(ctx context.Context, o ClipOrder) (*Clip, error) {
	w := &clipWork{l: l, o: o}
	if err := w.run(ctx); err != nil {
		return nil, fmt.Errorf("clip %s/%s: %w", o.App, o.Stream, err)
	}
	return &w.made[len(w.made)-1].clip, nil
}

// clipWork is one Clip.
type clipWork struct {
	l    *Library
	o    ClipOrder
	made []clipMade // in the order in which they are written; that of a ladder is the last
}

// clipMade is a playlist on its way into the store.
type clipMade struct {
	clip    Clip
	body    []byte
	sources []string // playlists of the recording that it is of
	rows    []segmenter.Row
	target  int
	hold    written
	stands  written // the playlist
}

// written is what became of the writing of an object.
type written struct {
	body  []byte
	tried bool // it was written, or may have been: a store may carry out what it does not answer
	sure  bool // that it was
}

// ours reports whether what stands there is what was written, and not what somebody else put there.
func (l *Library) ours(ctx context.Context, w *written, key string) (bool, error) {
	if !w.tried || w.sure {
		return w.sure, nil
	}
	body, _, err := l.readObject(ctx, key)
	if storage.KindOf(err) == storage.Missing {
		return false, nil
	}
	return err == nil && bytes.Equal(body, w.body), err
}

func (w *clipWork) run(ctx context.Context) error {
	if err := w.check(ctx); err != nil {
		return err
	}
	if err := w.plan(ctx); err != nil {
		return err
	}
	err := w.write(ctx)
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWait)
		defer cancel()
		err = errors.Join(err, w.undo(undo))
	}
	return err
}

// undoWait bounds how long it takes to take back what was written, whoever has gone meanwhile.
const undoWait = 30 * time.Second

// plan finds out what is to be written.
func (w *clipWork) plan(ctx context.Context) error {
	found, err := w.l.findRows(ctx, &w.o, w.o.Stream)
	if err != nil {
		return err
	}
	if found.master != nil {
		return w.planLadder(ctx, found.master)
	}
	one, err := found.only(&w.o)
	if err != nil {
		return err
	}
	m, err := w.cut(ctx, one, w.o.Title)
	if err != nil {
		return err
	}
	w.made = append(w.made, m)
	return nil
}

// cut makes a clip of some rows. What the store does not have of them is a gap, or will come.
func (w *clipWork) cut(ctx context.Context, s *clipSource, title string) (clipMade, error) {
	rows := slices.Clone(s.rows)
	first, last := &rows[0], &rows[len(rows)-1]
	m := clipMade{rows: rows, target: s.target, sources: s.playlists, clip: Clip{
		App: w.o.App, Title: title, Stream: s.folder.stream, Recording: s.folder.id, AskedFrom: w.o.Start.UTC(), AskedTo: w.o.End.UTC(),
		Start: first.Start.UTC().Truncate(time.Millisecond), End: last.End().UTC().Truncate(time.Millisecond), First: first.Sequence, Last: last.Sequence, Created: w.l.o.Now().UTC(),
	}}
	there, err := w.l.span(ctx, s.folder, first.Sequence, last.Sequence)
	if err != nil {
		return m, err
	}
	early := 0
	var ticks int64
	for i := range rows {
		r := &rows[i]
		object, exists := there[r.Sequence]
		if !r.Gap && (!exists || r.Size > 0 && object.Size != r.Size) {
			if s.owed[r.Sequence] {
				early++
			}
			r.Gap, r.Size = true, 0
		}
		ticks += r.Duration
		if r.Gap {
			m.clip.Gaps++
		} else {
			m.clip.Segments++
			m.clip.Bytes += object.Size
		}
	}
	m.clip.Duration = Seconds(ticksToDuration(ticks))
	switch {
	case early > 0:
		return m, fmt.Errorf("%w: %d of the %d segments are missing: try again when uploads have caught up", ErrClipEarly, early, len(rows))
	case m.clip.Segments == 0:
		return m, fmt.Errorf("%w: all of it is lost", ErrClipNothing)
	}
	list := segmenter.List{
		Type: m3u8.VOD, TargetDuration: s.target, EndList: true, Dir: s.folder.stream + "/" + string(s.folder.id) + "/", Sums: true,
		Clip: s.folder.stream + "-" + string(s.folder.id),
	}
	m.body = list.Append(nil, rows)
	return m, nil
}

// span lists the segments of a folder whose numbers lie in a range.
func (l *Library) span(ctx context.Context, f folderRef, first, last uint64) (map[uint64]storage.Object, error) {
	a, b := segmenter.SegmentFile(first), segmenter.SegmentFile(last)
	n := 0
	for n < len(a) && len(a) == len(b) && a[n] == b[n] {
		n++
	}
	there := make(map[uint64]storage.Object)
	err := l.s.List(ctx, f.prefix()+a[:n], func(o storage.Object) error {
		if name, ok := segmenter.ParseName(o.Key); ok && name.Kind == segmenter.KindSegment && name.Sequence >= first && name.Sequence <= last {
			there[name.Sequence] = o
		}
		return nil
	})
	return there, err
}

// write puts the holds first, and looks whether the recording is still there when they stand: who removes it meanwhile sees the holds
// then, or is seen.
func (w *clipWork) write(ctx context.Context) error {
	for i := range w.made {
		_, err := w.l.s.Stat(ctx, w.made[i].clip.Key())
		if err == nil {
			return fmt.Errorf("%w: %s: remove it first, or choose another name", ErrClipExists, w.made[i].clip.Ref())
		}
		if storage.KindOf(err) != storage.Missing {
			return err
		}
	}
	for i := range w.made {
		m := &w.made[i]
		var err error
		if m.hold, err = w.l.putHold(ctx, &m.clip); err != nil {
			return err
		}
	}
	for i := range w.made {
		m := &w.made[i]
		a := storage.AttributesOf(segmenter.KindArchive, m.target, true)
		a.IfAbsent = true
		m.stands = written{body: m.body, tried: true}
		_, err := w.l.s.Put(ctx, m.clip.Key(), bytes.NewReader(m.body), a)
		if errors.Is(err, storage.ErrExists) {
			m.stands.tried = false
			return fmt.Errorf("%w: somebody else made %s meanwhile", ErrClipExists, m.clip.Ref())
		}
		if err != nil {
			return err
		}
		m.stands.sure = true
	}
	for i := range w.made {
		for _, key := range w.made[i].sources {
			_, err := w.l.s.Stat(ctx, key)
			if storage.KindOf(err) == storage.Missing {
				return fmt.Errorf("%w: the recording was removed meanwhile", ErrClipNothing)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// undo takes back what was written of a clip that cannot be.
func (w *clipWork) undo(ctx context.Context) error {
	var playlists, holds []string
	for i := range w.made {
		m := &w.made[i]
		h := m.clip.hold()
		playlist, err := w.l.ours(ctx, &m.stands, m.clip.Key())
		if err != nil {
			return err // its hold stays: whatever stands there, nothing is taken from it
		}
		held, err := w.l.ours(ctx, &m.hold, h.key())
		if err != nil {
			return err
		}
		if playlist {
			playlists = append(playlists, m.clip.Key())
		}
		if held {
			holds = append(holds, h.key())
		}
	}
	slices.Reverse(playlists) // that of a ladder first
	for _, key := range append(playlists, holds...) {
		if err := w.l.s.Remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// archivesOf names the timestamped playlists of a stream, the oldest first.
func (l *Library) archivesOf(ctx context.Context, app, stream string) (refs []RecordingRef, err error) {
	ids, err := storage.Archives(ctx, l.s, segmenter.Key{App: app, Stream: stream})
	for _, id := range ids {
		refs = append(refs, RecordingRef{app, stream, id})
	}
	return refs, err
}

// clip is the recording that a playlist is a clip of; empty where it is none.
func (a *archived) clip() string {
	switch {
	case a.media != nil && a.media.EndList:
		return a.media.Clip
	case a.master != nil:
		return a.master.Clip
	}
	return ""
}
