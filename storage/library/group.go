package library

import (
	"context"
	"fmt"
	"io/fs"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// repairGroup repairs each recording that a group's playlist joins, and then makes that playlist name those of which anything
// is left. The outcome is that of all of them together.
func (l *Library) repairGroup(ctx context.Context, a *archived, o RepairOptions) (*Repaired, error) {
	out := &Repaired{Written: []string{}}
	lost := map[RecordingRef]bool{}
	for _, ref := range a.children() {
		if child, err := l.load(ctx, ref); err == nil && child.master != nil {
			continue // a group joins no groups: whatever it is, it is left alone
		}
		r, err := l.Repair(ctx, ref, o)
		if storage.KindOf(err) == storage.Missing {
			lost[ref] = true
			continue
		}
		if err != nil {
			return nil, err
		}
		out.Written = append(out.Written, r.Written...)
		out.Added, out.Scanned, out.Gaps = out.Added+r.Added, out.Scanned+r.Scanned, out.Gaps+r.Gaps
		out.Returned, out.Uploaded = out.Returned+r.Returned, out.Uploaded+r.Uploaded
		out.Ended = out.Ended || r.Ended
	}
	if len(lost) == len(a.children()) {
		return nil, fmt.Errorf("none of the recordings that it joins is left: %w", fs.ErrNotExist)
	}
	m := *a.master
	gone := func(uri string) bool {
		for ref := range lost {
			if uri == relative(ref.key()) {
				return true
			}
		}
		return false
	}
	m.Variants = slices.DeleteFunc(slices.Clone(m.Variants), func(v m3u8.Variant) bool { return gone(v.URI) })
	m.Renditions = slices.DeleteFunc(slices.Clone(m.Renditions), func(r m3u8.Rendition) bool { return gone(r.URI) })
	made := archived{ref: a.ref, object: a.object, master: &m}
	out.Recording = made.describe(make(map[folderRef]bool))
	w := &repairWork{l: l, o: o, ref: a.ref, out: out}
	if len(lost) > 0 {
		if err := w.put(ctx, a.ref.key(), m.Append(nil), segmenter.KindArchive); err != nil {
			return out, err
		}
	}
	if a.clip() == "" {
		return out, nil
	}
	f, err := a.clipFolder()
	if err != nil {
		return out, err
	}
	return out, w.rehold(ctx, &made, f)
}

// groupOf finds the group's playlist that joins the recording: it has the same id. What has one id is read once.
func (p *removePlan) groupOf(ctx context.Context, ref RecordingRef) (*RecordingRef, error) {
	if p.siblings[ref.App] == nil {
		all, err := p.l.refsByID(ctx, ref.App)
		if err != nil {
			return nil, err
		}
		p.siblings[ref.App] = all
	}
	if same := p.siblings[ref.App][ref.ID]; len(same) > 1 || len(same) == 1 && same[0] != ref {
		if err := p.l.joined(ctx, same, p.groups); err != nil {
			return nil, err
		}
		delete(p.siblings[ref.App], ref.ID)
	}
	if group, ok := p.groups[ref]; ok {
		return &group, nil
	}
	return nil, nil
}

// joined notes which of some playlists join which recordings.
func (l *Library) joined(ctx context.Context, some []RecordingRef, groups map[RecordingRef]RecordingRef) error {
	return l.loadEach(ctx, "list", some, func(a *archived) {
		for _, child := range a.children() {
			if _, known := groups[child]; !known {
				groups[child] = a.ref
			}
		}
	})
}

// groupsOf are the groups of recordings that have the id of one.
func (l *Library) groupsOf(ctx context.Context, ref RecordingRef) (map[RecordingRef]RecordingRef, error) {
	all, err := l.refsByID(ctx, ref.App)
	if err != nil {
		return nil, err
	}
	groups := make(map[RecordingRef]RecordingRef)
	return groups, l.joined(ctx, all[ref.ID], groups)
}

// refsByID names the timestamped playlists of an app.
func (l *Library) refsByID(ctx context.Context, app string) (map[segmenter.RecordingID][]RecordingRef, error) {
	all := make(map[segmenter.RecordingID][]RecordingRef)
	err := storage.Browse(ctx, l.s, app+"/streams/", func(o storage.Object) error {
		if name, ok := segmenter.ParseName(o.Key); ok && name.Kind == segmenter.KindArchive {
			all[name.Recording] = append(all[name.Recording], RecordingRef{name.App, name.Stream, name.Recording})
		}
		return nil
	})
	return all, err
}
