package origin

import (
	"context"
	"fmt"
	"sort"
	"time"
	"unsafe"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// table holds the rows of one recording, from which a window of time is cut. It is read-only.
type table struct {
	id             string // identifies the recording and the place of its segments; part of the cache keys
	entries        []segmenter.Row
	dir            string // of the segments, relative to /{app}/streams/, with a trailing slash
	targetDuration int    // seconds
	ended          bool
	window         int // rows of a sliding playlist
	kind           m3u8.Type
}

// tableOf returns the table of a recording in memory.
func tableOf(s *segmenter.Snapshot) *table {
	dir := s.Stream + "/" + string(s.Recording) + "/"
	return &table{
		id: s.App + "/" + dir, entries: s.Rows, dir: dir, targetDuration: s.TargetDuration,
		ended: s.State == segmenter.Ended, window: max(1, len(s.Rows)-s.First),
	}
}

// tableOfText is the table of a playlist. It is kept under the key, which tells its versions apart.
func (o *Origin) tableOfText(ctx context.Context, key string, name segmenter.Name, p *segmenter.Playlist) (*table, error) {
	return cached(ctx, &o.pages, key, func() (*table, int64, time.Duration, error) {
		t, err := parseTable(name, p.Body)
		if err != nil {
			return nil, 0, 0, err
		}
		return t, t.size(), 0, nil
	})
}

// size is about what the table takes in memory, in bytes.
func (t *table) size() int64 {
	n := int64(unsafe.Sizeof(*t)) + int64(cap(t.entries))*int64(unsafe.Sizeof(segmenter.Row{}))
	for i := range t.entries {
		n += int64(len(t.entries[i].Cues) + len(t.entries[i].Running))
	}
	return n
}

// parseTable turns the playlist of a name back into a table. Such a playlist may still be growing, written by another server.
func parseTable(name segmenter.Name, body []byte) (*table, error) {
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	rows, dir, err := cmaf.Rows(m)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if dir == "" { // they are beside it
		dir = name.Stream + "/" + string(name.Recording) + "/"
	}
	t := &table{
		id: name.App + "/" + dir, entries: rows, dir: dir, targetDuration: m.TargetDuration, ended: m.EndList, kind: m.Type,
	}
	var window int64
	for i := range rows {
		if window += rows[i].Duration; window <= archivedWindow {
			t.window = i + 1
		}
	}
	t.window = max(6, t.window)
	return t, nil
}

// archivedWindow is the length of a delayed playlist over an archived recording, in 90 kHz ticks.
const archivedWindow = 60 * 90000

// first and next are the numbers of the first row and after the last.
func (t *table) first() uint64 { return t.entries[0].Sequence }
func (t *table) next() uint64  { return t.first() + uint64(len(t.entries)) }

// begin and end return the instants between which there are segments.
func (t *table) begin() time.Time { return t.entries[0].Start }
func (t *table) end() time.Time   { return t.entries[len(t.entries)-1].End() }

// holds reports whether a view begins within the recording.
func (t *table) holds(v *view) bool {
	switch {
	case len(t.entries) == 0:
		return false
	case v.delay > 0: // what was live then: at least one whole segment, and forever the last ones
		return !v.instant.Before(t.entries[0].End())
	}
	return !v.instant.Before(t.begin()) && v.instant.Before(t.end())
}

// cutout is a run of rows, and how its playlist shall look.
type cutout struct {
	first, last int // rows[first:last]
	kind        m3u8.Type
	final       bool // nothing will be added
}

// cut extends a view of the table to whole segments. If start falls between two segments, the later one is first; the last segment covers
// end.
func (t *table) cut(v *view) cutout {
	n := len(t.entries)
	if v.delay > 0 {
		last := sort.Search(n, func(i int) bool { return t.entries[i].End().After(v.instant) })
		return cutout{first: max(0, last-t.window), last: last, final: t.ended && last == n}
	}
	c := cutout{last: n, kind: m3u8.Event, final: t.ended}
	c.first = sort.Search(n, func(i int) bool { return t.entries[i].End().After(v.instant) })
	if !v.end.IsZero() && !v.end.After(t.end()) {
		c.last = sort.Search(n, func(i int) bool { return !t.entries[i].Start.Before(v.end) })
		c.last = max(c.last, c.first+1)
		c.final = true
	}
	if c.final {
		c.kind = m3u8.VOD
	}
	return c
}

// render renders the playlist for the rows of a cutout. prefix is the path of its segments.
func (t *table) render(c cutout, prefix string) (*segmenter.Playlist, error) {
	rows := t.entries[c.first:c.last]
	l := segmenter.List{Type: c.kind, TargetDuration: t.targetDuration, EndList: c.final, Dir: prefix}
	return newPlaylist(l.Append(make([]byte, 0, 256+(128+len(prefix))*len(rows)), rows), rows[len(rows)-1].End())
}
