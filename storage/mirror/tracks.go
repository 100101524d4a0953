package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
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
