package ladder

import (
	"slices"
	"strings"
	"sync"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/recheck"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// show is one ladder's recording: its multivariant playlists as the timeline has them, or had them before a restart. It belongs to the
// goroutine of Ladders, unless stated otherwise.
type show struct {
	showID
	l          *Ladders
	line       *segmenter.Timeline // nil: recovered after a restart, and not continued
	current    bool                // the registry knows it
	target     int                 // EXT-X-TARGETDURATION of its rungs, seconds
	low        bool                // it has a low-latency entry
	lowAsked   map[int]bool        // by store: whether that has such an entry all the same, from when the ladder had low latency
	entry      string              // the stable entry; "" while there is none
	archive    string              // the timestamped playlist
	ended      bool
	superseded bool                    // a newer recording owns the stable entry
	names      []segmenter.RecordingID // of its timestamped playlists
	later      []byte                  // records of a later version
	claims     []*hold                 // one for each store
	fed        bool                    // publishers feed its rungs
	recalled   bool                    // an earlier process began it
	yielded    bool                    // it was let go of: another server may have it
	node       string                  // under which name this server claims it
	folder     *spool.Folder           // of its journal, which a start has found; else nil
	owners     []recheck.Owner         // one for each store
	rungs      map[string]*mirror.Rung // by stream; the mirror may have forgotten them since

	mu     sync.Mutex // of doubts
	doubts []spool.Doubt
}

func newShow(l *Ladders, id showID) *show {
	sh := &show{showID: id, l: l, node: l.m.Server().Node, lowAsked: map[int]bool{}, rungs: map[string]*mirror.Rung{}}
	for store, u := range l.stores {
		sh.owners = append(sh.owners, &owner{sh, store})
		c := &hold{tenure: u.Shared().Tenure(id.key, id.id)}
		if c.tenure == nil {
			c.state = shared.Ours
		}
		sh.claims = append(sh.claims, c)
	}
	return sh
}

// recalled returns a ladder as described by its journal.
func recalled(l *Ladders, f *spool.Recovered) *show {
	st := &f.State
	sh := newShow(l, showID{segmenter.Key{App: st.ID.App, Stream: st.ID.Stream}, segmenter.RecordingID(st.ID.Recording)})
	sh.folder, sh.target, sh.entry, sh.archive = f.Folder, st.Ladder.TargetDuration, st.Ladder.Entry, st.Ladder.Archive
	sh.low, sh.recalled = st.Ladder.LowLatency, true
	if st.Ladder.Node != "" {
		sh.node = st.Ladder.Node
	}
	sh.ended, sh.superseded, sh.later = st.Ended, st.Superseded, st.Later
	for _, name := range st.Ladder.Names {
		if _, ok := segmenter.RecordingID(name).Time(); ok { // it will be part of a key
			sh.names = append(sh.names, segmenter.RecordingID(name))
		}
	}
	for store, c := range sh.claims {
		if c.tenure != nil {
			c.tenure.Formerly(sh.node)
		}
		if c.tenure != nil && st.StoodDown&(1<<store) != 0 {
			c.state = shared.Lost
			sh.ended = true // who publishes its rungs again begins a new one
			l.m.Stats().StoodDown.Add(1)
		}
	}
	for _, d := range st.Doubts {
		if _, ours := segmenter.ParseName(d.Key); ours && d.Target < len(sh.owners) && l.stores[d.Target].Shared().Rechecks.Recall(d.Key, d.Body, sh.owners[d.Target]) {
			sh.doubts = append(sh.doubts, d)
		}
	}
	return sh
}

// look updates from the timeline. A recovered one says nothing before its rungs go on.
func (sh *show) look() {
	if sh.line == nil {
		sh.ended = true
		return
	}
	s := sh.line.Snapshot()
	if s.Yielded && !sh.yielded {
		sh.yielded = true
		for _, c := range sh.claims {
			if c.tenure != nil && c.state != shared.Lost {
				c.state = shared.Unread // before anything more is written
			}
		}
	}
	sh.ended = sh.ended || s.State == segmenter.Ended
	sh.feed(s.State == segmenter.Live)
	if s.Entry != nil {
		sh.target, sh.entry, sh.archive, sh.low = s.TargetDuration, string(s.Entry.Body), string(s.Archive().Body), s.PartTarget > 0
	}
}

// gone reports whether the ladder went on elsewhere, as far as this server knows.
func (sh *show) gone() bool {
	return sh.yielded || slices.ContainsFunc(sh.claims, func(c *hold) bool { return c.state == shared.Lost })
}

// record returns its state for the journal.
func (sh *show) record() *spool.Batch {
	ladder := spool.Ladder{TargetDuration: sh.target, Entry: sh.entry, Archive: sh.archive, LowLatency: sh.low, Node: sh.node}
	for _, name := range sh.names[max(0, len(sh.names)-maxNames):] {
		ladder.Names = append(ladder.Names, string(name))
	}
	var b spool.Batch
	for range 2 { // damage to one place does not lose it
		b.Ladder(ladder)
		if sh.superseded {
			b.Superseded()
		}
		for store, c := range sh.claims {
			if c.state == shared.Lost {
				b.StoodDown(store)
			}
		}
		if sh.ended {
			b.Ended()
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, d := range sh.doubts {
		b.Doubt(d)
	}
	b.Later(sh.later)
	return &b
}

// maxNames bounds how many timestamped playlists of a ladder its journal names, the latest: a record has room for some more. Earlier ones
// stay in the stores as they are, and are not written again after a restart.
const maxNames = 1024

// splits returns the names of the timestamped playlists that the rungs have or had: the first has the name of the recording.
func (sh *show) splits(variants []m3u8.Variant) []segmenter.RecordingID {
	add := func(name segmenter.RecordingID) {
		if !slices.Contains(sh.names, name) {
			sh.names = append(sh.names, name)
		}
	}
	add(sh.id)
	for _, v := range variants {
		n, _ := segmenter.ParseName(sh.key.App + "/streams/" + v.URI)
		if r := sh.known(n.Stream); r != nil {
			for _, name := range r.Archives() {
				add(name)
			}
		}
	}
	return sh.names
}

// variants returns those of the whole recording with the URIs of one split.
func (sh *show) variants(whole []m3u8.Variant, split segmenter.RecordingID) (out []m3u8.Variant) {
	for _, v := range whole {
		v.URI = strings.TrimSuffix(v.URI, string(sh.id)+".m3u8") + string(split) + ".m3u8"
		out = append(out, v)
	}
	return out
}

// finished reports whether a store has the final timestamped playlists of all variants.
func (sh *show) finished(way mirror.Way, variants []m3u8.Variant) bool {
	for _, v := range variants {
		n, ok := segmenter.ParseName(sh.key.App + "/streams/" + v.URI)
		if !ok {
			return false
		}
		if r := sh.known(n.Stream); r != nil && !r.Finished(way, n.Recording) {
			return false
		}
	}
	return true
}

// inDoubt reports whether one of its playlists may still be overwritten by an earlier write.
func (sh *show) inDoubt() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return len(sh.doubts) > 0
}

// forgetEntry drops the doubts about the stable entry if the ladder that now owns it is completely stored.
func (sh *show) forgetEntry() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.doubts = slices.DeleteFunc(sh.doubts, func(d spool.Doubt) bool {
		n, _ := segmenter.ParseName(d.Key)
		entry := n.Source().Kind == segmenter.KindEntry || n.Kind == segmenter.KindLowLatencyEntry
		if entry {
			sh.l.stores[d.Target].Shared().Rechecks.Forget(d.Key)
		}
		return entry
	})
}

// owner is a show with regard to one store.
type owner struct {
	sh    *show
	store int
}

// Doubted implements recheck.Owner.
func (o *owner) Doubted(key string, body recheck.Sum) {
	o.sh.mu.Lock()
	defer o.sh.mu.Unlock()
	d := spool.Doubt{Target: o.store, Key: key, Body: body}
	if o.sh.folderless() || slices.Contains(o.sh.doubts, d) {
		return
	}
	if o.sh.doubts = append(o.sh.doubts, d); len(o.sh.doubts) > recheck.MaxDoubts {
		o.sh.doubts = slices.Delete(o.sh.doubts, 0, 1)
	}
}

// Sure implements recheck.Owner.
func (o *owner) Sure(key string) {
	o.sh.mu.Lock()
	defer o.sh.mu.Unlock()
	o.sh.doubts = slices.DeleteFunc(o.sh.doubts, func(d spool.Doubt) bool { return d.Target == o.store && d.Key == key })
}

// folderless reports whether there is no spool to keep anything in.
func (sh *show) folderless() bool { return sh.l.o.Spool == nil }

// rung is the recording of one of its streams; nil where the mirror has not known it since the start.
func (sh *show) rung(stream string) *mirror.Rung {
	if r := sh.known(stream); r != nil {
		sh.rungs[stream] = r
	}
	return sh.rungs[stream]
}

// known is the recording of one of its streams that the mirror works on, or nil.
func (sh *show) known(stream string) *mirror.Rung {
	return sh.l.m.Rung(segmenter.Key{App: sh.key.App, Stream: stream}, sh.id)
}
