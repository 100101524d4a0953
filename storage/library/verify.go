package library

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/storage"
)

// VerifyOptions say how deep Verify looks.
type VerifyOptions struct {
	// Checksums reads every segment, compares it with the playlist's checksum, and checks that time stamps follow one
	// another as the playlist says. Without it names and sizes are compared, from listings alone.
	Checksums bool
	// Apart looks at a ladder's own playlist alone: its rungs are verified by their names.
	Apart bool
}

// Verify compares a recording's playlist with what the store has; a ladder is its rungs. An error means that it could not look; what is wrong
// with the recording is in the report. A recording of which nothing exists is fs.ErrNotExist.
func (l *Library) Verify(ctx context.Context, ref RecordingRef, o VerifyOptions) (*Report, error) {
	start := l.o.Now()
	rep := &Report{Findings: []Finding{}}
	a, err := l.load(ctx, ref)
	if storage.KindOf(err) == storage.Missing {
		rec, _, showErr := l.Show(ctx, ref)
		if showErr != nil {
			return nil, showErr
		}
		rep.Recording = rec
		rep.add(Finding{Problem: ProblemNoPlaylist, Key: ref.key(), Detail: fmt.Sprintf("%d segments lie in the folder", rec.Segments)})
		rep.end(start, l.o.Now())
		return rep, nil
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", ref, err)
	}
	rep.Recording = a.describe(make(map[folderRef]bool))
	switch {
	case a.err != nil:
		rep.add(Finding{Problem: ProblemBadPlaylist, Key: a.object.Key, Detail: a.err.Error()})
	case a.master != nil:
		if err = l.measure(ctx, &rep.Recording); err == nil {
			err = l.verifyGroup(ctx, a, o, rep)
		}
	default:
		err = l.verifyMedia(ctx, a, o, rep)
	}
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", ref, err)
	}
	rep.end(start, l.o.Now())
	return rep, nil
}

// verifyGroup verifies the recordings that the playlist joins. What is lost is what the rung lacks that lacks most.
func (l *Library) verifyGroup(ctx context.Context, a *archived, o VerifyOptions, rep *Report) error {
	children := a.children()
	if len(children) != len(masterURIs(a.master)) || len(children) == 0 {
		rep.add(Finding{Problem: ProblemBadPlaylist, Key: a.object.Key, Detail: "a variant is no timestamped playlist"})
	}
	for _, ref := range children {
		_, err := l.s.Stat(ctx, ref.key())
		if storage.KindOf(err) == storage.Missing {
			rep.add(Finding{Problem: ProblemMissing, Key: ref.key(), Detail: "the group's playlist names it"})
			continue
		} else if err != nil {
			return err
		}
		if o.Apart {
			continue
		}
		rung, err := l.Verify(ctx, ref, VerifyOptions{Checksums: o.Checksums, Apart: true}) // a group joins no groups
		if err != nil {
			return err
		}
		rep.Checked, rep.ReadBytes, rep.Lost = rep.Checked+rung.Checked, rep.ReadBytes+rung.ReadBytes, max(rep.Lost, rung.Lost)
		rep.Findings = append(rep.Findings, rung.Findings...)
	}
	if a.clip() == "" {
		return nil
	}
	of, err := a.clipFolder()
	if err != nil {
		rep.add(Finding{Problem: ProblemBadPlaylist, Key: a.object.Key, Detail: err.Error()})
		return nil
	}
	return l.verifyHeld(ctx, a, of, rep)
}

// checkedSegment is a segment on its way through verifyMedia.
type checkedSegment struct {
	m3u8.Segment
	name segmenter.Name
	info *mpegts.Scanned // read, without a finding
}

func (l *Library) verifyMedia(ctx context.Context, a *archived, o VerifyOptions, rep *Report) error {
	var list []checkedSegment
	var of folderRef
	if a.clip() != "" {
		var err error
		if of, err = a.clipFolder(); err != nil {
			rep.add(Finding{Problem: ProblemBadPlaylist, Key: a.object.Key, Detail: err.Error()})
			return nil
		}
	}
	folders := make(map[folderRef]map[uint64]storage.Object)
	all := make(map[folderRef]*contents)
	seen := make(map[segmenter.Name]bool)
	a.segments(func(i int, s *m3u8.Segment, n segmenter.Name, ok bool) {
		bad := Finding{Problem: ProblemBadPlaylist, Key: a.object.Key, Want: fmt.Sprintf("segment %d", a.media.MediaSequence+uint64(i)), Got: s.URI}
		switch {
		case !ok:
			bad.Detail = "the URI is none of a segment of this app"
			rep.add(bad)
			return
		case seen[n]:
			bad.Detail = "the segment is named twice"
			rep.add(bad)
		case n.Sequence != a.media.MediaSequence+uint64(i):
			bad.Detail = "the media sequence and the name disagree"
			rep.add(bad)
		case a.clip() != "" && (folderRef{n.App, n.Stream, n.Recording}) != of:
			bad.Detail = "the segment is not of the recording that it says it is a clip of"
			rep.add(bad)
		case a.clip() == "" && n.Stream != a.ref.Stream:
			bad.Detail = "the segment is of another stream"
			rep.add(bad)
		}
		if round := int((s.Duration + segmenter.Clock/2) / segmenter.Clock); round > a.media.TargetDuration {
			rep.add(Finding{Problem: ProblemBadPlaylist, Key: a.object.Key, Sequence: &n.Sequence, Want: fmt.Sprint("at most ", a.media.TargetDuration, " s"),
				Got: fmt.Sprint(round, " s"), Detail: "the segment is longer than the target duration"})
		}
		seen[n] = true
		folders[folderRef{n.App, n.Stream, n.Recording}] = nil
		list = append(list, checkedSegment{*s, n, nil})
	})
	newest := a.object.Modified
	for f := range folders {
		c, err := l.contents(ctx, f)
		if err != nil {
			return err
		}
		objects := c.segments
		all[f] = c
		for _, o := range objects {
			if o.Modified.After(newest) {
				newest = o.Modified
			}
		}
		folders[f] = objects
	}
	if err := l.verifySegments(ctx, list, folders, o, rep); err != nil {
		return err
	}
	var err error
	if a.clip() != "" {
		err = l.verifyHeld(ctx, a, of, rep)
	} else {
		err = l.verifyUnlisted(ctx, a, folders, rep)
	}
	for f, c := range all {
		if err == nil && a.clip() == "" && f.stream == a.ref.Stream {
			err = l.verifyTracks(ctx, a, f, c, list, o, rep)
		}
	}
	if err != nil {
		return err
	}
	if !a.media.EndList && l.o.Now().Sub(newest) > l.o.Alive {
		rep.add(Finding{Problem: ProblemOpen, Key: a.object.Key, Detail: "nothing has changed since " + newest.UTC().Format("2006-01-02T15:04:05Z") +
			": repair ends it, or the server does when it is back"})
	}
	slices.SortStableFunc(rep.Findings, func(a, b Finding) int {
		switch {
		case a.Sequence == nil || b.Sequence == nil:
			return 0
		case *a.Sequence < *b.Sequence:
			return -1
		case *a.Sequence > *b.Sequence:
			return 1
		}
		return 0
	})
	return nil
}

func (l *Library) verifySegments(ctx context.Context, list []checkedSegment, folders map[folderRef]map[uint64]storage.Object, o VerifyOptions, rep *Report) error {
	var mu sync.Mutex // rep
	add := func(f Finding) {
		mu.Lock()
		defer mu.Unlock()
		rep.add(f)
	}
	p := l.progress("verify", len(list))
	err := l.each(ctx, len(list), func(ctx context.Context, i int) error {
		s := &list[i]
		f := folderRef{s.name.App, s.name.Stream, s.name.Recording}
		object, exists := folders[f][s.name.Sequence]
		switch {
		case s.Gap:
			problem := ProblemGap
			if exists {
				whole, err := l.returned(ctx, s)
				if err != nil {
					return err
				}
				if whole {
					problem = ProblemReturned
				}
			}
			add(atSegment(problem, s.name))
		case !exists:
			add(atSegment(ProblemMissing, s.name))
		case s.Size > 0 && object.Size != s.Size:
			f := atSegment(ProblemSize, s.name)
			f.Want, f.Got = fmt.Sprint(s.Size, " bytes"), fmt.Sprint(object.Size, " bytes")
			add(f)
		case o.Checksums:
			info, finding, err := l.checkSegment(ctx, &s.Segment, s.name)
			if err != nil {
				return err
			}
			mu.Lock()
			rep.ReadBytes += info.Size
			mu.Unlock()
			if finding != nil {
				add(*finding)
			} else {
				s.info = info
			}
			p.step(info.Size)
			return nil
		}
		p.step(0)
		return nil
	})
	rep.Checked = len(list)
	rep.lost(list)
	// Where the playlist has no checksum, one segment in the place of another still shows in its time stamps.
	for i := 1; i < len(list); i++ {
		a, b := &list[i-1], &list[i]
		if a.info == nil || b.info == nil || b.Discontinuity || a.Size > 0 && b.Size > 0 {
			continue
		}
		if distance, ok := a.info.Follows(b.info); !ok {
			f := atSegment(ProblemMedia, b.name)
			f.Want = fmt.Sprintf("%.3f s after the segment before it", float64(a.Duration)/segmenter.Clock)
			f.Got = fmt.Sprintf("%.3f s", float64(distance)/segmenter.Clock)
			f.Detail = "time stamps or parameters do not go on where the segment before ends"
			rep.add(f)
		}
	}
	return err
}

// returned reports whether the object in a gap's place is the segment after all, and not what stands in for it.
func (l *Library) returned(ctx context.Context, s *checkedSegment) (bool, error) {
	info, finding, err := l.checkSegment(ctx, &s.Segment, s.name)
	if err != nil || finding != nil {
		return false, err
	}
	return !info.Still() && (s.Size > 0 || fills(info, s.Duration)), nil
}

// fills reports whether what was read lasts as long as the playlist says, to within half a second or a tenth.
func fills(info *mpegts.Scanned, duration int64) bool {
	return !beyond(info.Base().Span()-duration, max(segmenter.Clock/2, duration/10))
}

// lost adds up the time of segments that no player can be given, and says so with each.
func (r *Report) lost(list []checkedSegment) {
	at := make(map[string]*checkedSegment, len(r.Findings))
	for i := range r.Findings {
		at[r.Findings[i].Key] = nil
	}
	for i := range list {
		if key := list[i].name.String(); len(at) > 0 {
			if _, found := at[key]; found {
				at[key] = &list[i]
			}
		}
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		s := at[f.Key]
		if s == nil || f.Problem.Notice() && f.Problem != ProblemGap {
			continue
		}
		lasts := ticksToDuration(s.Duration)
		r.Lost += Seconds(lasts)
		if f.Detail == "" {
			f.Detail = fmt.Sprintf("%.3f s", lasts.Seconds())
			if !s.ProgramDateTime.IsZero() {
				f.Detail += " from " + s.ProgramDateTime.UTC().Format(timeForm)
			}
		}
	}
}

// checkSegment reads a segment. What is wrong with it is the finding; err means that it could not be read.
func (l *Library) checkSegment(ctx context.Context, s *m3u8.Segment, n segmenter.Name) (*mpegts.Scanned, *Finding, error) {
	info, err := l.scanSegment(ctx, n.String())
	switch {
	case storage.KindOf(err) == storage.Missing: // since it was listed
		f := atSegment(ProblemMissing, n)
		return &info, &f, nil
	case errors.Is(err, mpegts.ErrNotTS):
		f := atSegment(ProblemMedia, n)
		f.Detail = err.Error()
		return &info, &f, nil
	case err != nil:
		return nil, nil, err
	case s.Size > 0 && info.Size != s.Size:
		f := atSegment(ProblemSize, n)
		f.Want, f.Got = fmt.Sprint(s.Size, " bytes"), fmt.Sprint(info.Size, " bytes")
		return &info, &f, nil
	case s.Size > 0 && info.CRC32C != s.CRC32C:
		f := atSegment(ProblemChecksum, n)
		f.Want, f.Got = fmt.Sprintf("CRC-32C %08x", s.CRC32C), fmt.Sprintf("%08x", info.CRC32C)
		return &info, &f, nil
	case info.Cut:
		f := atSegment(ProblemMedia, n)
		f.Detail = "it ends within a packet"
		return &info, &f, nil
	}
	return &info, nil, nil
}

func (l *Library) scanSegment(ctx context.Context, key string) (mpegts.Scanned, error) {
	r, o, err := l.s.Get(ctx, key, 0, -1)
	if err != nil {
		return mpegts.Scanned{}, err
	}
	defer r.Close()
	if o.Size > maxSegment {
		return mpegts.Scanned{}, fmt.Errorf("%s: %d bytes: %w that anybody could play", key, o.Size, mpegts.ErrNotTS)
	}
	info, err := mpegts.Scan(r)
	if err != nil {
		err = fmt.Errorf("%s: %w", key, err)
	}
	return info, err
}

// verifyUnlisted looks for segments in the recording's folders that neither this playlist nor one of its neighbours names.
func (l *Library) verifyUnlisted(ctx context.Context, a *archived, folders map[folderRef]map[uint64]storage.Object, rep *Report) error {
	for f, objects := range folders {
		r, err := l.rangeOf(ctx, a.ref, a, f)
		if err != nil {
			return err
		}
		for _, seq := range r.unlisted(objects) {
			n := segmenter.Name{Kind: segmenter.KindSegment, App: f.app, Stream: f.stream, Recording: f.id, Sequence: seq}
			if !a.media.EndList && seq >= a.media.MediaSequence+uint64(len(a.media.Segments)) && l.o.Now().Sub(objects[seq].Modified) <= l.o.Alive {
				continue // the playlist follows at its own pace
			}
			rep.add(atSegment(ProblemUnlisted, n))
		}
	}
	return nil
}

// verifyHeld looks whether a clip's segments are kept for it, and whether a ladder's clip is listed.
func (l *Library) verifyHeld(ctx context.Context, a *archived, f folderRef, rep *Report) error {
	held, err := l.heldFully(ctx, a, f)
	if err == nil && !held {
		detail := "nothing keeps its segments from being removed with their recording: repair it"
		if a.master != nil {
			detail = "it is not among the clips that are listed: repair it"
		}
		rep.add(Finding{Problem: ProblemUnheld, Key: a.object.Key, Detail: detail})
	}
	return err
}
