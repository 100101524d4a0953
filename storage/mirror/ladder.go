package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	written map[ladderObject]string // bodies, by store and key, of the ladders there are
	touched map[ladderObject]bool   // by the step under way
	failed  map[int]bool            // stores whose last write failed: one log line for an episode
}

type ladderObject struct {
	target int
	key    string
}

// ladderInterval is how often ladders are looked at.
const ladderInterval = 500 * time.Millisecond

// NewLadders makes the loop; Run runs it.
func NewLadders(m *Mirror, src LadderSource) *Ladders {
	return &Ladders{m: m, src: src, written: map[ladderObject]string{}, failed: map[int]bool{}}
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
	all := l.src.Ladders()
	for _, t := range all {
		newest[t.Key()] = max(newest[t.Key()], t.Recording())
	}
	for target, u := range l.m.uploaders {
		var err error
		for _, t := range all {
			err = errors.Join(err, l.mirror(ctx, target, u.store, t, newest[t.Key()] == t.Recording()))
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
	for at := range l.written {
		if !l.touched[at] {
			delete(l.written, at)
		}
	}
}

// mirror brings one ladder to one store; the stable entry only where no newer ladder of the name has it.
func (l *Ladders) mirror(ctx context.Context, target int, store storage.Putter, t *segmenter.Timeline, newest bool) error {
	s := t.Snapshot()
	if s.Entry == nil {
		return nil
	}
	var err error
	if entry, e := m3u8.ParseMaster(s.Entry.Body); e != nil {
		err = e
	} else if newest {
		entry.Variants = l.there(target, s, entry.Variants, segmenter.KindLive)
		for _, adaptive := range []bool{false, true} {
			n := segmenter.Name{Kind: segmenter.KindEntry, App: s.App, Stream: s.Stream, Adaptive: adaptive}
			err = errors.Join(err, l.put(ctx, target, store, n, entry, s.TargetDuration))
		}
	}
	whole, e := m3u8.ParseMaster(s.Archive().Body)
	if e != nil {
		return errors.Join(err, e)
	}
	for _, split := range l.splits(s, whole.Variants) {
		part := *whole
		part.Variants = nil
		for _, v := range whole.Variants {
			v.URI = strings.TrimSuffix(v.URI, string(s.Recording)+".m3u8") + string(split) + ".m3u8"
			part.Variants = append(part.Variants, v)
		}
		part.Variants = l.there(target, s, part.Variants, segmenter.KindArchive)
		n := segmenter.Name{Kind: segmenter.KindArchive, App: s.App, Stream: s.Stream, Recording: split}
		err = errors.Join(err, l.put(ctx, target, store, n, &part, s.TargetDuration))
	}
	return err
}

// splits names the timestamped playlists that the rungs of a ladder have.
func (l *Ladders) splits(s *segmenter.Snapshot, variants []m3u8.Variant) (names []segmenter.RecordingID) {
	seen := map[segmenter.RecordingID]bool{}
	for _, v := range variants {
		n, _ := segmenter.ParseName(s.App + "/streams/" + v.URI)
		r := l.m.find(segmenter.Key{App: s.App, Stream: n.Stream}, s.Recording)
		if r == nil {
			continue
		}
		r.mu.Lock()
		for _, sp := range r.splits {
			if !seen[sp.name] {
				seen[sp.name] = true
				names = append(names, sp.name)
			}
		}
		r.mu.Unlock()
	}
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

func (l *Ladders) put(ctx context.Context, target int, store storage.Putter, n segmenter.Name, m *m3u8.Master, targetDuration int) error {
	if len(m.Variants) == 0 {
		return nil
	}
	body, key := m.Append(nil), n.String()
	at := ladderObject{target, key}
	l.touched[at] = true
	if l.written[at] == string(body) {
		return nil
	}
	if err := store.Put(ctx, key, bytes.NewReader(body), storage.AttributesOf(n.Kind, targetDuration, false)); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	l.written[at] = string(body)
	return nil
}
