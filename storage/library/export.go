package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Exported is the outcome of an export.
type Exported struct {
	Segments int       `json:"segments"`
	Bytes    int64     `json:"bytes"`
	Gaps     int       `json:"gaps"`   // as the playlist says
	Damaged  []Finding `json:"damage"` // segments left out because they are missing or not what the playlist says; never nil
}

// maxSegment bounds a segment, bytes: a minute at 70 Mb/s. So much of all that are read ahead is in memory at a time, too.
const maxSegment = 512 << 20

// Export writes a recording as one transport stream: its segments one after the other, which is what a player of the
// playlist would decode. Time stamps are left as they are, so they jump where the playlist has a discontinuity. What is
// missing or damaged is left out and reported.
func (l *Library) Export(ctx context.Context, ref RecordingRef, to io.Writer) (*Exported, error) {
	return l.export(ctx, ref, func(s *taken) error {
		_, err := to.Write(s.body)
		return err
	}, nil)
}

// ExportMP4 writes a recording as one MP4 file, in fragments or with its tables at its end; see fmp4.Movie, whose errors are among
// those of ExportMP4. What is missing or damaged is left out and reported: the last picture stands for as long.
func (l *Library) ExportMP4(ctx context.Context, ref RecordingRef, to interface {
	io.Writer
	io.WriterAt
}, fragmented bool) (*Exported, error) {
	movie := fmp4.NewMovie(fragmented)
	var b []byte
	out, err := l.export(ctx, ref, func(s *taken) (err error) {
		b, err = movie.Append(b[:0], [][]byte{s.body}, fmp4.Segment{Start: s.start.UnixMilli() * (segmenter.Clock / 1000), Duration: s.row.Duration}, s.jump)
		if err == nil {
			_, err = to.Write(b)
		}
		return err
	}, nil)
	if err != nil {
		return nil, err
	}
	b, patch, at := movie.Finish(b[:0])
	if _, err = to.Write(b); err == nil && patch != nil {
		_, err = to.WriteAt(patch, at)
	}
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", ref, err)
	}
	return out, nil
}

// taken is a segment that is exported.
type taken struct {
	row   *m3u8.Segment
	name  segmenter.Name
	body  []byte
	start time.Time // by the playlist
	jump  bool      // there is a discontinuity between it and the one before that was exported
}

// ExportFolder writes a recording into another store, such as an empty directory, so that it plays from there: the
// playlist, and beside it the segments at the same relative paths. What is missing or damaged is a gap in the playlist,
// which is written last. What is there already and is something else stays, and is storage.ErrExists, unless it may be replaced.
func (l *Library) ExportFolder(ctx context.Context, ref RecordingRef, to storage.Putter, replace bool) (*Exported, error) {
	put := func(key string, body []byte, kind segmenter.Kind) error {
		a := storage.AttributesOf(kind, 0, true)
		a.IfAbsent = !replace
		_, err := to.Put(ctx, key, bytes.NewReader(body), a)
		return err
	}
	return l.export(ctx, ref, func(s *taken) error {
		return put(relative(s.name.String()), s.body, s.name.Kind)
	}, func(m *m3u8.Media) error {
		return put(path.Base(ref.key()), m.Append(nil), segmenter.KindArchive)
	})
}

// export reads ahead of fn, which gets the segments in their order, and gives finish the playlist of what fn got. One of which fn
// says that it is damaged is left out.
func (l *Library) export(ctx context.Context, ref RecordingRef, fn func(*taken) error, finish func(*m3u8.Media) error) (*Exported, error) {
	a, err := l.load(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", ref, err)
	}
	switch {
	case a.err != nil:
		return nil, fmt.Errorf("export %s: %w: repair it first", ref, a.err)
	case a.media == nil:
		return nil, fmt.Errorf("export %s: a group has no media of its own: export one of its recordings, such as %s", ref, firstOf(a.children()))
	}
	out := &Exported{Damaged: []Finding{}}
	m := *a.media
	m.Segments = nil
	m.EndList, m.Type = true, m3u8.VOD // what was exported grows no more, though the recording may
	p := l.progress("export", len(a.media.Segments))

	// A small pipeline: several fetches at once, handed on in their order.
	type fetched struct {
		seg     m3u8.Segment
		name    segmenter.Name
		body    []byte
		finding *Finding
		room    int64
	}
	g, ctx := errgroup.WithContext(ctx)
	room := semaphore.NewWeighted(maxSegment)
	seen := make(map[segmenter.Name]bool)
	queue := make(chan chan fetched, min(l.o.Workers, 4))
	g.Go(func() error {
		defer close(queue)
		var stop error
		a.segments(func(i int, s *m3u8.Segment, n segmenter.Name, ok bool) {
			if stop != nil {
				return
			}
			bad := &Finding{Problem: ProblemBadPlaylist, Key: a.object.Key, Got: s.URI}
			switch {
			case !ok:
				bad.Detail = "the URI is none of a segment of this app"
			case n.Stream != ref.Stream && a.clip() == "":
				bad.Detail = "the segment is of another stream"
			case seen[n]: // the same bytes any number of times are no recording
				bad.Detail = "the segment is named twice"
			default:
				bad, seen[n] = nil, true
			}
			seg := *s
			if seg.URI = relative(n.String()); bad != nil {
				seg.URI = fmt.Sprintf("none-%d.ts", i) // it is a gap; the other name leads who knows where
			}
			one := make(chan fetched, 1)
			select {
			case queue <- one:
			case <-ctx.Done():
				stop = context.Cause(ctx)
				return
			}
			if s.Gap || bad != nil {
				one <- fetched{seg: seg, name: n, finding: bad}
				return
			}
			object, err := storage.Object{Size: s.Size}, error(nil) // how much room it takes is known before any of it is read
			if s.Size == 0 {
				object, err = l.s.Stat(ctx, n.String())
			}
			if finding := unlike(s, n, object, err); finding != nil {
				one <- fetched{seg: seg, name: n, finding: finding}
				return
			}
			if err == nil {
				err = room.Acquire(ctx, object.Size)
			}
			if err != nil {
				stop = err
				return
			}
			g.Go(func() error {
				body, finding, err := l.fetchSegment(ctx, s, n, object.Size)
				one <- fetched{seg, n, body, finding, object.Size}
				return err
			})
		})
		return stop
	})
	g.Go(func() error {
		var clock time.Time
		jump := false
		for one := range queue {
			var f fetched
			select {
			case f = <-one:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if jump = jump || f.seg.Discontinuity; !f.seg.ProgramDateTime.IsZero() {
				clock = f.seg.ProgramDateTime
			}
			if f.finding == nil && f.body != nil {
				err := fn(&taken{&f.seg, f.name, f.body, clock, jump})
				switch {
				case errors.Is(err, mpegts.ErrDamaged) || errors.Is(err, mpegts.ErrNotTS):
					finding := atSegment(ProblemMedia, f.name)
					finding.Detail, f.finding = err.Error(), &finding
				case err != nil:
					return err
				default:
					jump = false
					out.Segments++
					out.Bytes += int64(len(f.body))
				}
			}
			clock = clock.Add(ticksToDuration(f.seg.Duration))
			switch {
			case f.finding != nil:
				out.Damaged = append(out.Damaged, *f.finding)
				f.seg.Gap = true
			case f.seg.Gap:
				out.Gaps++
			case f.body == nil: // the fetch has failed, and ctx is about to end
				continue
			}
			room.Release(f.room)
			m.Segments = append(m.Segments, f.seg)
			p.step(int64(len(f.body)))
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("export %s: %w", ref, err)
	}
	if finish != nil {
		if err := finish(&m); err != nil {
			return nil, fmt.Errorf("export %s: %w", ref, err)
		}
	}
	return out, nil
}

func firstOf(refs []RecordingRef) string {
	if len(refs) == 0 {
		return "none"
	}
	return refs[0].String()
}

// unlike is what is wrong with a segment by what its store says of it; nil: nothing, or it cannot be told.
func unlike(s *m3u8.Segment, n segmenter.Name, o storage.Object, err error) *Finding {
	f := atSegment(ProblemSize, n)
	switch {
	case storage.KindOf(err) == storage.Missing:
		f.Problem = ProblemMissing
	case err != nil:
		return nil
	case s.Size > 0 && s.Size != o.Size:
		f.Want, f.Got = fmt.Sprint(s.Size, " bytes"), fmt.Sprint(o.Size, " bytes")
	case o.Size > maxSegment:
		f.Want, f.Got = fmt.Sprint("at most ", maxSegment, " bytes"), fmt.Sprint(o.Size, " bytes")
	case o.Size == 0 || o.Size%mpegts.PacketSize != 0:
		f.Problem, f.Detail = ProblemMedia, "it is no whole transport stream"
	default:
		return nil
	}
	return &f
}

// fetchSegment reads a segment of that size whole. What is wrong with it is the finding.
func (l *Library) fetchSegment(ctx context.Context, s *m3u8.Segment, n segmenter.Name, size int64) ([]byte, *Finding, error) {
	r, o, err := l.s.Get(ctx, n.String(), 0, size)
	if storage.KindOf(err) != storage.Missing && err != nil {
		return nil, nil, err
	}
	if finding := unlike(s, n, o, err); finding != nil {
		if err == nil {
			r.Close()
		}
		return nil, finding, nil
	}
	defer r.Close()
	f := atSegment(ProblemSize, n)
	if o.Size != size {
		f.Want, f.Got = fmt.Sprint(size, " bytes"), fmt.Sprint(o.Size, " bytes")
		return nil, &f, nil
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", n, err)
	}
	switch {
	case s.Size > 0 && mpegts.Checksum(body) != s.CRC32C:
		f.Problem = ProblemChecksum
		f.Want, f.Got = fmt.Sprintf("CRC-32C %08x", s.CRC32C), fmt.Sprintf("%08x", mpegts.Checksum(body))
	case body[0] != 0x47:
		f.Problem, f.Detail = ProblemMedia, "it is no whole transport stream"
	default:
		return body, nil, nil
	}
	return nil, &f, nil
}
