package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage"
)

// repairRow is one sequence number.
type repairRow struct {
	seq    uint64
	seg    m3u8.Segment   // without URI
	known  bool           // seg comes from a playlist
	listed bool           // the timestamped playlist had it
	object storage.Object // where it is there
	exists bool
	info   *mpegts.Scanned // of a row that is not known
}

// check decides which rows stand, and reads the segments that no playlist knows.
func (w *repairWork) check(ctx context.Context) error {
	p := w.l.progress("repair", len(w.rows))
	return w.l.each(ctx, len(w.rows), func(ctx context.Context, i int) error {
		r := &w.rows[i]
		n := segmenter.Name{Kind: segmenter.KindSegment, App: w.folder.app, Stream: w.folder.stream, Recording: w.folder.id, Sequence: r.seq}
		bytes, err := w.checkRow(ctx, r, n)
		p.step(bytes)
		return err
	})
}

func (w *repairWork) checkRow(ctx context.Context, r *repairRow, n segmenter.Name) (read int64, err error) {
	if r.exists && r.known && r.seg.Size > 0 && r.object.Size != r.seg.Size {
		r.exists = false
	}
	if r.exists && (!r.known || r.seg.Gap || w.o.Checksums) {
		info, finding, err := w.l.checkSegment(ctx, &r.seg, n)
		if err != nil {
			return 0, err
		}
		read, r.exists = info.Size, finding == nil
		switch {
		case !r.exists:
		case info.Still():
			r.exists = false // it stands in for what was lost
		case r.seg.Gap && r.seg.Size == 0 && !fills(info, r.seg.Duration):
			r.exists = false // nobody knows its checksum, but whole it is not
		case !r.known || r.seg.Gap:
			r.info = info
		case r.seg.Size == 0:
			r.seg.Size, r.seg.CRC32C = info.Size, info.CRC32C
		}
	}
	if r.exists || w.o.Source == nil {
		return read, nil
	}
	return read, w.fromSource(ctx, r, n)
}

// fromSource uploads a segment that the source still has. One that exists under the name with other bytes stays.
func (w *repairWork) fromSource(ctx context.Context, r *repairRow, n segmenter.Name) error {
	body, err := w.o.Source(ctx, n)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("source of %s: %w", n, err)
	}
	defer body.Close()
	info, err := mpegts.Scan(io.LimitReader(body, maxSegment+1))
	if errors.Is(err, mpegts.ErrNotTS) || err == nil && (info.Cut || info.Size > maxSegment || r.seg.Size > 0 && (info.Size != r.seg.Size || info.CRC32C != r.seg.CRC32C)) {
		return nil // no better than nothing
	}
	if err != nil {
		return fmt.Errorf("source of %s: %w", n, err)
	}
	if !w.o.DryRun {
		a := storage.AttributesOf(n.Kind, 0, true)
		a.IfAbsent = !w.has(n.Sequence)
		_, err := w.l.s.Put(ctx, n.String(), body, a)
		if errors.Is(err, storage.ErrExists) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	r.exists, r.object = true, storage.Object{Key: n.String(), Size: info.Size, Modified: w.l.o.Now()}
	if !r.known || r.seg.Gap {
		r.info = &info
	}
	w.mu.Lock()
	w.out.Uploaded++
	w.mu.Unlock()
	return nil
}
