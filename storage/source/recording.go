package source

import (
	"context"
	"fmt"
	"path"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/library"
)

// recording opens a recording that has ended: its segments, one behind the other. Time stamps are left as they are, so they jump where
// something is missing. Of a ladder it is the best rung.
func (p *Places) recording(ctx context.Context, name string) (*Input, error) {
	ref, err := library.ParseRecordingRef(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrForm)
	}
	l := library.New(p.Store, library.Options{})
	r, media, err := l.Show(ctx, ref)
	if err == nil && len(r.Group) > 0 {
		ref = r.Group[0]
		r, media, err = l.Show(ctx, ref)
	}
	switch {
	case err != nil:
		return nil, err
	case media == nil:
		return nil, fmt.Errorf("the recording %s has no playlist that can be read (%s): hlsorigin recordings repair makes one: %w", ref, r.Damage, ErrForm)
	case !r.Ended:
		return nil, fmt.Errorf("the recording %s goes on, or was never ended: end it, or let hlsorigin recordings repair -force do it: %w", ref, ErrGrowing)
	}
	var parts []part
	gaps := 0
	for i := range media.Segments {
		s := &media.Segments[i]
		n, ok := segmenter.ParseName(path.Join(ref.App, "streams", s.URI))
		if s.Gap || !ok || n.Kind != segmenter.KindSegment || n.App != ref.App {
			gaps++
			continue
		}
		x := part{key: n.String(), size: s.Size}
		if x.size == 0 {
			o, err := p.Store.Stat(ctx, x.key)
			if err != nil {
				return nil, err
			}
			x.size = o.Size
		}
		parts = append(parts, x)
	}
	in := overParts(ctx, p.Store, parts, path.Base(name)+".ts")
	if gaps > 0 {
		in.Notes = append(in.Notes, fmt.Sprintf("%d segments of the recording are gaps, and are missing in the package", gaps))
	}
	return in, nil
}
