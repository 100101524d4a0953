package segmenter

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/segmenter/vitals"
)

// Key names a stream.
type Key struct{ App, Stream string }

func (k Key) String() string { return k.App + "/" + k.Stream }

// State is what viewers of a recording should know of its publisher.
type State uint8

// The states of a recording, in their order; a stalled one goes back to live when its publisher returns.
const (
	Starting State = iota // no segment is complete: there is no playlist yet
	Live                  // input arrives
	Stalled               // the publisher is away or silent, within its grace
	Ended                 // final: ENDLIST stands in every playlist
)

func (s State) String() string { return [...]string{"starting", "live", "stalled", "ended"}[s] }

// Timeline is one recording as its readers see it: a bounded log with one writer and any number of readers, each at its own
// position. Nobody is pushed to, and no reader can hold up the writer.
type Timeline struct {
	key   Key
	id    RecordingID
	group bool // it is a ladder's, which has no segments
	snap  atomic.Pointer[Snapshot]

	vitals atomic.Pointer[vitals.Vitals] // of the stream; nil: it has had no publisher

	yielded atomic.Bool // another server goes on with it: no viewer is answered from it any more

	// ladder has the timelines that are played beside this one, as the renditions of one ladder; nil: it is on its own.
	ladder atomic.Pointer[renditions]

	mu   sync.Mutex // serialises all that writes: the keeper's methods and the publisher
	rows *log       // nil: a ladder, which has no segments
	pack *packager  // what its segments are written by; nil: as rows
	keeper
}

// keeper is who writes a timeline: the recording of a stream, the audio-only companion of a ladder, or a ladder itself. Its
// methods take Timeline.mu.
type keeper interface {
	// expire does what time demands; true where the recording is to be forgotten, its memory given back.
	expire(now time.Time) bool
	// stop is the server's end: the recording is made final, or, held over for the next start, left as it is.
	stop(now time.Time, hold bool)
	// yield ends the timeline for this server alone: see Registry.Yield. It reports false where it has ended.
	yield(now time.Time) bool
}

// Key is the stream that the recording is of.
func (t *Timeline) Key() Key { return t.key }

// Recording is the recording's id.
func (t *Timeline) Recording() RecordingID { return t.id }

// Vitals measures how the stream is sent; nil where it has had no publisher.
func (t *Timeline) Vitals() *vitals.Vitals { return t.vitals.Load() }

// Requested notes that somebody asked for the live media playlist.
func (t *Timeline) Requested() { t.vitals.Load().Request() }

// Snapshot is the newest state, as viewers are shown it; never nil.
func (t *Timeline) Snapshot() *Snapshot { return t.snap.Load() }

// Confirm says that a store has every segment before a number, but for those in lost, which it will never have: viewers are shown all that
// now, the lost ones as gaps. It is for who mirrors, where Options.Confirmed is set; else it does nothing. Calls may come in any order, and
// again, as long as each tells of all lost segments from Next of an earlier snapshot on. It never waits for more than the publisher's
// frame that is being written.
func (t *Timeline) Confirm(next uint64, lost ...uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.confirm(next, lost)
}

// Begins returns the number with which the live playlist will begin when viewers are shown all segments before a number, for who has to write
// it elsewhere first. As Confirm, it never waits for more than the publisher's frame that is being written.
func (t *Timeline) Begins(next uint64) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil {
		return 0
	}
	first, _ := t.rows.window(t.rows.table.until(next), 0)
	return t.rows.table.base + uint64(first)
}

func (t *Timeline) confirm(next uint64, lost []uint64) {
	if t.rows == nil {
		return
	}
	first := t.rows.table.shown() == 0
	if !t.rows.confirm(next, lost) || !first {
		return
	}
	switch k := t.keeper.(type) { // a ladder names what viewers can play
	case *recording:
		k.rung.begins()
	case *companion:
		k.grid.rung.begins()
	}
}

// setConfirmed changes whether viewers wait for a store. Who waited is shown all at once.
func (t *Timeline) setConfirmed(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil || t.rows.table.waits == on {
		return
	}
	if on {
		t.rows.table.listed = len(t.rows.table.rows)
	} else {
		t.confirm(t.rows.table.next(), nil)
	}
	t.rows.table.waits = on
}

// publish makes a newer state known and wakes those who wait for it.
func (t *Timeline) publish(s *Snapshot) {
	s.next = make(chan struct{})
	s.Whole().next = s.next
	if old := t.snap.Swap(s); old != nil {
		close(old.next)
		old.passed()
	}
}

// advance makes a state known that is newer by parts alone, and wakes only those who wait for parts.
func (t *Timeline) advance(s *Snapshot) {
	old := t.snap.Load()
	s.next = old.next
	s.Whole().next = s.next
	t.snap.Store(s)
	old.passed()
}

func (t *Timeline) named(id RecordingID) bool {
	return !t.yielded.Load() && (t.id == id || t.Snapshot().ArchiveName == id)
}

// Growing is a segment that is being written, as far as it is: for who keeps it on disk before it is complete. Its bytes are
// those that the segment will begin with. Release it when they are read.
type Growing struct {
	Sequence uint64
	Size     int64    // bytes written so far
	Slices   [][]byte // the bytes from the asked offset on; never written, good until Release
	buf      *mpegts.Buffer
}

// Growing is the segment that is being written, without the bytes that last, an earlier answer for the same segment, had
// already; last may be nil. It is nil where no segment is being written. The publisher is held up for no longer than it takes
// to note where the bytes are: none is copied.
func (t *Timeline) Growing(last *Growing) *Growing {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pack == nil || t.pack.open == nil {
		return nil
	}
	d := t.pack.open
	from := 0
	if last != nil && last.buf == d.buf {
		from = int(last.Size)
	}
	d.buf.Pin()
	return &Growing{Sequence: d.Number, Size: int64(d.buf.Len()), Slices: d.buf.SlicesFrom(nil, from), buf: d.buf}
}

// Release gives the bytes back. What Same and Of compare by stays.
func (g *Growing) Release() {
	g.Slices = nil
	g.buf.Release()
}

// Same reports whether the other is an answer for the same segment; nil is none.
func (g *Growing) Same(other *Growing) bool { return other != nil && g.buf == other.buf }

// Of reports whether s is the segment that this became.
func (g *Growing) Of(s *Segment) bool { return g.buf == s.buf }
