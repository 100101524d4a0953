package mirror

import (
	"compress/gzip"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// salvage reads the files without records to find out what they are. Complete ones become rows; for the beginnings of segments it records
// how far they are intact, since a store may have the whole. Run has not begun.
func (r *recording) salvage(parts []uint64) {
	var last *mpegts.Scanned
	for seq := r.base; seq < r.next(); seq++ {
		w := r.row(seq)
		if !w.is(isUnknown) || w.is(isDropped) {
			last = nil
			if slices.Contains(parts, seq) {
				r.finishFile(seq)
			}
			r.refill(seq)
			continue
		}
		if w.is(onDisk) {
			w.set(onDisk, false)
			if info := r.scanFile(seq); info != nil {
				r.learn(seq, info, true)
				if last == nil && seq > r.base && r.row(seq-1).is(onDisk) {
					last = r.scanFile(seq - 1)
				}
				r.join(seq, last, info)
				last = info
				continue
			}
		}
		last = nil
		if !slices.Contains(parts, seq) {
			continue
		}
		if info := r.scanPart(seq); info != nil {
			r.parts[seq] = info
		}
	}
}

// finishFile makes a segment's file from what is on disk under its temporary name, if that has all the bytes that its row states: this is
// what a crash between the last of them and the renaming leaves. It does not accept less, since the complete segment was listed.
func (r *recording) finishFile(seq uint64) {
	w := r.row(seq)
	if w.Gap || w.is(isDropped|onDisk|confirmAll) {
		return
	}
	f, err := r.folder.Part(seq)
	if err != nil {
		return
	}
	check := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(check, io.LimitReader(f, w.Size))
	f.Close()
	if err != nil || n != w.Size || check.Sum32() != w.CRC32C {
		return
	}
	if err := r.folder.Complete(seq, w.Size); err != nil {
		r.m.log.Error("a segment that is whole cannot be given its name in the spool, and is asked for in the bucket", "stream", r.key.String(), "recording", string(r.id), "sequence", seq, "err", err)
		return
	}
	w.set(onDisk, true)
}

// refill makes the file of a segment whose row was written, and its file was not, of bytes that are kept for it elsewhere.
func (r *recording) refill(seq uint64) {
	w := r.row(seq)
	if r.m.o.Kept == nil || w.Gap || w.is(isUnknown|isDropped|onDisk|confirmAll) {
		return
	}
	body := r.m.o.Kept(w.Size, w.CRC32C)
	if body == nil {
		return
	}
	log := r.m.log.With("stream", r.key.String(), "recording", string(r.id), "sequence", seq)
	if err := r.folder.Write(seq, w.Size, [][]byte{body}); err != nil {
		log.Error("a segment that was held when the last process ended cannot be written to the spool, and is asked for in the bucket", "err", err)
		return
	}
	w.set(onDisk, true)
	r.m.stats.Salvaged.Add(1)
	log.Info("a segment that the spool did not have yet when the last process ended is taken from what was held for it")
}

// join computes the duration of the previous segment, now that the start of this one is known, and whether it continues there.
func (r *recording) join(seq uint64, last, info *mpegts.Scanned) {
	if last == nil {
		return
	}
	distance, ok := last.Follows(info)
	w, before := r.row(seq), r.row(seq-1)
	if !ok {
		w.Discontinuity = true
		return
	}
	if before.is(isGuessed) {
		before.Duration = distance
		w.Start = before.End()
	}
}

// scanFile reads a segment of the spool. It returns nil if it is missing or incomplete.
func (r *recording) scanFile(seq uint64) *mpegts.Scanned {
	n := segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: seq}
	f, size, err := r.m.o.Spool.Open(n.String())
	if err != nil {
		return nil
	}
	defer f.Close()
	if size > maxScan {
		return nil
	}
	info, err := mpegts.Scan(f)
	if err != nil || info.Cut || info.Lost > 0 {
		return nil
	}
	return &info
}

// maxScan bounds what is read of a file or an object to find out whether it is a segment, in bytes: a minute at 70 Mb/s.
const maxScan = 512 << 20

// scanPart reads the beginning of a segment as far as it is intact. It returns nil if none of it is.
func (r *recording) scanPart(seq uint64) *mpegts.Scanned {
	f, err := r.folder.Part(seq)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := mpegts.Scan(io.LimitReader(f, maxScan))
	good := info.Size / mpegts.PacketSize * mpegts.PacketSize
	if errors.Is(err, mpegts.ErrNotTS) && info.Base().Count > 0 {
		good -= mpegts.PacketSize // the last packet read is not intact
	} else if err != nil {
		return nil
	}
	if err == nil && !info.Cut {
		return &info
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil
	}
	if info, err = mpegts.Scan(io.LimitReader(f, good)); err != nil {
		return nil
	}
	return &info
}

// keepParts makes short segments, of their true length, from the beginnings that no store has in full. It returns how many.
func (r *recording) keepParts() (n int, err error) {
	for seq, info := range r.parts {
		if w := r.row(seq); w.none() || !w.is(isUnknown) {
			continue // a store has all of it
		}
		if e := r.folder.Complete(seq, info.Size); e != nil {
			err = errors.Join(err, e)
			continue
		}
		r.learn(seq, info, true)
		if seq > r.base && r.row(seq-1).is(onDisk) {
			r.join(seq, r.scanFile(seq-1), info)
		}
		if w := r.row(seq); (w.Discontinuity || seq == r.base) && seq+1 == r.opened && r.lastFrame.After(w.Start) {
			w.Start = r.lastFrame // timestamps do not say how long the publisher was away before; its number was opened then
		}
		n++
	}
	clear(r.parts)
	return n, err
}

// consult asks the stores how far a recording had come whose journal may lack its end: which segments are in its folder, and what its live
// playlist says. So nothing is written that says less. Run has not begun.
func (r *recording) consult(ctx context.Context, guessed bool) {
	for target, u := range r.m.uploaders {
		dir := r.key.App + "/streams/" + r.key.Stream + "/" + string(r.id) + "/"
		next, low := r.next(), r.base
		if store, ok := storage.As[storage.Lister](u.store); ok {
			_ = store.List(ctx, dir, func(o storage.Object) error { // what it does not say now the lanes find out
				if n, ok := segmenter.ParseName(o.Key); ok && n.Kind == segmenter.KindSegment && n.Sequence < r.next()+maxAhead && n.Sequence+maxAhead > r.base {
					next, low = max(next, n.Sequence+1), min(low, n.Sequence)
				}
				return nil
			})
		}
		var live *m3u8.Media
		if store, ok := storage.As[storage.Getter](u.store); ok {
			live = readPlaylist(ctx, store, dir+"live.m3u8")
		}
		if live != nil {
			if end := live.MediaSequence + uint64(len(live.Segments)); end < r.next()+maxAhead {
				next = max(next, end)
			} else {
				live = nil // it belongs to something else
			}
		}
		if guessed && low < r.base {
			r.precede(low)
		}
		r.reach(next)
		if live == nil {
			continue
		}
		r.lanes[target].liveFirst = max(r.lanes[target].liveFirst, live.MediaSequence)
		r.first = max(r.first, min(live.MediaSequence, r.next()))
		if r.target == 0 {
			r.target = live.TargetDuration
		}
		for i, s := range live.Segments {
			w := r.row(live.MediaSequence + uint64(i))
			if w.none() || !w.is(isUnknown) {
				continue
			}
			w.Duration, w.Discontinuity = s.Duration, s.Discontinuity
			if !s.ProgramDateTime.IsZero() {
				w.Start = s.ProgramDateTime
			}
		}
	}
}

// maxAhead bounds how many numbers a store may know after or before those in the journal. Anything further away does not belong to the
// recording.
const maxAhead = 1 << 16

// readPlaylist reads a media playlist of a store. It returns nil if it cannot be read.
func readPlaylist(ctx context.Context, store storage.Getter, key string) *m3u8.Media {
	body, o, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return nil
	}
	defer body.Close()
	if o.Size > m3u8.MaxBytes {
		return nil
	}
	in := io.Reader(body)
	if o.ContentEncoding == "gzip" {
		if in, err = gzip.NewReader(body); err != nil {
			return nil
		}
	}
	text, err := io.ReadAll(io.LimitReader(in, m3u8.MaxBytes))
	if err != nil {
		return nil
	}
	m, err := m3u8.ParseMedia(text)
	if err != nil {
		return nil
	}
	return m
}

// reach adds unknown rows for the numbers before next without one.
func (r *recording) reach(next uint64) {
	for seq := r.next(); seq < next; seq++ {
		e := segmenter.Row{Sequence: seq, Start: r.lastFrame, Duration: 2 * segmenter.Clock}
		if before := r.row(seq - 1); seq > r.base {
			e.Start, e.Duration, e.DiscontinuitySequence = before.End(), before.Duration, before.DiscontinuitySequence
			if before.Discontinuity {
				e.DiscontinuitySequence++
			}
		} else if begun, ok := r.id.Time(); ok && seq == r.base {
			e.Start = begun
		}
		r.add(e, isUnknown)
		for _, l := range r.ways {
			l.lacks(1, 0)
		}
	}
	r.opened = max(r.opened, r.next())
}

// precede adds unknown rows for the numbers from first on that come before all known ones.
func (r *recording) precede(first uint64) {
	begun, _ := r.id.Time()
	t := table{base: first, own: r.own}
	for seq := first; seq < r.base; seq++ {
		t.add(segmenter.Row{Sequence: seq, Start: begun.Add(time.Duration(seq-first) * 2 * time.Second), Duration: 2 * segmenter.Clock}, isUnknown)
		for _, l := range r.ways {
			l.lacks(1, 0)
		}
	}
	for i := range r.rows {
		t.add(r.rows[i], r.state[i])
	}
	r.table = t
	for _, l := range r.ways {
		l.start(first)
	}
}

// confirmFinals asks the stores which timestamped playlists are final there: a damaged journal may not say, and a final one is not written
// again. A recording whose last one is final has ended.
func (r *recording) confirmFinals(ctx context.Context) {
	for target, u := range r.m.uploaders {
		store, ok := storage.As[storage.Getter](u.store)
		for i := range r.splits {
			sp := &r.splits[i]
			if !ok || sp.final&(1<<target) != 0 {
				continue
			}
			n := segmenter.Name{Kind: segmenter.KindArchive, App: r.key.App, Stream: r.key.Stream, Recording: sp.name}
			m := readPlaylist(ctx, store, n.String())
			if m == nil || !m.EndList {
				continue
			}
			end := r.next()
			if i+1 < len(r.splits) {
				end = r.splits[i+1].first
			}
			if m.MediaSequence+uint64(len(m.Segments)) >= end {
				sp.final |= 1 << target
				r.ended = r.ended || i+1 == len(r.splits)
			}
		}
		for l := r.lanes[target]; l.split < len(r.splits) && r.splits[l.split].final&(1<<target) != 0; {
			l.split++
		}
	}
}

// damagedBytes returns how much of a journal could not be read.
func damagedBytes(list []spool.Damage) (n int) {
	for _, d := range list {
		n += d.Bytes
	}
	return n
}
