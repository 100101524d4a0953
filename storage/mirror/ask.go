package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage"
)

// find asks the store for a segment whose bytes are not here: if the store has it, it is not a gap. If the store does not have it, find
// returns otherwise.
func (u *Uploader) find(ctx context.Context, j *job, otherwise error) error {
	u.loaded(j)
	err := u.ask(ctx, j.lane.r, j.sequence)
	j.found = err == nil
	if errors.Is(err, errGone) {
		return otherwise
	}
	return err
}

// ask asks the store about a segment. It returns nil if the store has the complete segment, errGone if it does not or cannot be asked, and
// ErrExists if it has different content. It takes r.mu itself.
func (u *Uploader) ask(ctx context.Context, r *recording, sequence uint64) error {
	store, ok := storage.As[storage.Getter](u.store)
	if !ok {
		return errGone
	}
	key := segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: sequence}.String()
	r.mu.Lock()
	w := r.row(sequence)
	if w.none() {
		r.mu.Unlock()
		return errGone
	}
	unknown, size := w.is(isUnknown), w.Size
	r.mu.Unlock()
	if !unknown {
		o, err := store.Stat(ctx, key)
		switch {
		case storage.KindOf(err) == storage.Missing:
			return errGone
		case err != nil:
			return fmt.Errorf("stat %s: %w", key, err)
		case o.Size != size:
			return fmt.Errorf("%s has %d bytes, not %d: %w", key, o.Size, size, storage.ErrExists)
		}
		return nil
	}
	body, o, err := store.Get(ctx, key, 0, -1)
	switch {
	case storage.KindOf(err) == storage.Missing:
		return errGone
	case err != nil:
		return fmt.Errorf("get %s: %w", key, err)
	}
	defer body.Close()
	if o.Size > maxScan {
		return fmt.Errorf("%s has %d bytes, which no segment has: %w", key, o.Size, storage.ErrExists)
	}
	info, err := mpegts.Scan(body)
	switch {
	case err == nil && info.Still():
		return errGone // it is a stand-in for the segment
	case errors.Is(err, mpegts.ErrNotTS), err == nil && (info.Cut || info.Size != o.Size):
		return fmt.Errorf("%s is no whole segment: %w", key, storage.ErrExists)
	case err != nil:
		return fmt.Errorf("get %s: %w", key, err)
	}
	r.learn(sequence, &info, false)
	return nil
}

// learn makes a row from a segment's own content: an unknown row, or one that was derived from other bytes with that number. It takes r.mu
// itself.
func (r *recording) learn(sequence uint64, info *mpegts.Scanned, fromDisk bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.row(sequence)
	if w.none() || !w.is(isUnknown) {
		return
	}
	if before := r.row(sequence - 1); sequence > 0 && !before.none() && !before.is(isUnknown) {
		w.Start = before.End()
	}
	for t, l := range r.lanes {
		if !w.settled(t) {
			l.lacks(0, info.Size-w.Size)
		}
	}
	w.Size, w.CRC32C, w.Independent = info.Size, info.CRC32C, info.Key
	switch span := info.Base().Span(); {
	case span > 0:
		w.Duration = span
	case info.Video.Count == 1 && r.variant.FrameRate > 0: // a single picture
		w.Duration = max(int64(segmenter.Clock/r.variant.FrameRate), 1)
	case info.Base().Count == 1:
		w.Duration = segmenter.Clock / 25
	}
	if r.scans != nil {
		r.scans[sequence] = info
	}
	if info.Jumps > 0 {
		r.breakAt(sequence)
	}
	if v := &r.variant; v.VideoCodec == "" && v.AudioCodec == "" && w.Duration > 0 { // nothing says what it consists of
		v.VideoCodec, v.AudioCodec = codecs[info.Video.Type], codecs[info.Audio.Type]
		v.Bandwidth = max(v.Bandwidth, int(w.Size*8*segmenter.Clock/w.Duration))
		v.AverageBandwidth = v.Bandwidth
	}
	w.set(isUnknown, false)
	w.set(isGuessed|onDisk, fromDisk)
	w.set(isGuessed, true)
	r.own = max(r.own, sequence+1)
	r.journal.compact = true // its record may have to precede others
}

// breakAt begins a time line with a row. r.mu is held.
func (r *recording) breakAt(sequence uint64) {
	w := r.row(sequence)
	if w.Discontinuity {
		return
	}
	w.Discontinuity = true
	for seq := sequence + 1; seq < r.next(); seq++ {
		next := r.row(seq)
		if !next.is(isUnknown | isGuessed) {
			return // the number that is already known
		}
		next.DiscontinuitySequence++
	}
}

// join looks whether what was learned of segments from a number on, which no playlist listed, goes on where the one before ends: they may be of
// another encoder than that, or of a server that had the recording earlier. It takes r.mu itself.
func (u *Uploader) join(ctx context.Context, r *recording, first uint64) {
	store, ok := storage.As[storage.Getter](u.store)
	if !ok {
		return
	}
	for seq := max(first, r.base+1); seq < r.next(); seq++ {
		r.mu.Lock()
		w, before := r.row(seq), r.row(seq-1)
		now, was := r.scans[seq], r.scans[seq-1]
		r.mu.Unlock()
		if now == nil || w.Gap || before.Gap {
			continue
		}
		if was == nil {
			n := segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: seq - 1}
			body, _, err := store.Get(ctx, n.String(), 0, -1)
			if err != nil {
				continue
			}
			info, err := mpegts.Scan(io.LimitReader(body, maxScan))
			body.Close()
			if err != nil {
				continue
			}
			was = &info
		}
		if _, follows := was.Follows(now); !follows {
			r.mu.Lock()
			r.breakAt(seq)
			r.mu.Unlock()
		}
	}
}

// codecs are the names used in a Variant.
var codecs = map[mpegts.StreamType]string{
	mpegts.H264: "h264", mpegts.H265: "h265", mpegts.AAC: "aac", mpegts.MP3MPEG1: "mp3", mpegts.MP3MPEG2: "mp3",
}

// yield drops what was derived from our own bytes if the store has others under the number: the store's came first. It reports whether the
// row was such a one, and takes r.mu itself.
func (r *recording) yield(sequence uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.row(sequence)
	if w.none() || !w.is(isGuessed) || w.is(isUnknown) {
		return false
	}
	for t, l := range r.lanes {
		if !w.settled(t) {
			l.lacks(0, -w.Size)
		}
	}
	w.Size, w.CRC32C = 0, 0
	w.set(isUnknown, true)
	w.set(isGuessed|onDisk, false)
	return true
}

// elsewhere reports whether a store other than the target has the segment. It takes r.mu itself.
func (r *recording) elsewhere(sequence uint64, target int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.row(sequence)
	return !w.none() && w.is(confirmAll&^(confirmed<<target))
}

// askers bounds how many queries are in progress at once at start.
const askers = 8

// askAll asks the stores, at start, about segments whose bytes are not on disk and that no journal lists as stored. It waits for the
// answers until ctx ends. The lanes ask about the rest later, as often as necessary.
func (m *Mirror) askAll(ctx context.Context, all []*recording) {
	var wg sync.WaitGroup
	slot := make(chan struct{}, askers)
	for _, r := range all {
		for _, seq := range r.open() {
			select {
			case slot <- struct{}{}:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
			wg.Go(func() {
				defer func() { <-slot }()
				m.askStores(ctx, r, seq)
			})
		}
	}
	wg.Wait()
}

// askStores asks one store after another about one segment. If none has it, and no beginning of it is on disk, it is lost.
func (m *Mirror) askStores(ctx context.Context, r *recording, seq uint64) {
	found, answers := false, 0
	for target, u := range m.uploaders {
		switch err := u.ask(ctx, r, seq); {
		case err == nil:
			r.confirm(target, seq)
			found = true
			answers++
		case errors.Is(err, errGone):
			answers++
		case errors.Is(err, storage.ErrExists):
			r.refuse(target, seq, "the store holds another segment under its name")
			answers++
		}
	}
	r.mu.Lock()
	_, part := r.parts[seq]
	r.mu.Unlock()
	if !found && !part && answers == len(m.uploaders) {
		r.drop(seq, "a crash took its bytes, and no store has it")
	}
}

// open returns the numbers of the segments that only a store can tell about. It takes r.mu itself.
func (r *recording) open() (list []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for seq := r.base; seq < r.next(); seq++ {
		if w := r.row(seq); !w.Gap && !w.is(isDropped|onDisk|confirmAll) {
			list = append(list, seq)
		}
	}
	return list
}
