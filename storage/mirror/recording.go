package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/takeover"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// split is one timestamped playlist.
type split struct {
	first uint64                // number of its first segment
	name  segmenter.RecordingID // of the playlist; the segments keep the recording's own
	final uint8                 // bit t: target t has the final one

	// before: it was final before a start or a takeover. Of those before a takeover the name may be a made-up one, that no store has.
	before bool
}

// recording is what the mirror knows about one recording: the table of its segments, and the positions of those who work on it. They hold
// only positions, so after an error there is nothing to repair: they look again.
type recording struct {
	m      *Mirror
	key    segmenter.Key
	id     segmenter.RecordingID
	folder *spool.Folder // nil without a spool; used only by disk()
	grows  growth        // what is on disk of segments that are being written; used only by disk()
	lanes  []*lane       // one per store
	tracks []*lane       // of CMAF, one per store; none where it is not stored
	ways   []*lane       // all of them

	mu sync.Mutex // see the section on locks in mirror.go
	table
	generation uint64 // of the newest snapshot taken
	splits     []split
	renews     split  // the timestamped playlist that begins with the next row, where first is; the zero value: none does
	opened     uint64 // the first number never opened
	lastFrame  time.Time
	target     int   // EXT-X-TARGETDURATION
	partTarget int64 // PART-TARGET, 90 kHz ticks; 0: there are no low-latency playlists
	variant    variant.Variant
	first      uint64 // of the live playlist
	placed     bool   // first is what the timeline lists, not only what the journal suggests
	window     int    // segments in it
	waits      bool   // viewers wait for segments, from shown on
	shown      uint64
	entry      []byte // the multivariant playlist as rendered by the timeline; nil: render it here
	live       liveBody
	handed     uint64 // uploaders may take what comes before it
	ended      bool
	superseded bool                // a newer recording owns the stable entry
	following  bool                // a timeline feeds it
	fed        bool                // and a publisher that
	paired     bool                // another server finishes the segment that is being written: segmenter.Snapshot.Handed
	yielded    bool                // it was let go of: another server may have it
	recalled   bool                // an earlier process began it; set once
	adopted    uint64              // another server had what comes before this number; 0: none had it
	node       string              // under which name this server claims its stream; set once
	line       *segmenter.Timeline // the one that feeds it, or fed it last
	writing    bool                // a segment is being written there
	memory     map[uint64]*segmenter.Segment

	codings    []tracks.Coding // of segments as CMAF
	newest     coded           // the newest segment that was rendered
	heads      tracks.Heads    // of older ones, which manifests need
	entryOf    []byte          // the entry that trackEntry was made of
	trackEntry string          // the stable entry over tracks; empty: there is none
	unmade     bool            // the last one could not be, which was logged
	losses     losses
	journal    journalState
	parts      map[uint64]*mpegts.Scanned // beginnings of segments on disk, between a start and Run
	scans      map[uint64]*mpegts.Scanned // of segments that were learned from what a store has; nil but in Adopt
	later      []byte                     // records of a later version, for every journal that is written
	diskUp     chan struct{}              // wakes disk(), capacity 1
	retired    chan struct{}              // closed when nobody works on it any more; see Mirror.retire
	idle       chan struct{}              // closed when disk() has ended
	moved      broadcast                  // the disk or an upload has advanced
}

// liveBody is the live playlist as rendered by the timeline, with what it lists.
type liveBody struct {
	body        []byte
	first, next uint64
	ended       bool
}

func newRecording(m *Mirror, key segmenter.Key, id segmenter.RecordingID) *recording {
	r := &recording{m: m, key: key, id: id, node: m.server.Node, memory: map[uint64]*segmenter.Segment{}, parts: map[uint64]*mpegts.Scanned{}, diskUp: make(chan struct{}, 1), retired: make(chan struct{}), idle: make(chan struct{})}
	for _, u := range m.uploaders {
		r.lanes = append(r.lanes, newLane(u, r, nil))
	}
	if m.o.CMAF(key.App) {
		for _, l := range r.lanes {
			r.tracks = append(r.tracks, newLane(l.u, r, l))
		}
	}
	r.ways = slices.Concat(r.lanes, r.tracks)
	return r
}

// way is the lane to a target; nil where there is none.
func (r *recording) way(target int) *lane {
	for _, l := range r.ways {
		if l.target == target {
			return l
		}
	}
	return nil
}

// targets are the bits of all targets.
func (r *recording) targets() (bits uint8) {
	for _, l := range r.ways {
		bits |= 1 << l.target
	}
	return bits
}

// handOver lets the uploaders take all rows. It takes r.mu itself.
func (r *recording) handOver() {
	r.mu.Lock()
	r.handed = r.next()
	r.mu.Unlock()
	r.wakeLanes()
}

func (r *recording) wakeLanes() {
	for _, l := range r.ways {
		l.wake()
	}
}

func (r *recording) wakeDisk() {
	select {
	case r.diskUp <- struct{}{}:
	default:
	}
}

// settle moves every lane's position past what is settled.
func (r *recording) settle() {
	now := r.m.o.Now()
	gated := r.gated(now)
	for _, l := range r.ways {
		l.advance(now, gated)
	}
}

// changed wakes everybody who may have something to do now. It takes no lock of the recording.
func (r *recording) changed() {
	r.wakeDisk()
	r.wakeLanes()
	r.moved.wake()
	r.m.moved.wake()
}

// supersede records that a newer recording of the stream exists, which owns the stable entry from now on. It takes r.mu itself.
func (r *recording) supersede() {
	r.mu.Lock()
	was := r.superseded
	r.superseded, r.journal.superseded = true, true
	r.mu.Unlock()
	if !was {
		r.changed()
	}
}

// complete reports whether nothing is left to do for it. It takes r.mu itself.
func (r *recording) complete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended || r.handed < r.next() {
		return false
	}
	for _, l := range r.ways {
		if !l.complete() {
			return false
		}
	}
	return true
}

// inDoubt reports whether one of its playlists may still be overwritten by an earlier write: its journal stays for as long. It takes r.mu
// itself.
func (r *recording) inDoubt() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.ways, func(l *lane) bool { return len(l.doubts) > 0 })
}

// broadcast wakes all waiters, each of which then checks for itself. The zero value is ready to use.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns a channel that is closed at the next wake. Call it before checking the condition.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// Adopt goes on with a recording that another server had, and whose claim is this server's by now: as a start takes up what an earlier process
// left, from what the bucket has instead of a journal. It returns the recording for the timeline to continue, for segmenter.Registry.Restore.
// What this server may have had of the recording before is put aside: its numbers may be others' by now. Where it has had nothing, the spool need
// not work: then what comes goes from memory to the bucket, as that of a new recording does. Run must be running.
func (m *Mirror) Adopt(ctx context.Context, f *takeover.Found) (segmenter.Recovered, error) {
	key, id := segmenter.Key{App: f.State.ID.App, Stream: f.State.ID.Stream}, segmenter.RecordingID(f.State.ID.Recording)
	if m.o.Spool == nil {
		return segmenter.Recovered{}, errors.New("without a spool this server cannot go on with another's recording: set spool.dir")
	}
	if old := m.find(key, id); old != nil {
		if err := m.retire(ctx, old); err != nil {
			return segmenter.Recovered{}, err
		}
	}
	if err := m.displace(f.State.ID); err != nil {
		return segmenter.Recovered{}, err
	}
	r := newRecording(m, key, id)
	folder, err := m.o.Spool.Folder(f.State.ID, r)
	if err != nil {
		return segmenter.Recovered{}, err
	}
	r.first = f.First
	var a account
	asking, cancel := context.WithTimeout(ctx, m.o.AskLimit)
	defer cancel()
	r.recovered(asking, &spool.Recovered{Folder: folder, State: f.State, Trusted: true, Newest: true}, &a)
	if len(r.lanes) > 0 { // the same again would let the former server write over it: see Found.Fence
		l := r.lanes[0]
		l.liveWritten, l.liveFirst, l.liveNext, l.liveGaps = true, f.Live.First, f.Live.Next, f.Live.Gaps
	}
	r.renews = split{first: f.Split.First, name: segmenter.RecordingID(f.Split.Name)}
	r.following = true // its timeline comes as soon as it is restored
	r.scans = map[uint64]*mpegts.Scanned{}
	m.askAll(asking, []*recording{r})
	if unlisted := f.Unlisted(); unlisted < r.next() && len(m.uploaders) > 0 {
		m.uploaders[0].join(asking, r, unlisted)
	}
	r.scans, r.adopted = nil, r.next()
	r.taken(&a)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		return segmenter.Recovered{}, errors.New("the server is stopping")
	}
	m.enlist(r)
	m.launch(r)
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.restorable()
	rec.SplitFirst, rec.SplitName = r.renews.first, r.renews.name
	return rec, nil
}

// displace puts aside what the spool has of a recording. Where it has nothing, a disk that fails or hangs is no error; else it is: the next start
// would find what this server had of the recording, and take it for the newest.
func (m *Mirror) displace(id spool.ID) error {
	if m.o.Spool.Never(id) {
		return nil
	}
	type answer struct {
		has bool
		err error
	}
	said, last := make(chan answer, 1), answer{err: errors.New("its disk does not answer")}
	if within(journalPatience, func() {
		has, err := m.o.Spool.Has(id)
		said <- answer{has, err}
	}) {
		last = <-said
	}
	switch {
	case last.has:
		return m.o.Spool.Displace(id)
	case last.err == nil:
		return nil
	}
	return fmt.Errorf("it is not known what this server's spool has of %s/%s/%s: %w", id.App, id.Stream, id.Recording, last.err)
}

// Holding reports whether the mirror works on a recording, and whether the stream is this server's in the first store: as far as is known, no
// other server has taken it.
func (m *Mirror) Holding(key segmenter.Key, id segmenter.RecordingID) (known, held bool) {
	r := m.find(key, id)
	if r == nil {
		return false, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lanes) == 0 {
		return true, true
	}
	l := r.lanes[0]
	return true, l.hold == shared.Ours && !r.ended
}

// Stored reports whether the first store has a segment with the bytes that the spool has of it. Where another server has gone on with the
// recording, it may have used the numbers that this one had not stored yet.
func (m *Mirror) Stored(key segmenter.Key, id segmenter.RecordingID, sequence uint64) bool {
	r := m.find(key, id)
	if r == nil {
		return true // it is complete, or all in the spool is new: see Adopt
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lanes) == 0 {
		return true
	}
	if w := r.row(sequence); !w.none() {
		return w.is(confirmed << 0)
	}
	return r.lanes[0].hold != shared.Lost // it was settled long ago
}

// retire ends all work on a recording of which another server has the stream, and waits for the disk's.
func (m *Mirror) retire(ctx context.Context, r *recording) error {
	m.mu.Lock()
	if m.recordings[recordingKey{r.key, r.id}] != r {
		m.mu.Unlock()
		return nil // it is complete by now
	}
	delete(m.recordings, recordingKey{r.key, r.id})
	m.stats.Recordings.Add(-1)
	for _, l := range r.ways {
		l.u.remove(l)
	}
	m.mu.Unlock()
	r.mu.Lock()
	var held []*segmenter.Segment
	for seq := r.base; seq < r.next(); seq++ {
		w := r.row(seq)
		for _, l := range r.ways {
			if !w.settled(l.target) {
				l.lacks(-1, -w.Size)
			}
		}
		if seg := r.memory[seq]; seg != nil {
			held = append(held, seg)
		}
	}
	clear(r.memory)
	r.ended = true
	r.mu.Unlock()
	for _, seg := range held {
		m.memory.release(seg)
	}
	close(r.retired)
	if r.folder == nil {
		return nil
	}
	select {
	case <-r.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the spool's disk does not let go of %s/%s: %w", r.key, r.id, ctx.Err())
	}
}
