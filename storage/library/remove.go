package library

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// RemoveOptions say whether Remove removes.
type RemoveOptions struct {
	Really bool // without it Remove only says what it would do
	Force  bool // also where a publisher may still be there
	Clips  bool // nothing but clips: where the name is that of a recording there is no such clip
}

// Removal is what was removed, or would be. Playlists go first, in this order, then the segments, so that nobody is ever
// sent to an object that is gone.
type Removal struct {
	Recordings []RecordingRef `json:"recordings"`
	Playlists  []string       `json:"playlists"`
	Segments   []string       `json:"segments"` // and what there is of them as CMAF
	Bytes      int64          `json:"bytes"`    // of segments
	Clips      []RecordingRef `json:"clips"`    // that need segments of the recordings: those segments stay
	Spared     int            `json:"spared"`
	Removed    bool           `json:"removed"`
}

// Remove removes whole recordings, each by its exact name. Of a recording that was split only the one part goes; a
// segment that another playlist names stays, a clip's among them. Of a clip its playlist goes, and those segments that neither a
// recording nor another clip has. A name with nothing behind it is fs.ErrNotExist, and then, as with every
// other error before removing begins, nothing is removed at all.
func (l *Library) Remove(ctx context.Context, refs []RecordingRef, o RemoveOptions) (*Removal, error) {
	p := &removePlan{l: l, o: o, out: &Removal{}, playlists: make(map[string]int), entries: make(map[string]segmenter.RecordingID), segments: make(map[string]int64), folders: make(map[folderRef]spared), siblings: make(map[string]map[segmenter.RecordingID][]RecordingRef), groups: make(map[RecordingRef]RecordingRef)}
	p.doomed = append(p.doomed, refs...)
	for i := 0; i < len(p.doomed); i++ { // a group appends its recordings
		if err := p.add(ctx, p.doomed[i]); err != nil {
			return nil, fmt.Errorf("remove %s: %w", p.doomed[i], err)
		}
	}
	p.finish()
	if !o.Really {
		return p.out, nil
	}
	if err := p.execute(ctx); err != nil {
		return p.out, err
	}
	p.out.Removed = true
	return p.out, nil
}

// ErrJoined refuses to remove a recording that a ladder's joins: they go together.
var ErrJoined = errors.New("it is part of the group recording")

// removePlan collects what goes.
type removePlan struct {
	l         *Library
	o         RemoveOptions
	out       *Removal
	doomed    []RecordingRef
	playlists map[string]int                   // key to its turn
	entries   map[string]segmenter.RecordingID // of those among them that are stable entries: what they lead to
	segments  map[string]int64
	holds     []string                                            // of clips that go
	folders   map[folderRef]spared                                // with segments that may go: what clips need of them
	siblings  map[string]map[segmenter.RecordingID][]RecordingRef // by app, and not looked at yet: what has one id may be a group
	groups    map[RecordingRef]RecordingRef                       // the group that joins a recording
}

// The turns of playlists: what leads to others goes before what it leads to.
const (
	turnEntry = iota
	turnGroup
	turnTracks
	turnArchive
	turnLive
)

func (p *removePlan) add(ctx context.Context, ref RecordingRef) error {
	a, err := p.l.load(ctx, ref)
	if err != nil && storage.KindOf(err) != storage.Missing {
		return err
	}
	if p.o.Clips && (a == nil || a.clip() == "") {
		return fs.ErrNotExist
	}
	if a != nil && a.master != nil {
		p.playlists[a.object.Key] = turnGroup
		if err := p.addOverTracks(ctx, ref); err != nil {
			return err
		}
		p.out.Recordings = append(p.out.Recordings, ref)
		for _, child := range a.children() {
			if below, err := p.l.load(ctx, child); err == nil && below.master != nil {
				continue // a group joins no groups: whatever it is, it is left alone
			}
			if _, err := p.l.s.Stat(ctx, child.key()); err == nil && !slices.Contains(p.doomed, child) {
				p.doomed = append(p.doomed, child)
			}
		}
		if a.clip() != "" {
			return p.addHolds(ctx, a)
		}
		f := folderRef{ref.App, ref.Stream, ref.ID}
		if _, err := p.standing(ctx, f); err != nil {
			return err
		}
		return p.addEntries(ctx, ref, f)
	}
	if group, err := p.groupOf(ctx, ref); err != nil {
		return err
	} else if group != nil && !slices.Contains(p.doomed, *group) {
		return fmt.Errorf("%w %s: remove that", ErrJoined, *group)
	}
	if a != nil && a.clip() != "" {
		return p.addClip(ctx, a)
	}
	if err := p.addOverTracks(ctx, ref); err != nil {
		return err
	}
	folders, err := p.foldersOf(ctx, ref, a)
	if err != nil {
		return err
	}
	if a == nil && len(folders) == 0 {
		return fs.ErrNotExist
	}
	newest := time.Time{}
	if a != nil {
		newest = a.object.Modified
		p.playlists[a.object.Key] = turnArchive
	}
	for _, f := range folders {
		changed, err := p.addFolder(ctx, ref, a, f)
		if err != nil {
			return err
		}
		if changed.After(newest) {
			newest = changed
		}
	}
	ended := a != nil && a.media != nil && a.media.EndList
	if age := p.l.o.Now().Sub(newest); !ended && !p.o.Force && age <= p.l.o.Alive {
		return fmt.Errorf("%w (%s)", ErrAlive, age.Round(time.Second))
	}
	p.out.Recordings = append(p.out.Recordings, ref)
	return nil
}

// foldersOf are the folders with segments of a recording: those that its playlist names, and the one of its own name.
func (p *removePlan) foldersOf(ctx context.Context, ref RecordingRef, a *archived) ([]folderRef, error) {
	own := folderRef{ref.App, ref.Stream, ref.ID}
	var folders []folderRef
	if a != nil && a.media != nil {
		folders = slices.DeleteFunc(a.folders(maxFolders), func(f folderRef) bool { return f.stream != ref.Stream })
	}
	if slices.Contains(folders, own) {
		return folders, nil
	}
	found := errors.New("found")
	err := p.l.s.List(ctx, own.prefix(), func(storage.Object) error { return found })
	if errors.Is(err, found) {
		return append(folders, own), nil
	}
	return folders, err
}

// addFolder dooms what in the folder is the recording's: what its playlist names, and what no other does. It tells when
// the last of that came.
func (p *removePlan) addFolder(ctx context.Context, ref RecordingRef, a *archived, f folderRef) (newest time.Time, err error) {
	c, err := p.l.contents(ctx, f)
	if err != nil {
		return newest, err
	}
	objects, live := c.segments, c.live
	span, err := p.l.rangeOf(ctx, ref, a, f)
	if err != nil {
		return newest, err
	}
	if a != nil && a.media != nil && a.media.EndList {
		p.spareNext(span, objects)
	}
	held := make(map[uint64]bool) // by rolling playlists, where they stay
	if span.shared {
		if held, err = p.heldBy(ctx, live); err != nil {
			return newest, err
		}
	}
	kept, err := p.look(ctx, f)
	if err != nil {
		return newest, err
	}
	for seq, o := range objects {
		if seq < span.low || seq > span.high || held[seq] {
			continue
		}
		p.segments[o.Key] = o.Size
		if !kept.has(seq) && o.Modified.After(newest) {
			newest = o.Modified
		}
	}
	if err := p.addTracks(ctx, ref, c, span, held); err != nil {
		return newest, err
	}
	if span.shared {
		return newest, nil
	}
	for _, o := range live {
		p.playlists[o.Key] = turnLive
	}
	return newest, p.addEntries(ctx, ref, f)
}

// spareNext leaves alone what came a short time ago behind a finished playlist: a split has ended, the recording goes on,
// and the next playlist is not written yet.
func (p *removePlan) spareNext(span *seqRange, objects map[uint64]storage.Object) {
	last := uint64(0)
	for seq := range span.named {
		last = max(last, seq)
	}
	for seq, o := range objects {
		if seq > last && seq <= span.high && p.l.o.Now().Sub(o.Modified) <= p.l.o.Alive {
			span.high, span.shared = last, true
			return
		}
	}
}

// listed are the numbers that a folder's live.m3u8 names; all of them where it cannot be read.
func (p *removePlan) listed(ctx context.Context, key string) (map[uint64]bool, error) {
	body, _, err := p.l.readObject(ctx, key)
	if storage.KindOf(err) == storage.Missing {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	held := make(map[uint64]bool)
	for i := range m.Segments {
		held[m.MediaSequence+uint64(i)] = true
	}
	return held, nil
}

// addEntries dooms the stable entries that lead into the folder.
func (p *removePlan) addEntries(ctx context.Context, ref RecordingRef, f folderRef) error {
	for _, name := range []segmenter.Name{
		{Kind: segmenter.KindEntry, App: ref.App, Stream: ref.Stream}, {Kind: segmenter.KindEntry, App: ref.App, Stream: ref.Stream, Adaptive: true},
		{Kind: segmenter.KindLowLatencyEntry, App: ref.App, Stream: ref.Stream}, {Kind: segmenter.KindCMAFEntry, App: ref.App, Stream: ref.Stream},
		{Kind: segmenter.KindDASHEntry, App: ref.App, Stream: ref.Stream},
	} {
		key := name.String()
		body, _, err := p.l.readObject(ctx, key)
		if storage.KindOf(err) == storage.Missing || errors.Is(err, errUnreadable) {
			continue
		}
		if err != nil {
			return err
		}
		if leadsTo(body, f.id) {
			p.playlists[key] = turnEntry
			p.entries[key] = f.id
		}
	}
	return nil
}

// leadsTo reports whether a multivariant playlist, or a manifest, names something in the folder of a recording.
func leadsTo(body []byte, id segmenter.RecordingID) bool {
	if d, err := parseManifest(body); err == nil {
		return d.names("/" + string(id) + "/")
	}
	m, err := m3u8.ParseMaster(body)
	if err != nil {
		return false // not ours
	}
	return slices.ContainsFunc(masterURIs(m), func(uri string) bool { return strings.Contains(uri, "/"+string(id)+"/") })
}

// elsewhere reports whether there is an entry again that leads to another recording: the stream has begun anew meanwhile.
func (p *removePlan) elsewhere(ctx context.Context, key string) bool {
	id, entry := p.entries[key]
	if !entry {
		return false
	}
	body, _, err := p.l.readObject(ctx, key)
	return err == nil && !leadsTo(body, id)
}

// finish decides what clips spare, now that all is known that goes.
func (p *removePlan) finish() {
	for f, kept := range p.folders {
		p.spare(f, kept)
	}
	p.out.Playlists = slices.SortedFunc(maps.Keys(p.playlists), func(a, b string) int {
		if d := p.playlists[a] - p.playlists[b]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	p.count()
}

// count tells which segments go.
func (p *removePlan) count() {
	p.out.Segments, p.out.Bytes = slices.Sorted(maps.Keys(p.segments)), 0
	for _, size := range p.segments {
		p.out.Bytes += size
	}
}

// removeBatch is how many segments are removed between two reports of progress.
const removeBatch = 1000

func (p *removePlan) execute(ctx context.Context) error {
	m := p.l.progress("remove", len(p.out.Playlists)+len(p.out.Segments))
	for _, key := range p.out.Playlists { // one by one: their order counts
		if err := p.l.s.Remove(ctx, key); err != nil {
			return err
		}
		m.step(0)
	}
	if err := p.l.s.Remove(ctx, p.holds...); err != nil {
		return err
	}
	if err := p.heed(ctx); err != nil {
		return err
	}
	for batch := range slices.Chunk(p.out.Segments, removeBatch) {
		if err := p.l.s.Remove(ctx, batch...); err != nil {
			return err
		}
		for _, key := range batch {
			m.step(p.segments[key])
		}
	}
	return p.check(ctx)
}

// check looks again: a store may say of what it keeps that it is gone.
func (p *removePlan) check(ctx context.Context) error {
	const unsure = "everything was removed, but whether it is gone cannot be seen: %w"
	var left []string
	for _, key := range p.out.Playlists {
		switch _, err := p.l.s.Stat(ctx, key); {
		case err == nil && !p.elsewhere(ctx, key):
			left = append(left, key)
		case err == nil:
		case storage.KindOf(err) != storage.Missing:
			return fmt.Errorf(unsure, err)
		}
	}
	folders := make(map[string]bool)
	for _, key := range p.out.Segments {
		folders[key[:strings.LastIndexByte(key, '/')+1]] = true
	}
	for folder := range folders {
		err := p.l.s.List(ctx, folder, func(o storage.Object) error {
			if _, doomed := p.segments[o.Key]; doomed {
				left = append(left, o.Key)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf(unsure, err)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("%d objects are still there, %s among them, though the store said that it removed them: look for Object Lock, or for a policy that forbids s3:DeleteObject", len(left), left[0])
	}
	return nil
}
