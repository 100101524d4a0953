package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/recheck"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// show is one ladder's recording: its multivariant playlists as the timeline has them, or had them before a restart. It belongs to the
// goroutine of Ladders, unless stated otherwise.
type show struct {
	ladderID
	m          *Mirror
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
	claims     []*showClaim            // one for each store
	fed        bool                    // publishers feed its rungs
	recalled   bool                    // an earlier process began it
	yielded    bool                    // it was let go of: another server may have it
	node       string                  // under which name this server claims it
	folder     *spool.Folder           // of its journal, which a start has found; else nil
	owners     []recheck.Owner         // one for each store
	rungs      map[string]*recording   // by stream; the mirror may have forgotten them since

	mu     sync.Mutex // of doubts
	doubts []spool.Doubt
}

func newShow(m *Mirror, id ladderID) *show {
	sh := &show{ladderID: id, m: m, node: m.server.Node, lowAsked: map[int]bool{}, rungs: map[string]*recording{}}
	for target, u := range m.uploaders {
		sh.owners = append(sh.owners, &showOwner{sh, target})
		c := &showClaim{tenure: u.shared.Tenure(id.key, id.id)}
		if c.tenure == nil {
			c.hold = shared.Ours
		}
		sh.claims = append(sh.claims, c)
	}
	return sh
}

// recalledShow returns a ladder as described by its journal.
func recalledShow(m *Mirror, f *spool.Recovered) *show {
	st := &f.State
	sh := newShow(m, ladderID{segmenter.Key{App: st.ID.App, Stream: st.ID.Stream}, segmenter.RecordingID(st.ID.Recording)})
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
	for target, c := range sh.claims {
		if c.tenure != nil {
			c.tenure.Formerly(sh.node)
		}
		if c.tenure != nil && st.StoodDown&(1<<target) != 0 {
			c.hold = shared.Lost
			sh.ended = true // as in recording.recovered
			m.stats.StoodDown.Add(1)
		}
	}
	for _, d := range st.Doubts {
		if _, ours := segmenter.ParseName(d.Key); ours && d.Target < len(sh.owners) && m.uploaders[d.Target].shared.Rechecks.Recall(d.Key, d.Body, sh.owners[d.Target]) {
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
			if c.tenure != nil && c.hold != shared.Lost {
				c.hold = shared.Unread // before anything more is written
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
	return sh.yielded || slices.ContainsFunc(sh.claims, func(c *showClaim) bool { return c.hold == shared.Lost })
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
		for target, c := range sh.claims {
			if c.hold == shared.Lost {
				b.StoodDown(target)
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
		r := sh.m.find(segmenter.Key{App: sh.key.App, Stream: n.Stream}, sh.id)
		if r == nil {
			continue
		}
		r.mu.Lock()
		for _, sp := range r.splits {
			add(sp.name)
		}
		r.mu.Unlock()
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
func (sh *show) finished(target int, variants []m3u8.Variant) bool {
	for _, v := range variants {
		n, ok := segmenter.ParseName(sh.key.App + "/streams/" + v.URI)
		if !ok {
			return false
		}
		if r := sh.m.find(segmenter.Key{App: n.App, Stream: n.Stream}, sh.id); r != nil && !r.finished(target, n.Recording) {
			return false
		}
	}
	return true
}

// finished reports whether a store has a final timestamped playlist of the recording. It takes r.mu itself.
func (r *recording) finished(target int, name segmenter.RecordingID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sp := range r.splits {
		if sp.name == name {
			return sp.final&(1<<target) != 0
		}
	}
	return true // finished so long ago that the table has forgotten it
}

// has reports whether a store has a playlist of the recording. It takes r.mu itself.
func (r *recording) has(target int, n segmenter.Name) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.way(target)
	if l == nil || l.of != nil && len(r.codings) == 0 {
		return false // there is nothing of it as CMAF
	}
	if n.Kind == segmenter.KindLive {
		return l.liveWritten
	}
	for i, sp := range r.splits {
		if sp.name == n.Recording {
			return i < l.split && !sp.before || i == l.split && l.named > sp.first
		}
	}
	return false
}

// hadBefore reports whether a store may have a playlist of the recording that the table does not tell of: from before a start or a takeover, when
// it was not written again yet, or so long ago that the table has forgotten it. It takes r.mu itself.
func (r *recording) hadBefore(target int, n segmenter.Name) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.way(target)
	if l == nil || l.of != nil && len(r.codings) == 0 {
		return false
	}
	if n.Kind == segmenter.KindLive {
		return r.recalled && !l.liveWritten
	}
	i := slices.IndexFunc(r.splits, func(sp split) bool { return sp.name == n.Recording })
	if i < 0 {
		return len(r.splits) > 0 && n.Recording < r.splits[0].name
	}
	return r.recalled && (i < l.split && r.splits[i].before || i == l.split && l.named <= r.splits[i].first)
}

// find returns a recording that the mirror still works on, or nil.
func (m *Mirror) find(key segmenter.Key, id segmenter.RecordingID) *recording {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.recordings[recordingKey{key, id}]
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
			sh.m.uploaders[d.Target].shared.Rechecks.Forget(d.Key)
		}
		return entry
	})
}

// showOwner is a show with regard to one store.
type showOwner struct {
	sh     *show
	target int
}

// Doubted implements recheck.Owner.
func (o *showOwner) Doubted(key string, body recheck.Sum) {
	o.sh.mu.Lock()
	defer o.sh.mu.Unlock()
	d := spool.Doubt{Target: o.target, Key: key, Body: body}
	if o.sh.folderless() || slices.Contains(o.sh.doubts, d) {
		return
	}
	if o.sh.doubts = append(o.sh.doubts, d); len(o.sh.doubts) > recheck.MaxDoubts {
		o.sh.doubts = slices.Delete(o.sh.doubts, 0, 1)
	}
}

// Sure implements recheck.Owner.
func (o *showOwner) Sure(key string) {
	o.sh.mu.Lock()
	defer o.sh.mu.Unlock()
	o.sh.doubts = slices.DeleteFunc(o.sh.doubts, func(d spool.Doubt) bool { return d.Target == o.target && d.Key == key })
}

// folderless reports whether there is no spool to keep anything in.
func (sh *show) folderless() bool { return sh.m.o.Spool == nil }

// rung is the recording of one of its streams; nil where the mirror has not known it since the start.
func (sh *show) rung(stream string) *recording {
	if r := sh.m.find(segmenter.Key{App: sh.key.App, Stream: stream}, sh.id); r != nil {
		sh.rungs[stream] = r
	}
	return sh.rungs[stream]
}

// manifest writes the DASH manifest over what a store has of the rungs behind the variants of m, beside the multivariant playlist of that
// name over their tracks. Where a rung is not known any more it stays as it is.
func (l *Ladders) manifest(ctx context.Context, target int, sh *show, m *m3u8.Master, n segmenter.Name) error {
	u, of := l.m.uploaders[target], fmt.Sprint(len(m.Variants))
	made := &tracks.Manifest{Name: n, Master: m}
	if made.Name.Kind = segmenter.KindDASHEntry; n.Kind == segmenter.KindCMAFArchive {
		made.Name.Kind, made.Type = segmenter.KindDASHArchive, m3u8.VOD
	}
	var all []*stored
	for i := range m.Variants {
		v, _ := segmenter.ParseName(sh.key.App + "/streams/" + m.Variants[i].URI)
		r := sh.rung(v.Stream)
		if r == nil {
			return nil
		}
		s, ok := r.stored(target+maxStores, v)
		if !ok {
			return nil
		}
		if all = append(all, s); !s.ended && made.Type == m3u8.VOD {
			made.Type = m3u8.Event
		}
		of += fmt.Sprint(" ", m.Variants[i], s.first, s.next, s.gaps, s.ended)
	}
	at := ladderObject{target, made.Name.String()}
	if l.touched[at] = true; l.written[at] == of {
		return nil
	}
	for _, s := range all {
		list := s.list()
		if list == nil {
			return nil
		}
		made.Lists = append(made.Lists, list)
	}
	made.Head = func(list *tracks.List, row *segmenter.Row) (*cmaf.Config, error) {
		return u.head(ctx, sh.rungs[list.Stream], row, coded{})
	}
	o, err := made.Object()
	var none *cmaf.NoForm
	switch {
	case errors.As(err, &none), errors.Is(err, tracks.ErrNothing):
	case err != nil:
		return err
	default:
		if err := l.write(ctx, target, sh, at.key, o.Body, o.Attributes); err != nil {
			return err
		}
	}
	l.written[at] = of
	return nil
}

// stored is what a store has of a recording by a playlist that is there.
type stored struct {
	lane              *lane
	first, next, gaps uint64
	ended             bool // nothing will be added
	known             began
}

// stored finds it. It takes r.mu itself.
func (r *recording) stored(target int, n segmenter.Name) (s *stored, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.way(target)
	if n.Kind != segmenter.KindArchive {
		return &stored{l, l.liveFirst, l.liveNext, l.liveGaps, l.liveEnded, l.began}, l.liveNext > l.liveFirst
	}
	i := slices.IndexFunc(r.splits, func(sp split) bool { return sp.name == n.Recording })
	if i < 0 {
		return nil, false
	}
	s = &stored{lane: l, first: r.splits[i].first, next: l.named}
	if i < l.split {
		if s.next, s.ended = r.next(), true; i+1 < len(r.splits) {
			s.next = r.splits[i+1].first
		}
	}
	return s, s.next > s.first && s.first >= r.base
}

// list is nil where the table has lost some of it meanwhile. It takes r.mu itself.
func (s *stored) list() *tracks.List {
	s.lane.r.mu.Lock()
	defer s.lane.r.mu.Unlock()
	if s.first < s.lane.r.base {
		return nil
	}
	list := s.lane.trackList(s.first, s.next, s.ended)
	list.Origin = s.lane.origin(s.first, s.known).Origin
	return &list
}
