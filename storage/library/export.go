package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"golang.org/x/sync/errgroup"

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

// maxSegment bounds a segment in memory: a minute at 70 Mb/s.
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
// which is written last.
func (l *Library) ExportFolder(ctx context.Context, ref RecordingRef, to storage.Putter) (*Exported, error) {
	return l.export(ctx, ref, func(n segmenter.Name, body []byte) error {
		return to.Put(ctx, relative(n.String()), bytes.NewReader(body), storage.AttributesOf(n.Kind, 0, true))
	}, func(m *m3u8.Media) error {
		return to.Put(ctx, path.Base(ref.key()), bytes.NewReader(m.Append(nil)), storage.AttributesOf(segmenter.KindArchive, 0, true))
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
	p := l.progress("export", len(a.media.Segments))

	// A small pipeline: several fetches at once, handed on in their order.
	type fetched struct {
		seg     m3u8.Segment
		name    segmenter.Name
		body    []byte
		finding *Finding
	}
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan fetched, min(l.o.Workers, 4))
	g.Go(func() error {
		defer close(queue)
		var stop error
		a.segments(func(_ int, s *m3u8.Segment, n segmenter.Name, ok bool) {
			if stop != nil {
				return
			}
			one := make(chan fetched, 1)
			select {
			case queue <- one:
			case <-ctx.Done():
				stop = context.Cause(ctx)
				return
			}
			if s.Gap || !ok {
				f := fetched{seg: *s, name: n}
				if !ok {
					f.finding = &Finding{Problem: ProblemBadPlaylist, Key: a.object.Key, Got: s.URI, Detail: "the URI is none of a segment of this app"}
				}
				one <- f
				return
			}
			g.Go(func() error {
				body, finding, err := l.fetchSegment(ctx, s, n)
				one <- fetched{*s, n, body, finding}
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

// fetchSegment reads a segment whole. What is wrong with it is the finding.
func (l *Library) fetchSegment(ctx context.Context, s *m3u8.Segment, n segmenter.Name) ([]byte, *Finding, error) {
	r, o, err := l.s.Get(ctx, n.String(), 0, -1)
	if storage.KindOf(err) == storage.Missing {
		f := atSegment(ProblemMissing, n)
		return nil, &f, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	if o.Size > maxSegment {
		return nil, nil, errors.New(n.String() + " is too large for a segment")
	}
	body := make([]byte, o.Size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", n, err)
	}
	f := atSegment(ProblemSize, n)
	switch {
	case s.Size > 0 && s.Size != o.Size:
		f.Want, f.Got = fmt.Sprint(s.Size, " bytes"), fmt.Sprint(o.Size, " bytes")
	case s.Size > 0 && mpegts.Checksum(body) != s.CRC32C:
		f.Problem = ProblemChecksum
		f.Want, f.Got = fmt.Sprintf("CRC-32C %08x", s.CRC32C), fmt.Sprintf("%08x", mpegts.Checksum(body))
	case len(body) == 0 || len(body)%mpegts.PacketSize != 0 || body[0] != 0x47:
		f.Problem, f.Detail = ProblemMedia, "it is no whole transport stream"
	default:
		return body, nil, nil
	}
	return nil, &f, nil
}
