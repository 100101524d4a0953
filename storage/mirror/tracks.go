package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// CMAF is a second packaging of the same recording, made of the transport stream when it is sent, and kept nowhere else. Each store has a lane
// for it beside that of the transport stream, with positions of its own. A segment's turn comes when the store has its transport stream.

// errUnfit means that no CMAF can be made of a segment.
var errUnfit = errors.New("no CMAF can be made of it")

// coded is a segment that was rendered, and how it is coded.
type coded struct {
	sequence uint64
	config   *cmaf.Config
}

// made is what a job has put in the store.
type made struct {
	coding tracks.Coding
	bytes  int64
}

// sendTracks carries out a job of a lane of CMAF.
func (u *Uploader) sendTracks(ctx context.Context, j *job) error {
	if j.kind == segmentJob {
		return u.fragments(ctx, j)
	}
	return u.trackPlaylists(ctx, j)
}

// fragments renders a segment and puts what comes out.
func (u *Uploader) fragments(ctx context.Context, j *job) error {
	r := j.lane.r
	r.mu.Lock()
	w := r.row(j.sequence)
	if w.none() {
		r.mu.Unlock()
		return errGone
	}
	row := *w.Row
	var before tracks.Coding // of the segment before, whose init segments the store has
	if w := r.row(j.sequence - 1); !w.none() {
		before = j.lane.codingOf(w)
	}
	r.mu.Unlock()
	var s *tracks.Segment
	err := u.read(ctx, r, &row, func(pieces [][]byte) (err error) {
		s, err = u.m.renderer.Segment(pieces, &row)
		return err
	})
	if err != nil {
		return err
	}
	objects := s.Objects(r.key, r.id, row.Sequence)
	if len(objects) == 0 {
		return fmt.Errorf("%w: there is neither video nor audio in it", errUnfit)
	}
	for i := range objects {
		o := &objects[i]
		if o.Name.Kind == segmenter.KindInit && o.Name.CRC32C == before.Of(o.Name.Track) {
			continue
		}
		if _, err := u.store.Put(ctx, o.Name.String(), bytes.NewReader(o.Body), o.Attributes); err != nil {
			return fmt.Errorf("put %s: %w", o.Name, err)
		}
		j.made.bytes += int64(len(o.Body))
	}
	j.made.coding = s.Coding
	r.mu.Lock()
	if r.newest.config == nil || r.newest.sequence <= row.Sequence {
		r.newest = coded{row.Sequence, s.Config}
	}
	r.mu.Unlock()
	return nil
}

// read gives the bytes of a segment to use, from where they are nearest: memory, the spool, or the store. It takes r.mu itself.
func (u *Uploader) read(ctx context.Context, r *recording, row *segmenter.Row, use func(pieces [][]byte) error) error {
	if row.Size > tracks.MaxSegment {
		return fmt.Errorf("%w: it has %d bytes, more than %d", errUnfit, row.Size, tracks.MaxSegment)
	}
	r.mu.Lock()
	seg := r.memory[row.Sequence]
	held := seg != nil && seg.Retain()
	r.mu.Unlock()
	var pieces [][]byte
	if held {
		defer seg.Release()
		pieces = seg.Slices(nil)
	} else {
		body, err := u.fetch(ctx, r, row)
		if err != nil {
			return err
		}
		pieces = [][]byte{body}
	}
	if err := use(pieces); err != nil {
		return fmt.Errorf("%w: %w", errUnfit, err)
	}
	return nil
}

// fetch reads a segment from the spool, and where that does not have it as it was from the store. Of one that another server made, and of which
// no playlist says the size, the store's word counts.
func (u *Uploader) fetch(ctx context.Context, r *recording, row *segmenter.Row) ([]byte, error) {
	key := segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: row.Sequence}.String()
	known := row.Size > 0
	whole := func(body []byte) bool {
		return !known || int64(len(body)) == row.Size && mpegts.Checksum(body) == row.CRC32C
	}
	body := make([]byte, row.Size)
	if known && u.m.o.Spool != nil {
		if f, _, err := u.m.o.Spool.Open(key); err == nil {
			_, err = io.ReadFull(f, body)
			f.Close()
			if err == nil && whole(body) {
				return body, nil
			}
		}
	}
	store, ok := storage.As[storage.Getter](u.store)
	if !ok {
		return nil, errGone
	}
	in, o, err := store.Get(ctx, key, 0, -1)
	switch {
	case storage.KindOf(err) == storage.Missing:
		return nil, fmt.Errorf("get %s: %w", key, errGone)
	case err != nil:
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	defer in.Close()
	switch {
	case known && o.Size != row.Size:
		return nil, fmt.Errorf("%w: the store has %d bytes of it, not %d", errUnfit, o.Size, row.Size)
	case o.Size > tracks.MaxSegment:
		return nil, fmt.Errorf("%w: it has %d bytes, more than %d", errUnfit, o.Size, tracks.MaxSegment)
	case !known:
		body = make([]byte, o.Size)
	}
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if !whole(body) {
		return nil, fmt.Errorf("%w: what the store has of it is damaged", errUnfit)
	}
	return body, nil
}

// tracksEnded records the outcome for a segment.
func (u *Uploader) tracksEnded(j *job, kind storage.FailureKind, err error, t try, now time.Time) {
	r, l := j.lane.r, j.lane
	log := u.log.With("stream", r.key.String(), "recording", string(r.id), "sequence", j.sequence)
	switch {
	case err == nil:
		u.stats.Tracks.Add(1)
		u.stats.TrackBytes.Add(j.made.bytes)
		if r.rendered(l, j.sequence, j.made.coding) {
			log.Info("segments can be stored as CMAF again")
		}
		l.sent(j.sequence)
	case errors.Is(err, errUnfit), errors.Is(err, errGone):
		u.stats.Unrendered.Add(1)
		if r.rendered(l, j.sequence, tracks.Coding{}) {
			log.Warn("a segment cannot be stored as CMAF, players of CMAF get a gap for it; its transport stream is stored: for MP3, set the encoder to AAC", "err", err)
		}
		l.sent(j.sequence)
	case kind == storage.Exists:
		u.stats.Failures[kind].Add(1)
		u.stats.Conflicts.Add(1)
		log.Error("the store holds another fragment under the name of one of this segment's: two servers write one recording, or the bucket was tampered with; CMAF gets a gap", "err", err)
		r.rendered(l, j.sequence, tracks.Coding{})
		l.sent(j.sequence)
	default:
		t.due = now.Add(u.pace.Pause(kind, l.failures(j.sequence)+1))
		l.again(j.sequence, t)
	}
}

// pages are playlists about to be written, in their order, with what the store has once they are.
type pages struct {
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
	ok = ok && l.main().hold.mayWrite(j.kind)
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
func (l *lane) pages(kind jobKind, now time.Time) (p pages, ok bool) {
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
func (u *Uploader) renderPages(ctx context.Context, j *job, p *pages, newest coded) (list []tracks.Object, err error) {
	r := j.lane.r
	switch {
	case j.kind == entryJob:
		if n := trackEntry(r.key); p.entry != "" {
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

// head is how the segment of a row is coded; nil where nothing can be made of it.
func (u *Uploader) head(ctx context.Context, r *recording, row *segmenter.Row, newest coded) (*cmaf.Config, error) {
	if newest.config != nil && newest.sequence == row.Sequence {
		return newest.config, nil
	}
	c, err := r.heads.Get(row.Sequence, func() (c *cmaf.Config, err error) {
		err = u.read(ctx, r, row, func(pieces [][]byte) (err error) {
			c, err = u.m.renderer.Head(pieces)
			return err
		})
		return c, err
	})
	if errors.Is(err, errUnfit) || errors.Is(err, errGone) {
		return nil, nil
	}
	return c, err
}

// trackEntry is the name of a stream's stable entry over tracks.
func trackEntry(k segmenter.Key) segmenter.Name {
	return segmenter.Name{Kind: segmenter.KindCMAFEntry, App: k.App, Stream: k.Stream}
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
