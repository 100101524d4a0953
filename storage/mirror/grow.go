package mirror

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// growth is what is on disk of segments that are being written, so that a crash costs what came since the last write and not a segment. It
// belongs to the goroutine of the recording's disk.
type growth struct {
	last   *segmenter.Growing            // the newest answer
	parts  map[uint64]*segmenter.Growing // what the files belong to, by number
	at     time.Time                     // of the last look
	failed *segmenter.Growing            // the segment that the disk did not accept
	opened uint64                        // after the number that was looked at first
	timer  *time.Timer                   // of the next look; one for all, since there are several for each segment
}

// growthDue returns a channel that says when to look again: at once if a number is new, so that none is ever opened without any of it on
// disk. It is nil if no segment is being written. It is valid until growthDue is called again.
func (r *recording) growthDue() <-chan time.Time {
	r.mu.Lock()
	writing, fresh := r.writing && r.opened > 0, r.opened != r.grows.opened
	r.mu.Unlock()
	if !writing || r.m.o.GrowEvery < 0 {
		return nil
	}
	wait := max(r.m.o.GrowEvery-r.m.o.Now().Sub(r.grows.at), 0)
	if fresh {
		wait = 0
	}
	if r.grows.timer == nil {
		r.grows.timer = time.NewTimer(wait)
	} else {
		r.grows.timer.Reset(wait)
	}
	return r.grows.timer.C
}

// unopened reports whether a number is about to be opened in an existing journal. Its first bytes go to disk before that: a crash in
// between leaves a file without a record, which a start accepts, and not a number without a byte, which would be a gap.
func (r *recording) unopened() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.writing && r.m.o.GrowEvery >= 0 && r.journal.opened > 0 && r.journal.opened < r.opened && r.grows.opened != r.opened
}

// stop ends the timer.
func (g *growth) stop() {
	if g.timer != nil {
		g.timer.Stop()
	}
}

// grow writes to disk what came of a segment since the last time. Its callers say when that began: it may be part of a longer step.
func (r *recording) grow() error {
	r.grows.at = r.m.o.Now()
	r.mu.Lock()
	line, files, next := r.line, r.journal.files, r.next()
	r.grows.opened = r.opened
	r.mu.Unlock()
	r.grows.abandon(r.folder, min(files, next))
	if line == nil || r.m.episodes.diskIsFailing() {
		return nil
	}
	g := line.Growing(r.grows.last)
	if g == nil {
		return nil
	}
	defer g.Release()
	if g.Same(r.grows.failed) || g.Sequence < next {
		return nil
	}
	if old := r.grows.parts[g.Sequence]; old != nil && !g.Same(old) {
		r.folder.Abandon(g.Sequence) // the encoder restarts this number
	}
	r.grows.last = g
	if len(g.Slices) == 0 {
		return nil
	}
	if err := r.folder.Grow(g.Sequence, g.Slices); err != nil {
		r.folder.Check()                      // whatever removed the folder removed the journal, too
		r.grows.failed, r.grows.last = g, nil // the complete segment is tried later, and reports if that fails
		delete(r.grows.parts, g.Sequence)
		return err
	}
	if r.grows.parts == nil {
		r.grows.parts = map[uint64]*segmenter.Growing{}
	}
	r.grows.parts[g.Sequence] = g
	return nil
}

// completes tells that seg is about to be written completely: what is on disk under its number stays only if it is its beginning.
func (g *growth) completes(f *spool.Folder, seq uint64, seg *segmenter.Segment) {
	if part := g.parts[seq]; part == nil || !part.Of(seg) {
		f.Abandon(seq)
	}
	delete(g.parts, seq)
}

// abandon discards what is on disk of the numbers before one, which came to nothing.
func (g *growth) abandon(f *spool.Folder, before uint64) {
	for seq := range g.parts {
		if seq < before {
			f.Abandon(seq)
			delete(g.parts, seq)
		}
	}
}
