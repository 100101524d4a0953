package mirror

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// trackPages are playlists about to be written, in their order, with what the store has once they are.
type trackPages struct {
	object
	list  tracks.List
	split segmenter.RecordingID // the name of the timestamped playlist
	entry string                // the multivariant playlist; empty: the store has it
	both  []segmenter.Track     // the tracks that have a playlist

	manifest told         // the live manifest, if the store does not have it
	master   *m3u8.Master // that it is made of, over transport streams
}

// told is what a live manifest says.
type told struct {
	entry             string // of the multivariant playlist over tracks
	first, next, gaps uint64
	ended             bool
}

// trackPlaylists renders at the last moment, as playlist does.
func (u *Uploader) trackPlaylists(ctx context.Context, j *job) error {
	l := j.lane
	l.r.mu.Lock()
	p, ok := l.pages(j.kind, u.m.o.Now())
	newest := l.r.newest
	ok = ok && l.mayWrite(j.kind)
	l.r.mu.Unlock()
	if !ok {
		return nil
	}
	objects, err := u.renderPages(ctx, j, &p, newest)
	if err != nil {
		return err
	}
	size := 0
	for i := range objects {
		o := &objects[i]
		if j.kind == archiveJob && !p.final && len(o.Body) > gzipFrom {
			o.Body, o.ContentEncoding = compress(o.Body), "gzip"
		}
		size += len(o.Body)
		if err := u.write(ctx, j, o.Name.String(), o.Body, o.Attributes); err != nil {
			return err
		}
	}
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	switch j.kind {
	case liveJob:
		l.liveWritten, l.liveFirst, l.liveNext, l.liveEnded, l.liveGaps = true, p.first, p.next, p.ended, p.gaps
	case entryJob:
		if p.entry != "" {
			l.trackEntry = p.entry
		}
		if p.master != nil {
			l.manifest = p.manifest
		}
	case archiveJob:
		l.archiveWritten(&p.object, size)
	}
	return nil
}

// pages are what a job has to write.
func (l *lane) pages(kind jobKind, now time.Time) (p trackPages, ok bool) {
	r := l.r
	switch kind {
	case liveJob:
		if p.first, p.next, ok = l.liveRange(now, math.MaxUint64, l.r.first); !ok {
			return p, false
		}
		p.gaps, p.ended = l.gapsIn(p.first, p.next), r.ended && p.next == r.next()
		p.list = l.trackList(p.first, p.next, p.ended)
		for _, t := range tracks.Both() {
			named := strings.Contains(r.trackEntryBody(), "/"+string(rune(t))+"/live.m3u8")
			if named || slices.ContainsFunc(r.codings, func(c tracks.Coding) bool { return c.Of(t) != 0 }) {
				p.both = append(p.both, t)
			}
		}
	case entryJob:
		if !l.trackEntryDue() || r.superseded {
			return p, false
		}
		if p.entry = r.trackEntryBody(); p.entry == l.trackEntry {
			p.entry = ""
		}
		if p.list.TargetDuration, p.manifest = r.target, l.tell(); p.manifest != l.manifest {
			p.list = l.trackList(p.manifest.first, p.manifest.next, p.manifest.ended)
			l.began = l.origin(p.manifest.first, l.began)
			p.list.Origin = l.began.Origin
			p.master, _ = m3u8.ParseMaster(r.entryBody()) // it could be read to be made into that over tracks
		}
	case archiveJob:
		sp, next, final, ok := l.archiveRange()
		if !ok || next <= sp.first {
			return p, false
		}
		p.next, p.final, p.split = next, final, sp.name
		p.list = l.trackList(sp.first, next, final)
		p.list.Origin = l.origin(sp.first, began{}).Origin
		for _, t := range tracks.Both() {
			if p.list.Has(t) {
				p.both = append(p.both, t)
			}
		}
	}
	return p, true
}

// trackList is what the playlists over a range of rows are made of.
func (l *lane) trackList(first, next uint64, end bool) tracks.List {
	r := l.r
	list := tracks.List{
		Key: r.key, Recording: r.id, Rows: slices.Clone(r.run(first, next)), Codings: make([]tracks.Coding, next-first),
		TargetDuration: r.target, EndList: end,
	}
	for i := range list.Rows {
		w := r.row(first + uint64(i))
		list.Rows[i].Gap, list.Codings[i] = w.lost(l.target), l.codingOf(w)
	}
	return list
}

// origin is where the stretch began that a row is in, as far as rows tell, and what is known of an earlier row of it.
func (l *lane) origin(first uint64, known began) (o began) {
	r := l.r
	var have tracks.Coding // of what lies behind
	o.first = first
	at := first
	for ; at > r.base && !r.row(at).Discontinuity; at-- {
		if at == known.first && at < first {
			o.Since, o.Begun, o.Before = known.Since, known.Begun, o.Before+known.Before
			return o
		}
		have = have.Over(l.codingOf(r.row(at)))
		before := r.row(at - 1)
		if l.codingOf(before).Changes(have) {
			o.Since = at
			break
		}
		o.Before += before.Duration
	}
	o.Begun = r.row(at).Start.Truncate(time.Millisecond)
	return o
}

// began is where the stretch began that a row is in.
type began struct {
	first uint64 // the row
	tracks.Origin
}

// tell is what the live manifest should say by now.
func (l *lane) tell() told {
	return told{l.r.trackEntryBody(), l.liveFirst, l.liveNext, l.liveGaps, l.liveEnded}
}

// renderPages renders them. Of a recording of which no CMAF can be made there are none.
func (u *Uploader) renderPages(ctx context.Context, j *job, p *trackPages, newest coded) (list []tracks.Object, err error) {
	r := j.lane.r
	switch {
	case j.kind == entryJob:
		if n := shared.TrackEntry(r.key); p.entry != "" {
			list = append(list, tracks.Object{Name: n, Body: []byte(p.entry), Attributes: storage.AttributesOf(n.Kind, p.list.TargetDuration, false)})
		}
		if p.master == nil {
			return list, nil
		}
		n := segmenter.Name{Kind: segmenter.KindDASHEntry, App: r.key.App, Stream: r.key.Stream}
		return u.addManifest(ctx, r, list, &tracks.Manifest{Name: n, Master: p.master, Lists: []*tracks.List{&p.list}}, newest)
	case len(p.both) == 0:
		return nil, nil
	}
	for _, t := range p.both {
		if j.kind == liveJob {
			list = append(list, p.list.Live(t))
		} else {
			list = append(list, p.list.Archive(p.split, t))
		}
	}
	if j.kind == liveJob {
		return list, nil
	}
	c, err := p.list.Config(func(row *segmenter.Row) (*cmaf.Config, error) { return u.head(ctx, r, row, newest) })
	if c == nil || err != nil {
		return list, err // without one the playlists of its tracks are all that can be had
	}
	o, err := p.list.Master(p.split, c)
	if err != nil {
		return list, nil // it has no form
	}
	n := segmenter.Name{Kind: segmenter.KindDASHArchive, App: r.key.App, Stream: r.key.Stream, Recording: p.split}
	m := &tracks.Manifest{Name: n, Type: m3u8.Event, Lists: []*tracks.List{&p.list}, Master: cmaf.Measured(r.key.Stream+"-"+string(p.split)+".m3u8", p.list.Rows, c)}
	if p.final {
		m.Type = m3u8.VOD
	}
	return u.addManifest(ctx, r, append(list, o), m, newest)
}

// addManifest adds a manifest to what is written, if one can be made.
func (u *Uploader) addManifest(ctx context.Context, r *recording, list []tracks.Object, m *tracks.Manifest, newest coded) ([]tracks.Object, error) {
	m.Head = func(_ *tracks.List, row *segmenter.Row) (*cmaf.Config, error) { return u.head(ctx, r, row, newest) }
	o, err := m.Object()
	var none *cmaf.NoForm
	switch {
	case err == nil:
		return append(list, o), nil
	case errors.As(err, &none), errors.Is(err, tracks.ErrNothing):
		return list, nil
	case storage.KindOf(err) == storage.Permanent: // a store that may be written, and not be read: playlists do not need that
		return list, nil
	}
	return nil, err
}

// trackEntryBody is the stable entry over tracks, as made of that over the transport stream; empty: there is none.
func (r *recording) trackEntryBody() string {
	body := r.entryBody()
	if !bytes.Equal(body, r.entryOf) || r.entryOf == nil {
		r.entryOf, r.trackEntry = body, ""
		if m, err := m3u8.ParseMaster(body); err == nil && cmaf.Tracks(m, r.key.App) == nil {
			r.trackEntry = string(m.Append(nil))
		}
	}
	return r.trackEntry
}

// trackEntryDue reports whether the store has another one, or another manifest, or none.
func (l *lane) trackEntryDue() bool {
	body := l.r.trackEntryBody()
	return len(l.r.codings) > 0 && body != "" && (body != l.trackEntry || l.tell() != l.manifest)
}
