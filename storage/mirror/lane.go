package mirror

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/recheck"
	"github.com/hlsorigin/hlsorigin/storage/shared"
)

// lane is one recording's way to one store: positions in its table, and the state of its playlists there. Guarded by recording.mu, unless
// stated otherwise.
type lane struct {
	u      *Uploader
	r      *recording
	target int
	of     *lane // of the transport stream to the same store, where this is one of CMAF: it goes first. Else nil.

	ready [classes]atomic.Bool // there may be something to do
	due   [classes]time.Time   // or there will be then; zero: not until the lane is woken. Guarded by Uploader.mu.

	settled    uint64 // all rows before it are settled
	listable   uint64 // and the journal knows that, too
	edge, back uint64 // no unsent row lies between the window's begin and edge, nor between settled and back
	tries      map[uint64]try

	// Of the transport stream: the claim to the stream in this store. Of CMAF see main.
	tenure   *claim.Tenure // nil: there are none
	hold     shared.Hold
	asked    time.Time // when the store last said that the stream is this server's
	taker    string    // the server that has the stream, where hold is shared.Closed or Lost
	taken    bool      // that server goes on with this very recording: its numbers are not ours to give
	returned bool      // a publisher came back: another server may have had it
	released bool      // there is nothing more to be said in the claim

	claim   slot
	live    slot
	twin    slot
	entry   slot
	archive slot

	liveFirst   uint64 // the first segment of the live playlist in the store
	liveNext    uint64 // the one after its last
	metFirst    uint64 // the first of one that another server wrote
	raised      bool   // that one lists what this server was not about to list, or no more what it was: see met
	liveWritten bool
	fenced      uint64 // viewers may be shown what comes before it: see fences
	liveEnded   bool
	liveGaps    uint64    // dropped rows when it was written: a new one must be declared
	original    object    // the live playlist as written, where it has a twin: that is a copy of it
	twinBody    []byte    // what the twin has, of that
	trackEntry  string    // of CMAF: the multivariant playlist as written
	manifest    told      // of CMAF: the live manifest as written
	began       began     // and where the stretch began that it begins in
	entries     [3]string // the stable entry as written, under each of its names: see shared.Entries
	lowAsked    bool      // whether the store has a low-latency entry of the stream, from when it had low latency
	lowEntry    bool      // it has: that is kept up to date
	split       int       // index of the first timestamped playlist that is not final
	named       uint64    // the timestamped playlist in the store lists what comes before it
	floor       uint64    // an earlier process may have listed what comes before this
	floorUntil  time.Time // until then it is not written with less
	archiveSize int64     // its bytes as stored
	waiting     time.Time // since when a settled segment has waited to be listed; zero: none does
	fresh       int64     // bytes settled since the timestamped playlist was written
	inflight    int

	doubts map[string][]recheck.Sum // by key: late writes of a playlist that may still arrive; also in the journal
}

// try is what is remembered about a failed segment.
type try struct {
	n     int
	due   time.Time
	epoch uint64
}

// slot is one playlist object. Only one write of it is in progress at a time, so a later one cannot be overtaken.
type slot struct {
	busy bool
	try  try
}

func newLane(u *Uploader, r *recording, of *lane) *lane {
	l := &lane{u: u, r: r, target: u.target, of: of, tries: map[uint64]try{}}
	if of != nil {
		l.target += maxStores
	} else if l.tenure = u.shared.Tenure(r.key, r.id); l.tenure == nil {
		l.hold = shared.Ours
	} else {
		l.tenure.Before(func(ctx context.Context, old claim.Claim) error { return u.endFormer(ctx, r.key, old) })
	}
	return l
}

// lacks counts segments that the store does not have yet, or, below 0, has.
func (l *lane) lacks(segments, bytes int64) {
	s := &l.u.stats
	if l.of != nil {
		s.BacklogTracks.Add(segments)
		return
	}
	s.BacklogSegments.Add(segments)
	s.BacklogBytes.Add(bytes)
}

// Doubted implements recheck.Owner. It takes r.mu itself.
func (l *lane) Doubted(key string, body recheck.Sum) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	list := l.doubts[key]
	if l.r.folder == nil || slices.Contains(list, body) {
		return
	}
	if l.doubts == nil {
		l.doubts = map[string][]recheck.Sum{}
	}
	if list = append(list, body); len(list) > recheck.MaxDoubts {
		list = slices.Delete(list, 0, recheck.MaxDoubts/2)
		l.r.journal.compact = true // what the journal has about older ones is obsolete
	}
	l.doubts[key] = list
	l.r.note(event{kind: doubted, target: l.target, key: key, body: body})
	l.r.wakeDisk()
}

// Sure implements recheck.Owner. It takes r.mu itself.
func (l *lane) Sure(key string) {
	l.r.mu.Lock()
	if _, ok := l.doubts[key]; ok {
		delete(l.doubts, key)
		l.r.note(event{kind: sure, target: l.target, key: key})
		l.r.trim()
	}
	l.r.mu.Unlock()
	l.r.changed()
}

// inDoubt reports whether a timestamped playlist may still be overwritten by an earlier write of it.
func (l *lane) inDoubt(name segmenter.RecordingID) bool {
	n := segmenter.Name{Kind: segmenter.KindArchive, App: l.r.key.App, Stream: l.r.key.Stream, Recording: name}
	for key := range l.doubts {
		if d, ok := segmenter.ParseName(key); ok && (d.Source() == n || key == n.String()) {
			return true
		}
	}
	return false
}

// start is called with the number of the first row.
func (l *lane) start(base uint64) {
	l.settled, l.listable, l.edge, l.back = base, base, base, base
	l.named, l.liveFirst, l.liveNext, l.fenced = base, base, base, base
}

// wake takes no lock of the recording.
func (l *lane) wake() {
	for c := range l.ready {
		l.ready[c].Store(true)
	}
	l.u.poke()
}

// look reports whether there may be something to do. A wake after that means that something has come since. Uploader.mu is held.
func (l *lane) look(c class, now time.Time) bool {
	return l.ready[c].Swap(false) || !l.due[c].IsZero() && !l.due[c].After(now)
}

// advance moves the positions past what is settled.
func (l *lane) advance(now time.Time, gated bool) {
	for l.settled < l.r.next() && l.r.row(l.settled).settled(l.target) {
		l.settled++
	}
	for l.listable < l.settled {
		w := l.r.row(l.listable)
		if !w.listable(l.target, gated) {
			return
		}
		if l.waiting.IsZero() {
			l.waiting = now
		}
		l.fresh += w.Size
		l.listable++
	}
}

// unsent reports whether a row must be sent and nobody is sending it.
func (l *lane) unsent(w row) bool {
	return !w.settled(l.target) && !w.is(sending<<l.target)
}

// early reports whether the segment must wait: the transport stream goes first.
func (l *lane) early(w row) bool { return l.of != nil && !w.settled(l.of.target) }

// pick takes the lane's most urgent job and marks it as being done. If there is none, due says when there may be one, or zero if the lane
// must be woken first. With fresh set it considers only what has not failed. Uploader.mu is held. It takes r.mu itself.
func (l *lane) pick(now time.Time, c class, disk, fresh bool) (j job, due time.Time) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	d := plan(l, conditions{class: c, now: now, epoch: l.u.pace.Epoch(), disk: disk, fresh: fresh, entry: !l.u.entries[entryOf{l.r.key, l.of != nil}]})
	l.take(c, &d)
	if d.job.kind == entryJob {
		l.u.entries[entryOf{l.r.key, l.of != nil}] = true
	}
	return d.job, d.due
}

func (l *lane) slotOf(kind jobKind) *slot {
	switch kind {
	case claimJob:
		return &l.claim
	case liveJob:
		return &l.live
	case twinJob:
		return &l.twin
	case entryJob:
		return &l.entry
	}
	return &l.archive
}

// again puts back a segment that was not sent. It takes r.mu itself.
func (l *lane) again(sequence uint64, t try) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.inflight--
	if w := l.r.row(sequence); !w.none() {
		w.set(sending<<l.target, false)
	}
	l.edge, l.back = min(l.edge, sequence), min(l.back, sequence)
	t.n += l.tries[sequence].n
	l.tries[sequence] = t
}

// failures returns how often a segment failed. It takes r.mu itself.
func (l *lane) failures(sequence uint64) int {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return l.tries[sequence].n
}

// sent records that a segment is no longer being sent. It takes r.mu itself.
func (l *lane) sent(sequence uint64) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.inflight--
	delete(l.tries, sequence)
	if w := l.r.row(sequence); !w.none() {
		w.set(sending<<l.target, false)
	}
}

// complete reports whether everything is in the store, and final. It never is where another server has the stream: what the spool has of it
// stays there.
func (l *lane) complete() bool {
	return l.written() && l.main().hold != shared.Lost && (l.of != nil || len(l.r.rows) == 0 || l.claimSettled())
}

// written reports whether everything is in the store, and final, but for the claim.
func (l *lane) written() bool {
	r := l.r
	if l.inflight > 0 || l.settled < r.next() {
		return false
	}
	if len(r.rows) == 0 {
		return true
	}
	if hold := l.main().hold; hold == shared.Closed {
		return l.split >= len(r.splits)
	} else if hold == shared.Past {
		return l.split >= len(r.splits) && l.liveEnded && !l.twinDue()
	}
	return l.split >= len(r.splits) && l.liveEnded && !l.twinDue() && (r.superseded || !l.entryDue())
}
