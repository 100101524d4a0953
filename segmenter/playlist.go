package segmenter

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// renderer makes playlists ready to serve. Its compressors are shared by all streams of a registry, for each of them
// holds several hundred kilobytes. A sync.Pool would give them to each garbage collection, and, under the race detector, throw every
// fourth away.
type renderer struct {
	mu    sync.Mutex
	gzips []*gzip.Writer // that nobody uses now
}

func (r *renderer) compressor() *gzip.Writer {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.gzips)
	if n == 0 {
		z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		return z
	}
	z := r.gzips[n-1]
	r.gzips = r.gzips[:n-1]
	return z
}

func (r *renderer) put(z *gzip.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.gzips) < runtime.GOMAXPROCS(0) { // more are not at work at a time
		r.gzips = append(r.gzips, z)
	}
}

func (r *renderer) finish(body []byte, modified time.Time) *Playlist {
	p := &Playlist{Body: body, Modified: modified}
	var out bytes.Buffer
	z := r.compressor()
	z.Reset(&out)
	// Writing to memory cannot fail.
	_, _ = z.Write(body)
	_ = z.Close()
	r.put(z)
	p.Gzip = out.Bytes()
	sum := sha256.Sum256(body)
	tag := hex.EncodeToString(sum[:10])
	p.ETag, p.GzipETag = `"`+tag+`"`, `"`+tag+`-gz"`
	return p
}

// live renders the sliding playlist of s.
func (r *renderer) live(s *Snapshot) *Playlist {
	listed := s.Rows[s.First:]
	l := List{TargetDuration: s.TargetDuration, EndList: s.State == Ended}
	return r.finish(l.Append(make([]byte, 0, 256+128*len(listed)), listed), s.Modified)
}

// entry renders the multivariant playlist of s, or returns the one that was rendered before where that says the same.
func (r *renderer) entry(s *Snapshot, data []m3u8.SessionData, before *Playlist) *Playlist {
	body := AppendEntry(make([]byte, 0, 768), s.Key, s.Recording, s.Variant, independent(s.Rows[s.First:]), data)
	if before != nil && bytes.Equal(body, before.Body) {
		return before
	}
	return r.finish(body, s.Modified)
}

func independent(entries []Row) bool {
	for i := range entries {
		if !entries[i].Independent && !entries[i].Gap {
			return false
		}
	}
	return true
}

// archive renders the timestamped playlist of one recording. It keeps what it rendered, because the playlist only grows:
// each entry is rendered once, however often the playlist is asked for.
type archive struct {
	r     *renderer
	fixed bool // last is all there is: the multivariant playlist of a ladder

	mu        sync.Mutex
	first     uint64 // number of the playlist's first segment
	segments  []byte // the rendered lines of the first n entries
	n         int
	gap       bool
	dependent bool
	of        *Snapshot // the snapshot that last was rendered
	last      *Playlist
}

func (a *archive) playlist(s *Snapshot) *Playlist {
	if a.fixed {
		return a.last
	}
	if s.State == Starting || len(s.Rows) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of != nil && (a.of == s || a.of.Generation >= s.Generation) {
		// A reader that is a generation behind gets the newer playlist: it names nothing that is not there.
		return a.last
	}
	if len(a.segments) == 0 {
		a.first = max(a.first, s.Base)
	}
	if a.first >= s.Next() {
		return nil // it begins with the next segment, or no store has confirmed what it begins with
	}
	entries := s.Rows[a.first-s.Base:]
	l := List{
		Type: m3u8.Event, TargetDuration: s.TargetDuration, EndList: s.State == Ended,
		Dir: s.Stream + "/" + string(s.Recording) + "/", Sums: true,
	}
	if l.EndList {
		l.Type = m3u8.VOD
	}
	for ; a.n < len(entries); a.n++ {
		e := &entries[a.n]
		a.segments = l.appendRow(a.segments, e, e.Gap)
		a.gap = a.gap || e.Gap
		a.dependent = a.dependent || !e.Independent && !e.Gap
	}
	body := l.appendHead(make([]byte, 0, 256+len(a.segments)), &entries[0], !a.dependent, a.gap)
	body = l.appendEnd(append(body, a.segments...))
	a.of, a.last = s, a.r.finish(body, s.Modified)
	return a.last
}

// List says how a media playlist over consecutive rows of a table looks. All media playlists are rendered by it: the live
// and the timestamped ones that viewers are served, those of other times, and those in the bucket.
type List struct {
	Type           m3u8.Type
	TargetDuration int    // seconds
	EndList        bool   // nothing will be added
	Dir            string // of the segments, relative to the playlist, with its slash at the end; empty: beside it
	Sums           bool   // size and checksum stand before each URI
	Clip           string // the recording that it is a clip of; empty: it is none
	// Lost reports whether rows[i], which need not be a gap for everybody, is one for the readers of this playlist; nil: the
	// rows say it themselves.
	Lost func(i int) bool
}

// Append renders the playlist over rows, of which there is at least one, behind b.
func (l *List) Append(b []byte, rows []Row) []byte {
	gap, independent := false, true
	for i := range rows {
		if l.lost(rows, i) {
			gap = true
		} else if !rows[i].Independent {
			independent = false
		}
	}
	b = l.appendHead(b, &rows[0], independent, gap)
	for i := range rows {
		b = l.appendRow(b, &rows[i], l.lost(rows, i))
	}
	return l.appendEnd(b)
}

func (l *List) lost(rows []Row, i int) bool {
	if l.Lost != nil {
		return l.Lost(i)
	}
	return rows[i].Gap
}

func (l *List) appendHead(b []byte, first *Row, independent, gap bool) []byte {
	m := m3u8.Media{
		Type: l.Type, TargetDuration: l.TargetDuration, MediaSequence: first.Sequence,
		DiscontinuitySequence: first.DiscontinuitySequence, IndependentSegments: independent,
		Clip: l.Clip, Running: first.Running,
	}
	if gap {
		m.Segments = []m3u8.Segment{{Gap: true}} // the version depends on one
	}
	return m.AppendHeader(b, m.Version())
}

// appendRow renders one row. Each carries PROGRAM-DATE-TIME: after a publisher's return Shaka stalls for many seconds where
// some rows lack it.
func (l *List) appendRow(b []byte, e *Row, gap bool) []byte {
	s := m3u8.Segment{
		URI: l.Dir + SegmentFile(e.Sequence), Duration: e.Duration, Discontinuity: e.Discontinuity, Gap: gap, ProgramDateTime: e.Start, Ranges: e.Cues,
	}
	if l.Sums && !gap {
		s.Size, s.CRC32C = e.Size, e.CRC32C
	}
	return s.Append(b)
}

func (l *List) appendEnd(b []byte) []byte {
	if l.EndList {
		b = append(b, m3u8.EndList...)
	}
	return b
}

// IFrames says how an I-frame playlist looks (RFC 8216 4.3.3.6). It has one entry for each row: the picture that the segment begins
// with, shown until the next one. So numbers, durations, wall times, discontinuities and the target duration are those of the media
// playlist, and an entry is the same for ever. The tables stand before the range, and each entry says so: a picture can be loaded
// alone, and in any order.
type IFrames struct {
	Type           m3u8.Type
	TargetDuration int // seconds
	EndList        bool
	Dir            string // of the segments, relative to the playlist, with its slash at the end; empty: beside it
}

// Append renders the playlist over rows, of which there is at least one, behind b; keys has the keyframe of each. A row whose segment
// does not begin with a picture that can be shown alone is a gap.
func (l *IFrames) Append(b []byte, rows []Row, keys []mpegts.Keyframe) []byte {
	m := m3u8.Media{
		Type: l.Type, TargetDuration: l.TargetDuration, MediaSequence: rows[0].Sequence, DiscontinuitySequence: rows[0].DiscontinuitySequence,
		IFramesOnly: true, EndList: l.EndList, Segments: make([]m3u8.Segment, len(rows)),
	}
	for i := range rows {
		e, k := &rows[i], keys[i]
		s := m3u8.Segment{URI: l.Dir + SegmentFile(e.Sequence), Duration: e.Duration, ProgramDateTime: e.Start, Discontinuity: e.Discontinuity}
		if s.Gap = e.Gap || k.Size == 0; !s.Gap {
			s.Range = m3u8.Range{Offset: k.Offset, Length: k.Size}
			s.Map, s.MapRange = s.URI, m3u8.Range{Length: k.Tables}
		}
		m.Segments[i] = s
	}
	return m.Append(b)
}

// AppendEntry renders the multivariant playlist of a stream on its own behind b.
func AppendEntry(b []byte, k Key, id RecordingID, v variant.Variant, independent bool, data []m3u8.SessionData) []byte {
	m := m3u8.Master{
		IndependentSegments: independent, SessionData: data,
		Variants: []m3u8.Variant{v.Named(k.Stream + "/" + string(id) + "/live.m3u8")},
	}
	variant.Caption(&m, []variant.Captions{v.Captions})
	if i, ok := v.IFrames(k.Stream + "/" + string(id) + "/" + IFramesFile); ok {
		m.IFrames = append(m.IFrames, i)
	}
	return m.Append(b)
}

// End is the wall time at which the row ends.
func (e *Row) End() time.Time { return e.Start.Add(cut.Duration(e.Duration)) }
