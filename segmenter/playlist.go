package segmenter

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// renderer makes playlists ready to serve. Its compressors are shared by all streams of a registry, for each of them
// holds several hundred kilobytes.
type renderer struct{ gzips sync.Pool }

func (r *renderer) finish(body []byte, modified time.Time) *Playlist {
	p := &Playlist{Body: body, Modified: modified}
	var out bytes.Buffer
	z, ok := r.gzips.Get().(*gzip.Writer)
	if !ok {
		z, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed)
	}
	z.Reset(&out)
	// Writing to memory cannot fail.
	_, _ = z.Write(body)
	_ = z.Close()
	r.gzips.Put(z)
	p.Gzip = out.Bytes()
	sum := sha256.Sum256(body)
	tag := hex.EncodeToString(sum[:10])
	p.ETag, p.GzipETag = `"`+tag+`"`, `"`+tag+`-gz"`
	return p
}

// live renders the sliding playlist of s.
func (r *renderer) live(s *Snapshot) *Playlist {
	listed := s.Rows[s.First:]
	m := m3u8.Media{
		TargetDuration:        s.TargetDuration,
		MediaSequence:         s.Base + uint64(s.First),
		DiscontinuitySequence: listed[0].DiscontinuitySequence,
		IndependentSegments:   independent(listed),
		EndList:               s.State == Ended,
		Segments:              make([]m3u8.Segment, len(listed)),
	}
	for i := range listed {
		m.Segments[i] = MediaSegment(&listed[i])
		m.Segments[i].URI = SegmentFile(listed[i].Sequence)
	}
	return r.finish(m.Append(make([]byte, 0, 256+64*len(listed))), s.Modified)
}

// entry renders the multivariant playlist of s.
func (r *renderer) entry(s *Snapshot) *Playlist {
	m := m3u8.Master{
		IndependentSegments: independent(s.Rows[s.First:]),
		Variants: []m3u8.Variant{{
			URI:       s.Stream + "/" + string(s.Recording) + "/live.m3u8",
			Bandwidth: s.Variant.Bandwidth, AverageBandwidth: s.Variant.AverageBandwidth,
			Codecs: s.Variant.Codecs, Width: s.Variant.Width, Height: s.Variant.Height, FrameRate: s.Variant.FrameRate,
		}},
	}
	return r.finish(m.Append(nil), s.Modified)
}

// MediaSegment is a row of the table as it stands in a media playlist, without URI, size and checksum. Each row carries
// PROGRAM-DATE-TIME: after a publisher's return Shaka stalls for many seconds where some rows lack it.
func MediaSegment(e *Row) m3u8.Segment {
	return m3u8.Segment{Duration: e.Duration, Discontinuity: e.Discontinuity, Gap: e.Gap, ProgramDateTime: e.Start}
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
	entries := s.Rows[a.first-s.Base:]
	for ; a.n < len(entries); a.n++ {
		e := &entries[a.n]
		m := MediaSegment(e)
		m.URI = s.Stream + "/" + string(s.Recording) + "/" + SegmentFile(e.Sequence)
		m.Size, m.CRC32C = e.Size, e.CRC32C
		a.segments = m.Append(a.segments)
		a.gap = a.gap || e.Gap
		a.dependent = a.dependent || !e.Independent && !e.Gap
	}
	m := m3u8.Media{
		Type:                  m3u8.Event,
		TargetDuration:        s.TargetDuration,
		MediaSequence:         a.first,
		DiscontinuitySequence: entries[0].DiscontinuitySequence,
		IndependentSegments:   !a.dependent,
	}
	if s.State == Ended {
		m.Type = m3u8.VOD
	}
	version := m.Version()
	if a.gap {
		version = 8
	}
	body := make([]byte, 0, 256+len(a.segments))
	body = append(m.AppendHeader(body, version), a.segments...)
	if s.State == Ended {
		body = append(body, m3u8.EndList...)
	}
	a.of, a.last = s, a.r.finish(body, s.Modified)
	return a.last
}
