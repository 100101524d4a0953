package mirror

import (
	"errors"
	"io"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// salvage finds out what the files are of which no record says anything, by reading them. Whole ones become rows; of the
// beginnings of segments it is noted how far they are good, since a store may have the whole. Run has not begun.
func (r *recording) salvage(parts []uint64) {
	var last *mpegts.Scanned
	for seq := r.base; seq < r.next(); seq++ {
		w := r.row(seq)
		if !w.is(isUnknown) || w.is(isDropped) {
			last = nil
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

// join settles how long the segment before was, now that it is known where this one begins, and whether it goes on there.
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

// scanFile reads a segment of the spool; nil where it is not there, or not whole.
func (r *recording) scanFile(seq uint64) *mpegts.Scanned {
	n := segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: seq}
	f, _, err := r.m.o.Spool.Open(n.String())
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := mpegts.Scan(f)
	if err != nil || info.Cut || info.Lost > 0 {
		return nil
	}
	return &info
}

// scanPart reads the beginning of a segment as far as it is good; nil where nothing of it is.
func (r *recording) scanPart(seq uint64) *mpegts.Scanned {
	f, err := r.folder.Part(seq)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := mpegts.Scan(f)
	good := info.Size / mpegts.PacketSize * mpegts.PacketSize
	if errors.Is(err, mpegts.ErrNotTS) && info.Base().Count > 0 {
		good -= mpegts.PacketSize // the last one read is not one
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

// keepParts makes segments of the beginnings that no store has whole: short ones, of their true length. It gives how many.
func (r *recording) keepParts() (n int, err error) {
	for seq, info := range r.parts {
		if w := r.row(seq); w.none() || !w.is(isUnknown) {
			continue // a store has it whole
		}
		if e := r.folder.Complete(seq, info.Size); e != nil {
			err = errors.Join(err, e)
			continue
		}
		r.learn(seq, info, true)
		if seq > r.base && r.row(seq-1).is(onDisk) {
			r.join(seq, r.scanFile(seq-1), info)
		}
		n++
	}
	clear(r.parts)
	return n, err
}

// damagedBytes is how much of a journal could not be read.
func damagedBytes(list []spool.Damage) (n int) {
	for _, d := range list {
		n += d.Bytes
	}
	return n
}
