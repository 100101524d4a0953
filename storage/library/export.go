package library

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/hlsorigin/hlsorigin/segmenter"
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
	return l.export(ctx, ref, func(_ segmenter.Name, body []byte) error {
		_, err := to.Write(body)
		return err
	}, nil)
}

// ExportFolder writes a recording into another store, such as an empty directory, so that it plays from there: the
// playlist, and beside it the segments at the same relative paths. What is missing or damaged is a gap in the playlist,
// which is written last. What is there already and is something else stays, and is storage.ErrExists, unless it may be replaced.
func (l *Library) ExportFolder(ctx context.Context, ref RecordingRef, to storage.Putter, replace bool) (*Exported, error) {
	put := func(key string, body []byte, kind segmenter.Kind) error {
		a := storage.AttributesOf(kind, 0, true)
		a.IfAbsent = !replace
		return to.Put(ctx, key, bytes.NewReader(body), a)
	}
	return l.export(ctx, ref, func(n segmenter.Name, body []byte) error {
		return put(relative(n.String()), body, n.Kind)
	}, func(m *m3u8.Media) error {
		return put(path.Base(ref.key()), m.Append(nil), segmenter.KindArchive)
	})
}

// export reads ahead of fn, which gets the segments in their order, and gives finish the playlist of what fn got.
func (l *Library) export(ctx context.Context, ref RecordingRef, fn func(segmenter.Name, []byte) error, finish func(*m3u8.Media) error) (*Exported, error) {
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
		for one := range queue {
			var f fetched
			select {
			case f = <-one:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			switch {
			case f.finding != nil:
				out.Damaged = append(out.Damaged, *f.finding)
				f.seg.Gap = true
			case f.seg.Gap:
				out.Gaps++
			case f.body == nil: // the fetch has failed, and ctx is about to end
				continue
			default:
				if err := fn(f.name, f.body); err != nil {
					return err
				}
				out.Segments++
				out.Bytes += int64(len(f.body))
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
