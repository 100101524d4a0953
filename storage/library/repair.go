package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// RepairOptions say what Repair may do.
type RepairOptions struct {
	DryRun bool // say what would change, write nothing
	Force  bool // also where a publisher may still be there
	// Checksums reads every segment, so that one with other bytes than the playlist says becomes a gap, and one of which it
	// says nothing gets its size and checksum. Without it only sizes are compared.
	Checksums bool
	// Source may give back a segment that the store lacks, from a spool that outlived its server; nil: there is none. What
	// it does not have is fs.ErrNotExist.
	Source func(ctx context.Context, n segmenter.Name) (io.ReadSeekCloser, error)
}

// Repaired is the outcome of Repair.
type Repaired struct {
	Recording Recording `json:"recording"` // as its playlist says now
	Written   []string  `json:"written"`   // keys written, or to be written; empty: all was true already
	Added     int       `json:"added"`     // segments that the playlist did not name
	Scanned   int       `json:"scanned"`   // of them, those whose time was found in their own bytes
	Gaps      int       `json:"gaps"`      // segments that have become gaps
	Returned  int       `json:"returned"`  // gaps and missing segments that are there again
	Uploaded  int       `json:"uploaded"`  // of them, those that came from the source
	Ended     bool      `json:"ended"`     // the playlist has got its end
}

// ErrAlive refuses to touch a recording that may still be growing.
var ErrAlive = errors.New("the recording has no end and changed a short time ago: its publisher or its server may still be at work")

// Repair makes a recording's playlist true, from what the store has alone: what is missing or damaged becomes a gap, what
// lies unlisted in the folder gets its place, and the end is written. Where there is no playlist it makes one; durations
// and discontinuities are then those of the segments' own time stamps. Segments are never changed or removed. Of a group all the
// recordings are repaired that its playlist joins, and it names then those of which anything is left.
func (l *Library) Repair(ctx context.Context, ref RecordingRef, o RepairOptions) (*Repaired, error) {
	if a, err := l.load(ctx, ref); err == nil && (a.master != nil || a.clip() != "") {
		repair := l.repairGroup
		if a.master == nil {
			repair = l.repairClip
		}
		out, err := repair(ctx, a, o)
		if err != nil {
			return nil, fmt.Errorf("repair %s: %w", ref, err)
		}
		return out, nil
	}
	w := &repairWork{l: l, o: o, ref: ref, out: &Repaired{Written: []string{}}}
	if err := w.run(ctx); err != nil {
		return nil, fmt.Errorf("repair %s: %w", ref, err)
	}
	return w.out, nil
}

// repairWork is one Repair.
type repairWork struct {
	l   *Library
	o   RepairOptions
	ref RecordingRef
	out *Repaired

	old     *archived // nil: there is none
	folder  folderRef
	objects map[uint64]storage.Object
	rolling rolling
	tracks  trackObjects
	live    *m3u8.Media // of the folder; nil: none that can be read
	span    *seqRange
	rows    []repairRow
	mu      sync.Mutex // out, while rows are checked
}

func (w *repairWork) run(ctx context.Context) error {
	if err := w.look(ctx); err != nil {
		return err
	}
	if !w.o.Force && (w.old == nil || w.old.media == nil || !w.old.media.EndList) {
		if age := w.l.o.Now().Sub(w.newest()); age <= w.l.o.Alive {
			return fmt.Errorf("%w (%s)", ErrAlive, age.Round(time.Second))
		}
	}
	w.gather()
	if err := w.check(ctx); err != nil {
		return err
	}
	if !slices.ContainsFunc(w.rows, func(r repairRow) bool { return r.exists }) {
		return fmt.Errorf("none of its segments is left: %w", fs.ErrNotExist)
	}
	w.time()
	return w.write(ctx)
}

// look reads all that there is, but no segment.
func (w *repairWork) look(ctx context.Context) error {
	a, err := w.l.load(ctx, w.ref)
	if err != nil && storage.KindOf(err) != storage.Missing {
		return err
	}
	w.old = a
	if err := w.findFolder(ctx); err != nil {
		return err
	}
	c, err := w.l.contents(ctx, w.folder)
	if err != nil {
		return err
	}
	w.objects, w.rolling, w.tracks = c.segments, c.live, c.tracks
	live := c.live
	if key := w.folder.live(); live.has(key) {
		body, _, err := w.l.readObject(ctx, key)
		if err != nil && storage.KindOf(err) != storage.Missing && !errors.Is(err, errUnreadable) {
			return err
		}
		if m, err := m3u8.ParseMedia(body); err == nil {
			w.live = m
		}
	}
	w.span, err = w.l.rangeOf(ctx, w.ref, w.old, w.folder)
	return err
}

// findFolder finds where the recording's segments lie: where its playlist says, else in the folder of its name, else,
// for a split, in the newest folder that is older.
func (w *repairWork) findFolder(ctx context.Context) error {
	w.folder = folderRef{w.ref.App, w.ref.Stream, w.ref.ID}
	if w.old != nil && w.old.media != nil {
		found := false
		var other error
		w.old.segments(func(_ int, _ *m3u8.Segment, n segmenter.Name, ok bool) {
			if !ok || n.Stream != w.ref.Stream {
				return // becomes a gap, or is not ours to name
			}
			f := folderRef{n.App, n.Stream, n.Recording}
			if found && f != w.folder {
				other = fmt.Errorf("the playlist joins segments of %s and %s", w.folder.id, f.id)
			}
			w.folder, found = f, true
		})
		if found || other != nil {
			return other
		}
	}
	_, folders, err := w.l.refs(ctx, w.ref.App, w.ref.Stream)
	if err != nil {
		return err
	}
	best := segmenter.RecordingID("")
	for _, f := range folders {
		if f.id <= w.ref.ID && f.id > best {
			best = f.id
		}
	}
	if best == "" {
		return fmt.Errorf("neither playlist nor segments: %w", fs.ErrNotExist)
	}
	w.folder.id = best
	return nil
}

func (w *repairWork) newest() time.Time {
	var t time.Time
	if w.old != nil {
		t = w.old.object.Modified
	}
	for _, o := range w.objects {
		if o.Modified.After(t) {
			t = o.Modified
		}
	}
	return t
}

// gather makes a row for each number that a playlist knows or that exists, and for those between.
func (w *repairWork) gather() {
	known := make(map[uint64]repairRow)
	if w.live != nil {
		for i, s := range w.live.Segments {
			seq := w.live.MediaSequence + uint64(i)
			known[seq] = repairRow{seq: seq, seg: s, known: true}
		}
	}
	if w.old != nil && w.old.media != nil {
		w.old.segments(func(_ int, s *m3u8.Segment, n segmenter.Name, ok bool) {
			if ok && (folderRef{n.App, n.Stream, n.Recording}) == w.folder {
				known[n.Sequence] = repairRow{seq: n.Sequence, seg: *s, known: true, listed: true}
			}
		})
	}
	numbers := slices.Collect(maps.Keys(w.objects))
	for seq := range known {
		numbers = append(numbers, seq)
	}
	numbers = slices.DeleteFunc(numbers, func(seq uint64) bool { return seq < w.span.low || seq > w.span.high })
	if len(numbers) == 0 {
		return
	}
	numbers = together(numbers)
	low, high := numbers[0], numbers[len(numbers)-1]
	if !w.span.named[low] {
		// A playlist of its own never began before: numbers that only live.m3u8 knows must exist.
		for low < high && !w.has(low) && !known[low].listed {
			low++
		}
	}
	for high > low && !w.has(high) && !known[high].listed {
		high--
	}
	if high-low >= m3u8.MaxSegments {
		high = low + m3u8.MaxSegments - 1
	}
	for seq := low; seq <= high; seq++ {
		r, ok := known[seq]
		if !ok {
			r.seq = seq
		}
		r.object, r.exists = w.objects[seq]
		w.rows = append(w.rows, r)
	}
}

// maxHoles is how many numbers may be missing in all between those that belong to one recording, and of which no playlist says that they
// are gaps: a day and a half of segments of two seconds. A stray number that is farther off from the others is none of it.
const maxHoles = 1 << 16

// together are those of the numbers that can be of one recording, ascending: the most of them.
func together(numbers []uint64) (best []uint64) {
	slices.Sort(numbers)
	for begin := 0; begin < len(numbers); {
		end, holes := begin+1, uint64(0)
		for ; end < len(numbers); end++ {
			if holes += numbers[end] - numbers[end-1]; holes > maxHoles+uint64(end-begin) {
				break
			}
		}
		if end-begin > len(best) {
			best = numbers[begin:end]
		}
		begin = end
	}
	return best
}

func (w *repairWork) has(seq uint64) bool {
	_, ok := w.objects[seq]
	return ok
}

// write renders the playlists, and puts those that differ from what stands there.
func (w *repairWork) write(ctx context.Context) error {
	m := w.media()
	body := m.Append(nil)
	made := archived{ref: w.ref, object: storage.Object{Key: w.ref.key(), Modified: w.l.o.Now()}, media: m}
	w.out.Recording = made.describe(make(map[folderRef]bool))
	w.out.Ended = w.old == nil || w.old.media == nil || !w.old.media.EndList
	if w.old == nil || !bytes.Equal(w.old.body, body) {
		if err := w.put(ctx, w.ref.key(), body, segmenter.KindArchive); err != nil {
			return err
		}
	}
	if err := w.writeLive(ctx, m); err != nil {
		return err
	}
	return w.repairTracks(ctx, m)
}

// writeLive ends the rolling playlist with the last of the recording's splits.
func (w *repairWork) writeLive(ctx context.Context, m *m3u8.Media) error {
	if w.live == nil || w.live.EndList || w.span.high < m.MediaSequence+uint64(len(m.Segments)) {
		return nil
	}
	first := max(w.live.MediaSequence, m.MediaSequence)
	if next := m.MediaSequence + uint64(len(m.Segments)); first >= next {
		return nil
	}
	live := *m
	live.Type, live.MediaSequence = m3u8.Sliding, first
	live.Segments = slices.Clone(m.Segments[first-m.MediaSequence:])
	pdt := time.Time{}
	for i, s := range m.Segments[:first-m.MediaSequence+1] {
		if !s.ProgramDateTime.IsZero() {
			pdt = s.ProgramDateTime
		}
		if uint64(i) < first-m.MediaSequence {
			pdt = pdt.Add(ticksToDuration(s.Duration))
			if s.Discontinuity {
				live.DiscontinuitySequence++
			}
		}
	}
	live.Segments[0].ProgramDateTime = pdt
	for i := range live.Segments {
		s := &live.Segments[i]
		s.URI, s.Size, s.CRC32C = segmenter.SegmentFile(first+uint64(i)), 0, 0
	}
	if twin := w.folder.lowLatency(); w.rolling.has(twin) {
		if err := w.put(ctx, twin, live.Append(nil), segmenter.KindLive); err != nil {
			return err
		}
	}
	return w.put(ctx, w.folder.live(), live.Append(nil), segmenter.KindLive)
}

func (w *repairWork) put(ctx context.Context, key string, body []byte, kind segmenter.Kind) error {
	w.out.Written = append(w.out.Written, key)
	if w.o.DryRun {
		return nil
	}
	_, err := w.l.s.Put(ctx, key, bytes.NewReader(body), storage.AttributesOf(kind, 0, true))
	return err
}

// beyond reports whether v is farther from zero than limit.
func beyond(v, limit int64) bool { return v > limit || v < -limit }
