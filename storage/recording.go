package storage

import (
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// split is one timestamped playlist.
type split struct {
	first uint64                // number of its first segment
	name  segmenter.RecordingID // of the playlist; the segments keep the recording's own
	final uint8                 // bit t: target t has it finished
}

// recording is what the mirror knows of one recording: the table of its segments, and how far each of those who work on
// it has come. All hold only a position, so after an error there is nothing to repair: they look again.
type recording struct {
	m      *Mirror
	key    segmenter.Key
	id     segmenter.RecordingID
	folder *spool.Folder // nil without a spool; used by disk() alone
	lanes  []*lane       // one per target

	mu         sync.Mutex
	base       uint64
	rows       []row
	generation uint64 // of the newest snapshot taken
	splits     []split
	opened     uint64 // the first number never opened
	lastFrame  time.Time
	target     int // EXT-X-TARGETDURATION
	variant    segmenter.Variant
	first      uint64 // of the live playlist
	placed     bool   // first is what the timeline lists, and not only what the journal suggests
	window     int    // segments in it
	entry      []byte // the multivariant playlist as the timeline renders it; nil: render it here
	live       liveBody
	handed     uint64 // uploaders may take what comes before
	ended      bool
	superseded bool // a newer recording has the stable entry
	following  bool // a timeline feeds it
	memory     map[uint64]*segmenter.Segment

	journal journalState
	diskUp  chan struct{} // wakes disk(), capacity 1
	moved   broadcast     // the disk or an upload came on
}

// liveBody is the live playlist as the timeline renders it, with what it lists.
type liveBody struct {
	body        []byte
	first, next uint64
	ended       bool
}

func newRecording(m *Mirror, key segmenter.Key, id segmenter.RecordingID) *recording {
	r := &recording{m: m, key: key, id: id, memory: map[uint64]*segmenter.Segment{}, diskUp: make(chan struct{}, 1)}
	for _, u := range m.uploaders {
		r.lanes = append(r.lanes, newLane(u, r))
	}
	return r
}

// next is the number after the last row. r.mu is held, here and in all that follows without saying otherwise.
func (r *recording) next() uint64 { return r.base + uint64(len(r.rows)) }

// row finds a row; nil where there is none.
func (r *recording) row(sequence uint64) *row {
	if sequence < r.base || sequence >= r.next() {
		return nil
	}
	return &r.rows[sequence-r.base]
}

// take copies what is new in a snapshot: positions first, then the bytes are held in memory until they are safe. It
// tells how many segments were new, and takes r.mu itself.
func (r *recording) take(s *segmenter.Snapshot) (fresh int) {
	var held, lost []uint64
	r.mu.Lock()
	if s.Generation < r.generation {
		r.mu.Unlock()
		return 0 // somebody was here with a newer one
	}
	r.generation = s.Generation
	from := r.next()
	if len(r.rows) == 0 && s.Next() > s.Base {
		r.base, from = s.Base, s.Base
		r.splits = append(r.splits, split{first: r.base, name: r.id})
		for _, l := range r.lanes {
			l.start(r.base)
		}
		r.journal.start(r.base)
	}
	begin := from
	for ; from < s.Base; from++ { // rows that the timeline forgot before they were seen here
		r.append(&segmenter.Entry{Sequence: from, Start: r.rowEnd(), Duration: int64(s.TargetDuration) * 90000, Gap: true})
	}
	for seq := from; seq < s.Next(); seq++ {
		e := &s.Entries[seq-s.Base]
		r.append(e)
		if e.Gap {
			continue
		}
		if seg := s.Segment(seq); seg != nil && seg.Retain() {
			r.memory[seq] = seg
			r.m.memory.used.Add(seg.Size)
			held = append(held, seq)
		} else {
			lost = append(lost, seq)
			r.row(seq).set(isDropped, true)
			r.note(event{dropped, 0, seq})
		}
	}
	opened := s.Opened
	if s.Writing {
		opened++
	}
	r.opened = max(r.opened, opened, s.Next())
	r.lastFrame = s.LastFrame
	if s.TargetDuration != r.target || s.Variant != r.variant {
		r.target, r.variant = s.TargetDuration, s.Variant
		r.journal.meta = true
	}
	if n := len(s.Entries) - s.First; n > 0 {
		r.journal.meta = r.journal.meta || n != r.window
		r.first, r.window = s.Base+uint64(s.First), n
		r.place()
	}
	if s.Entry != nil {
		r.entry = s.Entry.Body
	}
	if s.Live != nil {
		r.live = liveBody{s.Live.Body, r.first, s.Next(), s.State == segmenter.Ended}
	}
	r.ended = r.ended || s.State == segmenter.Ended
	fresh = int(r.next() - begin)
	r.settle()
	r.mu.Unlock()

	for _, seq := range lost {
		r.m.stats.Gaps.Add(1)
		r.m.log.Warn("segment left memory before it could be mirrored: a gap", "stream", r.key.String(), "sequence", seq)
	}
	r.m.memory.hold(r, held)
	return fresh
}

// rowEnd is the instant at which the last row ends.
func (r *recording) rowEnd() time.Time {
	if len(r.rows) == 0 {
		return r.lastFrame
	}
	w := &r.rows[len(r.rows)-1]
	return time.Unix(0, w.start).UTC().Add(w.mediaTime())
}

// place lets the lanes of a recording that was taken up again begin their live playlists where the timeline does. The
// journal alone does not know that place: of a window that was not full it knows only how many there were.
func (r *recording) place() {
	if r.placed {
		return
	}
	r.placed = true
	for _, l := range r.lanes {
		l.liveFirst = r.first
	}
}

// append adds one row, and begins a new timestamped playlist where its time has come.
func (r *recording) append(e *segmenter.Entry) {
	if n := len(r.splits); r.m.o.ArchiveSplit > 0 && n > 0 {
		first := r.row(r.splits[n-1].first)
		if first != nil && e.Start.UnixNano()-first.start >= int64(r.m.o.ArchiveSplit) {
			sp := split{first: e.Sequence, name: segmenter.NewRecordingID(e.Start)}
			r.splits = append(r.splits, sp)
			r.journal.splits = true
		}
	}
	r.rows = append(r.rows, rowOf(e))
	for _, l := range r.lanes {
		if !e.Gap {
			l.u.stats.BacklogSegments.Add(1)
			l.u.stats.BacklogBytes.Add(e.Size)
		}
	}
}

// handOver lets the uploaders take all rows. It takes r.mu itself.
func (r *recording) handOver() {
	r.mu.Lock()
	r.handed = r.next()
	r.mu.Unlock()
	r.wakeLanes()
}

func (r *recording) wakeLanes() {
	for _, l := range r.lanes {
		l.wake()
	}
}

func (r *recording) wakeDisk() {
	select {
	case r.diskUp <- struct{}{}:
	default:
	}
}

// settle lets every lane's position pass what is settled.
func (r *recording) settle() {
	now := r.m.o.Now()
	gated := r.gated(now)
	for _, l := range r.lanes {
		l.advance(now, gated)
	}
}

// confirm notes that a target holds a segment. It takes r.mu itself.
func (r *recording) confirm(target int, sequence uint64) {
	r.mu.Lock()
	w := r.row(sequence)
	if w == nil || w.is(confirmed<<target) {
		r.mu.Unlock()
		return
	}
	u := r.lanes[target].u
	if !w.is(isDropped) {
		u.stats.BacklogSegments.Add(-1)
		u.stats.BacklogBytes.Add(-int64(w.size))
	}
	w.set(confirmed<<target, true)
	r.note(event{confirm, target, sequence})
	var done *segmenter.Segment
	if r.safe(w) {
		done = r.memory[sequence]
		delete(r.memory, sequence)
	}
	r.settle()
	r.mu.Unlock()
	r.m.memory.release(done)
	r.changed()
}

// refuse notes that a target has another content under the segment's name. It takes r.mu itself.
func (r *recording) refuse(target int, sequence uint64) {
	r.mu.Lock()
	var done *segmenter.Segment
	if w := r.row(sequence); w != nil && !w.settled(target) {
		u := r.lanes[target].u
		u.stats.BacklogSegments.Add(-1)
		u.stats.BacklogBytes.Add(-int64(w.size))
		w.set(refused<<target, true)
		if r.safe(w) {
			done = r.memory[sequence]
			delete(r.memory, sequence)
		}
		r.settle()
	}
	r.mu.Unlock()
	r.m.memory.release(done)
	r.m.stats.Gaps.Add(1)
	r.changed()
}

// safe tells whether no target needs the segment any more.
func (r *recording) safe(w *row) bool {
	for t := range r.lanes {
		if !w.is((confirmed | refused) << t) {
			return false
		}
	}
	return true
}

// drop gives a segment up: its bytes are nowhere any more, or never were what they should be. It takes r.mu itself, and
// tells whether that was news.
func (r *recording) drop(sequence uint64) bool {
	r.mu.Lock()
	w := r.row(sequence)
	if w == nil || w.is(isDropped|isGap) || r.safe(w) {
		r.mu.Unlock()
		return false
	}
	for t, l := range r.lanes {
		if !w.is((confirmed | refused) << t) {
			l.u.stats.BacklogSegments.Add(-1)
			l.u.stats.BacklogBytes.Add(-int64(w.size))
		}
	}
	w.set(isDropped, true)
	w.set(onDisk, false)
	r.note(event{dropped, 0, sequence})
	seg := r.memory[sequence]
	delete(r.memory, sequence)
	size := int64(w.size)
	r.settle()
	r.mu.Unlock()
	r.m.memory.release(seg)
	r.m.stats.Gaps.Add(1)
	r.m.stats.DroppedBytes.Add(size)
	r.changed()
	return true
}

// changed wakes all that may have something to do now. It takes no lock of the recording.
func (r *recording) changed() {
	r.wakeDisk()
	r.wakeLanes()
	r.moved.wake()
	r.m.moved.wake()
}

// Need implements spool.Owner.
func (r *recording) Need(sequence uint64) spool.Need {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.row(sequence)
	switch {
	case w == nil:
		return spool.Free
	case !r.safe(w) && !w.is(isDropped|isGap):
		return spool.Unsent
	case !r.ended && sequence+2*uint64(r.window)+2 >= r.next():
		// In the live playlist, or out of it for less than a copy of the playlist may be held against it.
		return spool.Wanted
	}
	return spool.Free
}

// Dropped implements spool.Owner.
func (r *recording) Dropped(sequence uint64) {
	r.mu.Lock()
	if w := r.row(sequence); w != nil {
		w.set(onDisk, false)
	}
	held := r.memory[sequence] != nil
	r.mu.Unlock()
	if !held && r.drop(sequence) {
		r.m.episodes.dropped(r.m.log, "the spool is full", r.m.o.Now())
	}
}

// supersede says that a newer recording of the stream exists: the stable entry is its from now on. Takes r.mu itself.
func (r *recording) supersede() {
	r.mu.Lock()
	was := r.superseded
	r.superseded, r.journal.superseded = true, true
	r.mu.Unlock()
	if !was {
		r.changed()
	}
}

// complete tells whether nothing is left to do for it. It takes r.mu itself.
func (r *recording) complete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended || r.handed < r.next() {
		return false
	}
	for _, l := range r.lanes {
		if !l.complete() {
			return false
		}
	}
	return true
}
