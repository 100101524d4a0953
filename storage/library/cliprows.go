package library

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// clipSource is a run of segments of one recording that a clip may be made of.
type clipSource struct {
	folder    folderRef
	target    int // seconds
	rows      []segmenter.Row
	playlists []string        // keys of those that name them
	owed      map[uint64]bool // what no playlist in the store names yet: what is missing of it is on its way
}

func (s *clipSource) from() time.Time { return s.rows[0].Start }
func (s *clipSource) to() time.Time   { return s.rows[len(s.rows)-1].End() }

// clipRows is what there is of a stream in a range of time.
type clipRows struct {
	sources []clipSource
	book    rowsBook
	master  *ladderFound // it is a ladder
	before  time.Time    // the end of what was recorded before the range, where it is known
	after   time.Time    // the begin of what was recorded after it
}

// only is the one source that there is.
func (c *clipRows) only(o *ClipOrder) (*clipSource, error) {
	switch len(c.sources) {
	case 1:
		return &c.sources[0], nil
	case 0:
		near := ""
		if !c.before.IsZero() {
			near += ", what was recorded before ends at " + c.before.UTC().Format(timeForm)
		}
		if !c.after.IsZero() {
			near += ", what was recorded after begins at " + c.after.UTC().Format(timeForm)
		}
		return nil, fmt.Errorf("%w from %s to %s%s", ErrClipNothing, o.Start.UTC().Format(timeForm), o.End.UTC().Format(timeForm), near)
	}
	all := ""
	for i := range c.sources {
		s := &c.sources[i]
		all += fmt.Sprintf(", %s has it from %s to %s", s.folder.id, s.from().UTC().Format(timeForm), s.to().UTC().Format(timeForm))
	}
	return nil, fmt.Errorf("%w: it lies in more than one recording%s: make a clip of each", ErrClipRange, all)
}

// playlistsBefore is how many playlists are read that began before the range: the one that holds its start, and one more, since an
// instant in a name is that of a clock that may have been set since.
const playlistsBefore = 2

// findRows finds what there is of a stream, in the store and in memory.
func (l *Library) findRows(ctx context.Context, o *ClipOrder, stream string) (*clipRows, error) {
	refs, err := l.archivesOf(ctx, o.App, stream)
	if err != nil {
		return nil, err
	}
	begin, end := segmenter.NewRecordingID(o.Start), segmenter.NewRecordingID(o.End)
	out := &clipRows{}
	low, high := 0, 0
	for ; high < len(refs) && refs[high].ID <= end; high++ {
		if refs[high].ID <= begin {
			low = max(0, high+1-playlistsBefore)
		}
	}
	if high < len(refs) {
		out.after, _ = refs[high].ID.Time()
	}
	b := newBook()
	var newest *archived
	err = l.loadEach(ctx, "clip", refs[low:high], func(a *archived) {
		switch {
		case a.clip() != "":
		case a.media != nil:
			b.add(a, false)
			if high == len(refs) && a.ref == refs[high-1] {
				newest = a
			}
		case a.master != nil:
			out.ladder().add(a)
		}
	})
	if err != nil {
		return nil, err
	}
	if o.Running != nil {
		if s := o.Running(o.App, stream); s != nil && s.State != segmenter.Starting && !s.Yielded {
			if newest != nil && newest.ref.ID <= s.ArchiveName { // else another server has had the stream since
				newest = nil
			}
			if len(s.Rows) > 0 {
				b.addRunning(s)
			} else if p := s.Archive(); p != nil {
				out.ladder().addRunning(s, p.Body)
			}
		}
	}
	if newest != nil {
		if _, err := l.addLive(ctx, &b, newest); err != nil {
			return nil, err
		}
	}
	out.book = b
	b.within(o, out)
	return out, nil
}

func (c *clipRows) ladder() *ladderFound {
	if c.master == nil {
		c.master = &ladderFound{}
	}
	return c.master
}

// rowsBook collects rows by their folder and number: with an archive split several playlists name segments of one.
type rowsBook struct{ folders map[folderRef]*rowsOf }

type rowsOf struct {
	rows      map[uint64]segmenter.Row
	target    int
	playlists map[uint64]string // key of the one that names a row; none: it is in memory alone
}

func (b *rowsBook) of(f folderRef) *rowsOf {
	if b.folders[f] == nil {
		b.folders[f] = &rowsOf{rows: map[uint64]segmenter.Row{}, playlists: map[uint64]string{}}
	}
	return b.folders[f]
}

func newBook() rowsBook { return rowsBook{folders: map[folderRef]*rowsOf{}} }

// add takes the rows of a timestamped playlist; of a live one those that are not known yet, since it has no checksums.
func (b *rowsBook) add(a *archived, live bool) {
	var at time.Time
	breaks, running := a.media.DiscontinuitySequence, ""
	a.segments(func(_ int, s *m3u8.Segment, n segmenter.Name, ok bool) {
		if !s.ProgramDateTime.IsZero() {
			at = s.ProgramDateTime
		}
		row := segmenter.Row{
			Sequence: n.Sequence, Start: at, Duration: s.Duration, Size: s.Size, CRC32C: s.CRC32C, Discontinuity: s.Discontinuity,
			Independent: a.media.IndependentSegments, Gap: s.Gap, DiscontinuitySequence: breaks,
			Cues: s.Ranges, Running: running,
		}
		if running != "" || s.Ranges != "" {
			running = m3u8.Running(running+s.Ranges, row.End())
		}
		if s.Discontinuity {
			breaks++
		}
		if ok && n.Stream == a.ref.Stream && !at.IsZero() {
			r := b.of(folderRef{n.App, n.Stream, n.Recording})
			if _, known := r.rows[n.Sequence]; !known || !live {
				r.rows[n.Sequence], r.playlists[n.Sequence] = row, a.object.Key
			}
			r.target = max(r.target, a.media.TargetDuration)
		}
		at = row.End()
	})
}

// addLive takes what the live playlist of a recording without an end lists, and its timestamped playlist, which may be minutes behind, does not. So
// it is found where another server has the recording. It returns when the newer of the two was written.
func (l *Library) addLive(ctx context.Context, b *rowsBook, a *archived) (written time.Time, err error) {
	written = a.object.Modified
	if a.media.EndList {
		return written, nil
	}
	for _, f := range a.folders(maxFolders) {
		if f.stream != a.ref.Stream {
			continue
		}
		live := archived{ref: a.ref}
		var body []byte
		body, live.object, err = l.readObject(ctx, f.live())
		if errors.Is(err, errUnreadable) || storage.KindOf(err) == storage.Missing {
			continue
		}
		if err != nil {
			return written, err
		}
		if live.media, err = m3u8.ParseMedia(body); err != nil {
			continue // the timestamped playlist is what there is
		}
		live.object.Key = f.live()
		b.add(&live, true)
		if live.object.Modified.After(written) {
			written = live.object.Modified
		}
	}
	return written, nil
}

// Reaches returns where ends what the store has of a stream or of a ladder, and whether more is on its way from a server: its newest recording
// has no end, and was listed anew within three target durations.
func (l *Library) Reaches(ctx context.Context, app, stream string) (end time.Time, grows bool, err error) {
	refs, err := l.archivesOf(ctx, app, stream)
	if err != nil || len(refs) == 0 {
		return end, false, err
	}
	a, err := l.load(ctx, refs[len(refs)-1])
	if err == nil && a.master != nil {
		for _, rung := range a.children() {
			if a, err = l.load(ctx, rung); storage.KindOf(err) != storage.Missing {
				break
			}
		}
	}
	switch {
	case storage.KindOf(err) == storage.Missing:
		return end, false, nil
	case err != nil:
		return end, false, err
	case a.media == nil || a.media.EndList:
		return end, false, nil
	}
	b := newBook()
	b.add(a, false)
	written, err := l.addLive(ctx, &b, a)
	for _, r := range b.folders {
		for _, row := range r.rows {
			if to := row.End(); to.After(end) {
				end = to
			}
		}
	}
	return end, l.o.Now().Sub(written) <= 3*time.Duration(a.media.TargetDuration)*time.Second, err
}

// addRunning takes the rows that are in memory: they are newer than those in the store, and tell more. What the store will never have
// of them its playlist alone knows.
func (b *rowsBook) addRunning(s *segmenter.Snapshot) {
	r := b.of(folderRef{s.App, s.Stream, s.Recording})
	for i := range s.Rows {
		row := s.Rows[i]
		if r.rows[row.Sequence].Gap {
			row.Gap, row.Size, row.CRC32C = true, 0, 0
		}
		r.rows[row.Sequence] = row
	}
	r.target = max(r.target, s.TargetDuration)
}

// within adds the runs of rows to out that lie in the range, by their time.
func (b *rowsBook) within(o *ClipOrder, out *clipRows) {
	for f, r := range b.folders {
		numbers := slices.Sorted(maps.Keys(r.rows))
		first, last := -1, -1
		for i, n := range numbers {
			row := r.rows[n]
			if row.Start.Before(o.End) && row.End().After(o.Start) {
				if first < 0 {
					first = i
				}
				last = i
			}
			if end := row.End(); !end.After(o.Start) && end.After(out.before) {
				out.before = end
			}
			if begin := row.Start; !begin.Before(o.End) && (out.after.IsZero() || begin.Before(out.after)) {
				out.after = begin
			}
		}
		if first < 0 {
			continue
		}
		for i := first; i <= last; {
			s := r.run(numbers[i], numbers[last])
			s.folder = f
			out.sources = append(out.sources, *s)
			i += len(s.rows)
		}
	}
	slices.SortFunc(out.sources, func(a, b clipSource) int { return a.from().Compare(b.from()) })
}

// run is what there is of the numbers from first to last, up to the first that is missing.
func (r *rowsOf) run(first, last uint64) *clipSource {
	s := &clipSource{target: r.target, owed: map[uint64]bool{}}
	for n := first; n <= last; n++ {
		row, ok := r.rows[n]
		if !ok {
			break
		}
		s.rows = append(s.rows, row)
		switch key := r.playlists[n]; {
		case key == "":
			s.owed[n] = true
		case !slices.Contains(s.playlists, key):
			s.playlists = append(s.playlists, key)
		}
	}
	return s
}
