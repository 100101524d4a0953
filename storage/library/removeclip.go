package library

import (
	"context"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// addClip dooms a clip: its playlist, its holds, and those of its segments that nobody else has. These are none while their recording
// is there.
func (p *removePlan) addClip(ctx context.Context, a *archived) error {
	p.playlists[a.object.Key] = turnArchive
	p.out.Recordings = append(p.out.Recordings, a.ref)
	if err := p.addHolds(ctx, a); err != nil {
		return err
	}
	f, err := a.clipFolder()
	if err != nil {
		return nil // whatever it is, it leads to nothing of ours
	}
	orphaned, err := p.orphaned(ctx, f)
	if err != nil || !orphaned {
		return err
	}
	if len(a.media.Segments) == 0 {
		return nil
	}
	objects, err := p.l.span(ctx, f, a.media.MediaSequence, a.media.MediaSequence+uint64(len(a.media.Segments))-1)
	if err != nil {
		return err
	}
	p.folders[f] = true
	kept, err := p.spare(ctx, f)
	if err != nil {
		return err
	}
	for seq, o := range objects {
		if !kept.has(seq) && p.l.o.Now().Sub(o.Modified) > p.l.o.Alive {
			p.segments[o.Key] = o.Size
		}
	}
	return nil
}

// addHolds dooms the holds of a clip.
func (p *removePlan) addHolds(ctx context.Context, a *archived) error {
	f, err := a.clipFolder()
	if err != nil {
		return nil
	}
	all, err := p.l.holdsOf(ctx, f)
	for i := range all {
		if all[i].title == a.ref.Stream {
			p.holds = append(p.holds, all[i].key())
		}
	}
	return err
}

// orphaned reports whether the recording of a folder is gone: nothing but clips names its segments.
func (p *removePlan) orphaned(ctx context.Context, f folderRef) (bool, error) {
	ref := RecordingRef{f.app, f.stream, f.id}
	for _, key := range []string{f.live(), ref.key()} {
		if _, err := p.l.s.Stat(ctx, key); storage.KindOf(err) != storage.Missing {
			return false, err
		}
	}
	span, err := p.l.rangeOf(ctx, ref, nil, f)
	return err == nil && !span.shared, err
}

// spare is what clips need of a folder that are not to go themselves.
func (p *removePlan) spare(ctx context.Context, f folderRef) (spared, error) {
	all, err := p.l.holdsOf(ctx, f)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	kept, stale, err := p.l.standing(ctx, all)
	if err != nil {
		return nil, err
	}
	for i := range stale {
		if key := stale[i].key(); !slices.Contains(p.holds, key) {
			p.holds = append(p.holds, key)
		}
	}
	kept = slices.DeleteFunc(kept, func(h hold) bool { return slices.Contains(p.holds, h.key()) })
	for i := range kept {
		if c := kept[i].clip(); !slices.Contains(p.out.Clips, c) {
			p.out.Clips = append(p.out.Clips, c)
		}
	}
	return kept, nil
}

// heed looks again for clips when the playlists are gone and before segments go: one that was made meanwhile keeps its segments.
func (p *removePlan) heed(ctx context.Context) error {
	for f := range p.folders {
		kept, err := p.spare(ctx, f)
		if err != nil {
			return err
		}
		if len(kept) == 0 {
			continue
		}
		p.out.Segments = slices.DeleteFunc(p.out.Segments, func(key string) bool {
			n, ok := segmenter.ParseName(key)
			stays := ok && (folderRef{n.App, n.Stream, n.Recording}) == f && kept.has(n.Sequence)
			if stays {
				p.out.Bytes -= p.segments[key]
				p.out.Spared++
				delete(p.segments, key)
			}
			return stays
		})
	}
	return nil
}
