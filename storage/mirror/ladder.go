package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// LadderSource is where the multivariant playlists of ladders come from; segmenter.Registry is one.
type LadderSource interface{ Ladders() []*segmenter.Timeline }

// Ladders brings the multivariant playlists of ladders into the stores of a mirror. The rungs are recordings like any
// other; what is left are a few small objects that change rarely, so one loop looks after all of them. A variant is named
// in a store only once the playlist behind it is there.
type Ladders struct {
	m       *Mirror
	src     LadderSource
	written map[ladderObject]string              // bodies and ages, by store and key, of the ladders there are
	owed    map[ladderID]*segmenter.Timeline     // ladders that a store does not have as they ended; the registry may have forgotten them
	names   map[ladderID][]segmenter.RecordingID // of their timestamped playlists
	touched map[ladderObject]bool                // by the step under way
	failed  map[int]bool                         // stores whose last write failed: one log line for an episode
}

// ladderID names one ladder's recording.
type ladderID struct {
	key segmenter.Key
	id  segmenter.RecordingID
}

type ladderObject struct {
	target int
	key    string
}

// ladderInterval is how often ladders are looked at.
const ladderInterval = 500 * time.Millisecond

// NewLadders makes the loop; Run runs it.
func NewLadders(m *Mirror, src LadderSource) *Ladders {
	return &Ladders{m: m, src: src, written: map[ladderObject]string{}, owed: map[ladderID]*segmenter.Timeline{}, names: map[ladderID][]segmenter.RecordingID{}, failed: map[int]bool{}}
}

// Run writes what changes until ctx is done, and then, for an orderly stop after Mirror.Flush, once more.
func (l *Ladders) Run(ctx context.Context) error {
	t := time.NewTicker(ladderInterval)
	defer t.Stop()
	for {
		l.step(ctx)
		select {
		case <-t.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), ladderStop)
			defer cancel()
			l.step(last)
			return nil
		}
	}
}

// ladderStop bounds the last step.
const ladderStop = 5 * time.Second

func (l *Ladders) step(ctx context.Context) {
	l.touched = map[ladderObject]bool{}
	newest := map[segmenter.Key]segmenter.RecordingID{}
	for _, t := range l.src.Ladders() {
		l.owed[ladderID{t.Key(), t.Recording()}] = t
	}
	var all []*segmenter.Timeline
	for _, t := range l.owed {
		all = append(all, t)
		newest[t.Key()] = max(newest[t.Key()], t.Recording())
	}
	settled := map[*segmenter.Timeline]int{} // in how many stores
	for target, u := range l.m.uploaders {
		var err error
		for _, t := range all {
			final, e := l.mirror(ctx, target, u.store, t, newest[t.Key()] == t.Recording())
			if err = errors.Join(err, e); final && e == nil {
				settled[t]++
			}
		}
		if failed := err != nil && ctx.Err() == nil; failed != l.failed[target] {
			l.failed[target] = failed
			if failed {
				l.m.log.Warn("the multivariant playlists of ladders cannot be written; tried again until they can", "target", u.name, "error", err)
			} else {
				l.m.log.Info("the multivariant playlists of ladders are written again", "target", u.name)
			}
		}
	}
	current := map[*segmenter.Timeline]bool{}
	for _, t := range l.src.Ladders() {
		current[t] = true
	}
	for id, t := range l.owed {
		if !current[t] && (settled[t] == len(l.m.uploaders) || t.Snapshot().State != segmenter.Ended) {
			delete(l.owed, id)
			delete(l.names, id)
		}
	}
	for at := range l.written {
		if !l.touched[at] {
			delete(l.written, at)
		}
	}
}

// mirror brings one ladder to one store; the stable entry only where no newer ladder of the name has it. Final says that the
// ladder has ended, and that the store has all of it then.
func (l *Ladders) mirror(ctx context.Context, target int, store storage.Putter, t *segmenter.Timeline, newest bool) (final bool, err error) {
	s := t.Snapshot()
	if s.Entry == nil {
		return true, nil
	}
	final = s.State == segmenter.Ended
	if entry, e := m3u8.ParseMaster(s.Entry.Body); e != nil {
		err = e
	} else if newest {
		n := len(entry.Variants)
		entry.Variants = l.there(target, s, entry.Variants, segmenter.KindLive)
		final = final && len(entry.Variants) == n
		for _, adaptive := range []bool{false, true} {
			n := segmenter.Name{Kind: segmenter.KindEntry, App: s.App, Stream: s.Stream, Adaptive: adaptive}
			err = errors.Join(err, l.put(ctx, target, store, n, entry, s.TargetDuration, false))
		}
	}
	whole, e := m3u8.ParseMaster(s.Archive().Body)
	if e != nil {
		return false, errors.Join(err, e)
	}
	for _, split := range l.splits(s, whole.Variants) {
		part := *whole
		part.Variants = nil
		for _, v := range whole.Variants {
			v.URI = strings.TrimSuffix(v.URI, string(s.Recording)+".m3u8") + string(split) + ".m3u8"
			part.Variants = append(part.Variants, v)
		}
		settled := s.State == segmenter.Ended && l.finished(target, s, part.Variants)
		final = final && settled
		part.Variants = l.there(target, s, part.Variants, segmenter.KindArchive)
		n := segmenter.Name{Kind: segmenter.KindArchive, App: s.App, Stream: s.Stream, Recording: split}
		err = errors.Join(err, l.put(ctx, target, store, n, &part, s.TargetDuration, settled))
	}
	return final, err
}

// finished reports whether a store has the timestamped playlists of all variants as they will stay.
func (l *Ladders) finished(target int, s *segmenter.Snapshot, variants []m3u8.Variant) bool {
	for _, v := range variants {
		n, ok := segmenter.ParseName(s.App + "/streams/" + v.URI)
		if !ok {
			return false
		}
		if r := l.m.find(segmenter.Key{App: s.App, Stream: n.Stream}, s.Recording); r != nil && !r.finished(target, n.Recording) {
			return false
		}
	}
	return true
}

// finished reports whether a store has a timestamped playlist of the recording with its end. It takes r.mu itself.
func (r *recording) finished(target int, name segmenter.RecordingID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sp := range r.splits {
		if sp.name == name {
			return sp.final&(1<<target) != 0
		}
	}
	return true // it is so long finished that the table has forgotten it
}

// splits names the timestamped playlists that the rungs of a ladder have, or had: the first is named as the recording.
func (l *Ladders) splits(s *segmenter.Snapshot, variants []m3u8.Variant) []segmenter.RecordingID {
	id := ladderID{s.Key, s.Recording}
	names := l.names[id]
	add := func(name segmenter.RecordingID) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	add(s.Recording)
	for _, v := range variants {
		n, _ := segmenter.ParseName(s.App + "/streams/" + v.URI)
		r := l.m.find(segmenter.Key{App: s.App, Stream: n.Stream}, s.Recording)
		if r == nil {
			continue
		}
		r.mu.Lock()
		for _, sp := range r.splits {
			add(sp.name)
		}
		r.mu.Unlock()
	}
	l.names[id] = names
	return names
}

// there keeps the variants whose playlist the store has. A rung that the mirror is done with has all of its playlists.
func (l *Ladders) there(target int, s *segmenter.Snapshot, variants []m3u8.Variant, kind segmenter.Kind) (kept []m3u8.Variant) {
	for _, v := range variants {
		n, ok := segmenter.ParseName(s.App + "/streams/" + v.URI)
		if !ok || n.Kind != kind {
			continue
		}
		r := l.m.find(segmenter.Key{App: s.App, Stream: n.Stream}, s.Recording)
		if r == nil || r.has(target, n) {
			kept = append(kept, v)
		}
	}
	return kept
}

// has tells whether a store has a playlist of the recording. It takes r.mu itself.
func (r *recording) has(target int, n segmenter.Name) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[target]
	if n.Kind == segmenter.KindLive {
		return l.liveWritten
	}
	for i, sp := range r.splits {
		if sp.name == n.Recording {
			return i < l.split || i == l.split && l.named > sp.first
		}
	}
	return false
}

// find is a recording that the mirror still works on; nil where it does not.
func (m *Mirror) find(key segmenter.Key, id segmenter.RecordingID) *recording {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.recordings[recordingKey{key, id}]
}

func (l *Ladders) put(ctx context.Context, target int, store storage.Putter, n segmenter.Name, m *m3u8.Master, targetDuration int, settled bool) error {
	if len(m.Variants) == 0 {
		return nil
	}
	body, key := m.Append(nil), n.String()
	at := ladderObject{target, key}
	l.touched[at] = true
	a := storage.AttributesOf(n.Kind, targetDuration, settled)
	if l.written[at] == string(body)+a.CacheControl {
		return nil
	}
	if err := store.Put(ctx, key, bytes.NewReader(body), a); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	l.written[at] = string(body) + a.CacheControl
	return nil
}
