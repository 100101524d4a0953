package segmenter

import (
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// log is the writing end of a timeline: its table, and the snapshots and playlists made of it. Guarded by Timeline.mu.
type log struct {
	t        *Timeline
	o        *AppOptions
	renderer *renderer
	stats    *Stats
	pool     *mpegts.Pool
	memory   int64 // Options.Memory
	relief   *relief
	now      func() time.Time // Options.Now

	table       table
	lost        []Row // gaps after the newest row that are not listed yet: see miss
	split       split
	rate        variant.Rate
	variant     variant.Variant
	state       State
	generation  uint64
	target      int       // EXT-X-TARGETDURATION, seconds; 0 until the first segment is complete
	opened      uint64    // the number that is being written
	writing     bool      // there is one
	handed      bool      // see Snapshot.Handed
	modified    time.Time // of the last change that shows in a playlist
	lastFrame   time.Time // arrival of the newest frame
	live, entry *Playlist

	partTarget int64     // ticks; 0: there are no parts
	parts      []Part    // of listed rows, then those of edge that snapshots have
	edge       *growth   // the segment that comes next; nil: it has no parts
	shown      int       // of its parts, how many parts ends with
	growing    []*growth // segments that are not listed yet and have parts, at most two
	parted     uint64    // numbers before it must not be given parts any more: they had some, or might have
}

func newLog(t *Timeline, r *Registry, o *AppOptions, begun time.Time) log {
	r.stats.Recordings.Add(1)
	return log{
		relief: &r.relief,
		t:      t, o: o, renderer: &r.renderer, stats: &r.stats, pool: r.o.Pool, memory: r.o.Memory, now: r.o.Now,
		table: table{waits: r.confirmed.Load()},
		split: split{archive: &archive{r: &r.renderer}}, lastFrame: begun, modified: begun,
		partTarget: codec.Ticks(o.parts()),
	}
}

// sink takes what a packager made.
type sink interface {
	// open says that a number is in use, before anything of it can be listed.
	open(number uint64)
	// grow says that a segment has another part.
	grow(g *growth)
	// unpart says that a number has no parts any more, nor will have any.
	unpart(number uint64)
	// list takes a complete segment, its buffer with it, and reports whether it may be shown to viewers, now or later.
	list(f *finished) bool
}

// finished is a complete segment on its way to the table.
type finished struct {
	cut.Segment
	end        int64
	target     int
	cutOff     bool // its time line broke off in the middle of it
	buf        *mpegts.Buffer
	growth     *growth // nil: it has no parts
	frames     int
	videoBytes int64
	captions   variant.Captions
	key        int
	tracks     cut.Tracks
	ranges     string // EXT-X-DATERANGE lines that came with it
}

// open implements sink.
func (l *log) open(number uint64) {
	was := l.writing
	if len(l.table.rows) == 0 && !was {
		l.table.base = number
	}
	l.opened, l.writing = number, true
	if l.state == Stalled {
		l.state = Live
	}
	if !was {
		l.snapshot()
	}
}

// closed says that a number is not being written any more.
func (l *log) closed(number uint64) { l.writing = l.writing && number != l.opened }

// list implements sink.
func (l *log) list(f *finished) bool {
	l.closed(f.Number)
	if l.state == Ended { // it was yielded: the number is another server's
		l.discard(f)
		return false
	}
	l.miss(f.Number)
	if f.Number < l.table.next() {
		// It came so late that it was declared lost: a number never means two things.
		l.discard(f)
		return false
	}
	e := Row{
		Sequence: f.Number, Start: f.Wall, Duration: max(f.end-f.Start, 1), Size: int64(f.buf.Len()), CRC32C: f.buf.CRC32C(),
		Discontinuity: f.Discontinuity, Independent: f.Independent,
	}
	if e.Discontinuity {
		l.stats.Discontinuities.Add(1)
	}
	l.target = f.target
	if f.ranges != "" {
		e.Cues, e.Running = l.table.cues.Place(e.Sequence, e.Start)
		e.Cues += f.ranges
	}
	l.table.add(e, l.whole(e, f))
	l.stats.Segments.Add(1)
	l.stats.Bytes.Add(e.Size)
	l.stats.MemoryBytes.Add(e.Size)
	l.t.Vitals().Listed(l.lastFrame)
	l.rate.Add(&variant.Sample{Size: e.Size, VideoBytes: f.videoBytes, Duration: e.Duration, Key: f.key, Captions: f.captions})
	l.variant = l.rate.Variant(f.tracks)
	if l.state == Starting {
		l.state = Live
	}
	l.changed()
	return true
}

// gap lists a number whose bytes do not exist.
func (l *log) gap(e Row) {
	before := int64(0)
	if n := len(l.table.rows); n > 0 {
		before = l.table.rows[n-1].Duration
	}
	s := l.standIn(&e, before)
	l.stats.MemoryBytes.Add(s.Size)
	l.table.add(e, s)
	l.stats.Gaps.Add(1)
	for len(l.lost) > 0 && l.lost[0].Sequence <= e.Sequence {
		l.lost = l.lost[1:]
	}
}

// miss lists the gaps before a number. Those at the end of a playlist are held back until something follows: Shaka gives up
// at a live edge that it is told not to play.
func (l *log) miss(upTo uint64) {
	for len(l.lost) > 0 && l.lost[0].Sequence < upTo {
		l.gap(l.lost[0])
	}
}

// hold takes the gaps at the end back, as a restart finds them. The window must not go back, for that is how viewers may have
// seen it, nor must it be shorter than a window ever is: then they stay.
func (l *log) hold() {
	t := &l.table
	n := len(t.rows)
	for n > 0 && t.rows[n-1].Gap {
		n--
	}
	sum := int64(0)
	for i := t.first; i < n; i++ {
		sum += t.rows[i].Duration
	}
	if t.first > 0 && (n-t.first < minWindow || sum < int64(3*l.target)*Clock) || n <= t.first || t.base+uint64(n) <= l.split.first {
		return
	}
	l.lost = slices.Clone(t.rows[n:])
	for i := range l.lost {
		if l.lost[i].Discontinuity {
			t.breaks--
		}
	}
	t.gaps -= len(l.lost)
	t.rows, t.listed = t.rows[:n:n], min(t.listed, n)
}

// newest takes over the bytes of the newest segment from the next shelf, for what stands in for those that come after it and
// are lost.
func (l *log) newest(packets []byte) {
	t := &l.table
	n := len(t.rows)
	for n > 0 && t.rows[n-1].Gap {
		n--
	}
	if n == 0 || len(packets) == 0 {
		return
	}
	b := l.pool.Buffer()
	b.Append(packets)
	s := newSegment(t.rows[n-1], b)
	s.Shelve()
	t.segments = []*Segment{s}
	for i := n; i < len(t.rows); i++ {
		t.segments = append(t.segments, l.standIn(&t.rows[i], t.rows[i-1].Duration))
	}
	for _, s := range t.segments {
		l.stats.MemoryBytes.Add(s.Size)
	}
}

// next is the number after all that are listed or lost.
func (l *log) next() uint64 { return l.table.next() + uint64(len(l.lost)) }

// end is the wall time at which those end.
func (l *log) end() time.Time {
	if n := len(l.lost); n > 0 {
		return l.lost[n-1].Start.Add(cut.Duration(l.lost[n-1].Duration))
	}
	return l.table.end()
}

// changed publishes a table that has new rows.
func (l *log) changed() {
	l.slide()
	if !l.table.waits { // else nothing new is shown yet: see confirm
		l.modified = l.lastFrame
		l.render()
	}
	l.snapshot()
}

// discard gives up what cannot be listed.
func (l *log) discard(f *finished) {
	l.stats.DroppedLate.Add(int64(f.frames))
	if f.growth == nil {
		f.buf.Release()
		return
	}
	l.withdraw(f.Number)
	f.growth.segment.Release()
	l.relief.left([]*Segment{f.growth.segment})
}

// goesOn shows that input is there again.
func (l *log) goesOn() {
	if l.state == Stalled && l.writing {
		l.state = Live
		l.snapshot()
	}
}

// stall shows that input is missing.
func (l *log) stall() {
	if l.state == Live {
		l.state = Stalled
		l.snapshot()
	}
}

// conclude makes the recording final.
func (l *log) conclude(now time.Time) {
	l.state, l.modified, l.writing = Ended, now, false
	l.stats.Recordings.Add(-1)
	l.miss(l.next())
	if len(l.table.rows) > 0 {
		l.slide()
		l.render()
	}
	l.snapshot()
}

// yield ends the log without an end in its playlists, which go on elsewhere; false where it has ended. What is in hand is not listed.
func (l *log) yield() bool {
	if l.state == Ended {
		return false
	}
	l.t.yielded.Store(true)
	l.state, l.writing, l.lost = Ended, false, nil
	l.stats.Recordings.Add(-1)
	return true
}

// forget gives the memory of an ended recording back when its time is over, and reports whether it is.
func (l *log) forget(now, over time.Time) bool {
	if now.Before(over) {
		return false
	}
	l.evict(len(l.table.segments))
	return true
}

// render brings the playlists up to date with the table. A multivariant playlist that did not change keeps its ETag and
// date.
func (l *log) render() {
	s := l.value()
	if len(s.Rows) == 0 {
		return
	}
	l.live = l.renderer.live(s)
	l.entry = l.renderer.entry(s, l.o.SessionData, l.entry)
}

// value is the state, as viewers are shown it, as a snapshot that is not yet published, without its parts.
func (l *log) value() *Snapshot {
	opened := l.next()
	if l.writing {
		opened = l.opened
	}
	name := l.split.name
	if name == "" {
		name = l.t.id
	}
	t, n := &l.table, l.table.shown()
	hidden := t.rows[n:]
	return &Snapshot{
		Key: l.t.key, Recording: l.t.id, Generation: l.generation, State: l.seen(), Yielded: l.t.yielded.Load(), TargetDuration: l.target,
		Base: t.base, Rows: t.rows[:n], Gaps: t.gaps - countGaps(hidden), First: t.first, Segments: t.segments[:max(0, len(t.segments)-len(hidden))],
		Opened: opened, Writing: l.writing, Handed: l.handed, Variant: l.variant, Modified: l.modified, LastFrame: l.lastFrame,
		Live: l.live, Entry: l.entry, ArchiveName: name, archive: l.split.archive,
	}
}

// full is value with the parts, and with what viewers are not shown yet.
func (l *log) full() *Snapshot {
	s := l.value()
	if l.partTarget > 0 {
		l.addParts(s)
	}
	if len(s.Rows) < len(l.table.rows) {
		s.whole = l.unlisted(s)
	}
	return s
}

// snapshot publishes the state and wakes those who wait for it.
func (l *log) snapshot() {
	l.generation++
	l.t.publish(l.full())
}

// Bounds of the live playlist in segments.
const (
	minWindow = 6   // where there are so many
	maxWindow = 512 // or as many as the window asks for: time lines that break without end make segments of a frame each
)

// slide moves the window on, and lets go of the memory of segments that left it: at once where the next shelf has them,
// else so long after that no player can ask for them any more, which is the playlist's duration, their own, and the time
// that a cached playlist may be old.
func (l *log) slide() {
	t := &l.table
	most := l.mostRows()
	sum := l.advance(0)
	keep, hold := t.first, sum+2*int64(l.target)*Clock
	usual := sum + hold
	oldest := len(t.rows) - len(t.segments)
	for keep > oldest && hold > 0 && len(t.rows)-keep < 2*most {
		keep--
		hold -= t.rows[keep].Duration
	}
	for keep < t.first && keep >= oldest && (t.segments[keep-oldest].Shelved()) {
		keep++
	}
	if t.shown() < len(t.rows) {
		keep = l.crowd(keep, usual)
	}
	l.evict(keep - oldest)
	l.evict(l.overBudget())
	l.split.advance(t, l.o.ArchiveSplit)
}

// advance moves the window's begin on, and gives what the window lasts. Each of the last n rows counts for at least a target
// duration.
func (l *log) advance(n int) (sum int64) {
	l.table.first, sum = l.window(l.table.shown(), n)
	return sum
}

// window is where a window that ends before a row begins, which is never before that of the live playlist, and what it lasts.
func (l *log) window(end, n int) (first int, sum int64) {
	t := &l.table
	want, most := max(codec.Ticks(l.o.Window), int64(3*l.target)*Clock), l.mostRows()
	i := end
	for ; i > t.first && (sum < want || end-i < minWindow) && end-i < most; i-- {
		lasts := t.rows[i-1].Duration
		if i > len(t.rows)-n {
			lasts = max(lasts, int64(l.target)*Clock)
		}
		sum += lasts
	}
	return i, sum
}

// mostRows bounds the window.
func (l *log) mostRows() int { return max(maxWindow, int(l.o.Window/max(l.o.SegmentDuration, 1))) }

// overBudget is how many of the oldest segments in memory have to go, because all streams together hold more than the
// budget and this one more than its share. The newest segment stays: every viewer wants it.
func (l *log) overBudget() (n int) {
	if l.memory <= 0 || max(l.stats.MemoryBytes.Load(), l.relief.inUse()) <= l.memory {
		return 0
	}
	segments := l.table.segments
	share := l.memory / max(1, l.stats.Recordings.Load())
	held := int64(0)
	for _, s := range segments {
		held += s.Size
	}
	for n < len(segments)-1 && held > share {
		s := segments[n]
		if !s.shelved.Load() && !s.Gap {
			break
		}
		held -= s.Size
		n++
	}
	return n
}

func (l *log) evict(n int) {
	if n <= 0 {
		return
	}
	gone := l.table.segments[:n]
	l.stats.MemoryBytes.Add(-l.table.evict(n))
	l.relief.left(gone)
}
