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
	objects, err := p.orphans(ctx, f)
	if err != nil || len(objects) == 0 {
		return err
	}
	if _, err := p.look(ctx, f); err != nil {
		return err
	}
	for seq, o := range objects {
		n := segmenter.Name{Kind: segmenter.KindSegment, App: f.app, Stream: f.stream, Recording: f.id, Sequence: seq}
		if a.names(n) {
			p.segments[o.Key] = o.Size
		}
	}
	return nil
}

// names reports whether a clip's playlist has a segment.
func (a *archived) names(n segmenter.Name) bool {
	return a.media != nil && n.Sequence >= a.media.MediaSequence && n.Sequence < a.media.MediaSequence+uint64(len(a.media.Segments))
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

// orphans are the segments of a folder whose recording was removed, so that clips alone have them; none while there is anything else of
// it: it may have lost its playlist, and can be repaired.
func (p *removePlan) orphans(ctx context.Context, f folderRef) (map[uint64]storage.Object, error) {
	ref := RecordingRef{f.app, f.stream, f.id}
	if _, err := p.l.s.Stat(ctx, ref.key()); storage.KindOf(err) != storage.Missing {
		return nil, err
	}
	objects, live, err := p.l.objects(ctx, f)
	if err != nil || len(live) > 0 {
		return nil, err
	}
	span, err := p.l.rangeOf(ctx, ref, nil, f)
	if err != nil || span.shared {
		return nil, err
	}
	holds, err := p.l.holdsOf(ctx, f)
	for seq, o := range objects {
		if !spared(holds).has(seq) || p.l.o.Now().Sub(o.Modified) <= p.l.o.Alive {
			return nil, err
		}
	}
	return objects, err
}

// look finds what clips need of a folder, be it that they go themselves.
func (p *removePlan) look(ctx context.Context, f folderRef) (kept spared, err error) {
	kept, err = p.standing(ctx, f)
	p.folders[f] = kept
	return kept, err
}

// standing are the holds on a folder; those that a crash left behind are doomed.
func (p *removePlan) standing(ctx context.Context, f folderRef) ([]hold, error) {
	all, err := p.l.holdsOf(ctx, f)
	if err != nil {
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
	return kept, nil
}

// spare leaves alone what clips need of a folder that do not go themselves.
func (p *removePlan) spare(f folderRef, kept spared) {
	kept = slices.DeleteFunc(slices.Clone(kept), func(h hold) bool { return slices.Contains(p.holds, h.key()) })
	for i := range kept {
		if c := kept[i].clip(); !slices.Contains(p.out.Clips, c) {
			p.out.Clips = append(p.out.Clips, c)
		}
	}
	if len(kept) == 0 {
		return
	}
	for key := range p.segments {
		n, ok := segmenter.ParseName(key)
		if ok && n.Kind == segmenter.KindSegment && (folderRef{n.App, n.Stream, n.Recording}) == f && kept.has(n.Sequence) {
			delete(p.segments, key)
			p.out.Spared++
		}
	}
}

// heed looks again for clips when the playlists are gone and before segments go: one that was made meanwhile keeps its segments.
func (p *removePlan) heed(ctx context.Context) error {
	for f := range p.folders {
		kept, err := p.look(ctx, f)
		if err != nil {
			return err
		}
		p.spare(f, kept)
	}
	p.count()
	return nil
}
