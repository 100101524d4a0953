package segmenter

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// Clock is the frequency of all ticks here: 90 kHz.
const Clock = ingest.Clock

// Row is one row of a recording's segment table. Rows are never changed once published.
type Row struct {
	Sequence      uint64
	Start         time.Time // PROGRAM-DATE-TIME of the first frame, UTC
	Duration      int64     // 90 kHz ticks
	Size          int64     // bytes
	CRC32C        uint32    // Castagnoli, of all bytes
	Discontinuity bool      // EXT-X-DISCONTINUITY stands before it
	Independent   bool      // begins with an IDR, or is audio-only
	Gap           bool      // the bytes are lost: EXT-X-GAP; Size is 0
	// DiscontinuitySequence is EXT-X-DISCONTINUITY-SEQUENCE of a playlist that begins with this segment: the number of
	// discontinuities before it, its own not counted.
	DiscontinuitySequence uint64
	// Cues are the EXT-X-DATERANGE lines that stand before it; Running are those of earlier rows that go on when it begins, which a
	// playlist that begins with it has, too.
	Cues, Running string
}

// Segment is a row with its bytes in memory. Size and CRC32C are those of the bytes, of what stands in for a gap too.
type Segment struct {
	Row
	buf     *mpegts.Buffer
	refs    atomic.Int32
	shelved atomic.Bool
	revoked atomic.Bool

	mu    sync.Mutex // held while it is found out where the bytes are, and while they are moved
	whole bool       // nothing is written any more
	view  [][]byte   // until then: what parts may be read of
}

// newSegment takes ownership of buf; the caller holds the first reference.
func newSegment(e Row, buf *mpegts.Buffer) *Segment {
	s := &Segment{buf: buf}
	s.refs.Store(1)
	s.complete(e)
	return s
}

// complete makes the segment one that nothing is written to any more, and gives it its row. Nobody knows of it yet but those who
// read its parts.
func (s *Segment) complete(e Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shrink() // from here on the view is of memory that may have been given back: nobody gets it any more
	s.whole, s.view = true, nil
	s.Row = e
	s.Size, s.CRC32C = int64(s.buf.Len()), s.buf.CRC32C()
}

// standIn makes what a gap's URI answers with: tables, and one access unit of each track of what stands before it, which may be
// another stand-in and lasts some ticks, with time stamps of the gap. A player that knows EXT-X-GAP never asks. Of those that do not, video.js 8 and GStreamer
// 1.22 stop for good at a 404, and VLC 3 and GStreamer's hlsdemux2 at tables alone. Where no segment is in memory it is the
// tables alone; empty where not even the codecs are known.
func (l *log) standIn(e *Row, before int64) *Segment {
	b := l.pool.Buffer()
	t := &l.table
	if n := len(t.segments); n == 0 || !mpegts.Still(b, t.segments[n-1].buf, before) {
		l.variant.Begin(b)
	}
	return newSegment(*e, b)
}

// Bare reports whether what stands in for a gap is tables alone.
func (s *Segment) Bare() bool { return s.Gap && s.Size <= 2*mpegts.PacketSize }

// trim gives back memory that the segment does not need, unless somebody reads it.
func (s *Segment) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shrink()
}

// shrink is trim with the lock held. Who has retained the segment since has no slices yet.
func (s *Segment) shrink() {
	if s.refs.Load() == 1 {
		s.buf.Trim()
	}
}

// Retain keeps the bytes in memory until the matching Release; false where they are gone already, and then the segment
// must be looked for on the next shelf.
func (s *Segment) Retain() bool {
	for {
		n := s.refs.Load()
		if n == 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release ends what Retain began. The bytes must not be touched afterwards.
func (s *Segment) Release() {
	if s.refs.Add(-1) == 0 {
		s.buf.Release()
	}
}

// Shelve says that the next shelf can serve the segment, so that its memory may be had when there is too little.
func (s *Segment) Shelve() { s.shelved.Store(true) }

// Shelved tells whether the next shelf has the segment, too.
func (s *Segment) Shelved() bool { return s.shelved.Load() }

// Revoked reports whether the memory is wanted back: the segment has left the window, and there is too little. Who reads it slowly
// should give up, and may ask the next shelf. Until it calls Release the bytes stay.
func (s *Segment) Revoked() bool { return s.revoked.Load() }

// Slices appends the bytes to dst as consecutive slices, to be read between Retain and Release and never written.
func (s *Segment) Slices(dst [][]byte) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Slices(dst)
}

// Playlist is a rendered playlist with all that its HTTP answer needs.
type Playlist struct {
	Body     []byte
	Gzip     []byte
	ETag     string // strong, quoted, of Body
	GzipETag string // strong, quoted, of Gzip
	Modified time.Time
}

// Snapshot is the immutable state of one recording between two changes.
type Snapshot struct {
	Key
	Recording  RecordingID
	Generation uint64 // rises with every snapshot of the recording
	State      State
	Yielded    bool // it has ended for this server alone: see Registry.Yield
	// TargetDuration in seconds; fixed for the recording; 0 while Starting.
	TargetDuration int
	// Rows is the segment table since the recording began (after an archive split or a restore: since Base).
	// Rows[i].Sequence == Base + i.
	Base uint64
	Rows []Row
	// Gaps is how many of Rows are gaps.
	Gaps int
	// First is the index in Rows of the first segment in the live playlist.
	First int
	// Segments are those whose bytes are in memory, oldest first; they reach to the end of Rows, and may begin before
	// First. A Segment in here may have been released meanwhile: see Segment.Retain. That of a gap is what its URI answers with.
	Segments []*Segment
	// Opened is the number that is being written now, len(Rows)+Base, or one less where none is: whoever journals
	// "Opened" before the next snapshot knows every number that a viewer can be shown.
	Opened uint64
	// Handed tells that a server that stands by finishes the segment that is being written, if this one cannot: nobody has seen anything of it.
	Handed bool
	// Writing tells whether Opened is in use.
	Writing  bool
	Variant  variant.Variant
	Modified time.Time // of the last change that shows in a playlist
	// LastFrame is the arrival of the newest frame when the snapshot was made.
	LastFrame time.Time

	// Live and Entry are the rendered live media playlist and multivariant playlist; nil while Starting.
	Live  *Playlist
	Entry *Playlist

	// PartTarget is PART-TARGET in 90 kHz ticks, fixed for the recording; 0: it has no parts.
	PartTarget int64
	// SkipUntil is CAN-SKIP-UNTIL of its low-latency playlist, in seconds; 0: there are no delta updates.
	SkipUntil int
	// Parts are those of the newest segments, oldest first, and last those of the segment that is being written, whose number is
	// Next: of at least three target durations, and of more than a playlist lists.
	Parts []Part
	// Edge is what is known already of the row that is being written, where parts of it are there; else its Start is zero.
	Edge Row
	// unparted says that the row that is being written has no parts, though others have.
	unparted bool

	// ArchiveName names the timestamped playlist that Archive renders: the recording, or the split that grows now.
	ArchiveName RecordingID

	// Of viewers that wait for a store (Options.Confirmed) there are two: what they are shown, and with it the whole.
	whole  *Snapshot // nil: this is all
	viewed *Snapshot // of the whole: what viewers are shown of it; else nil

	archive *archive
	next    chan struct{} // closed when a newer snapshot exists that is newer by more than parts
	step    *advance      // over when any newer one exists; nil: as next
	ll      *lowLatency   // the low-latency playlists of this snapshot, once they were asked for; nil: there are none
}

// Changed is closed when a newer snapshot of the same recording exists, be it by more than another part. After an Ended snapshot
// nothing is newer but one with fewer segments in memory, where that was short.
func (s *Snapshot) Changed() <-chan struct{} { return s.next }

// advance is the time until the next snapshot.
type advance struct {
	over    chan struct{}
	awaited atomic.Bool // somebody waits for its end
}

// Advanced is closed when any newer snapshot of the same recording exists. Who asks is taken to wait for that: see ingest.Awaiting.
func (s *Snapshot) Advanced() <-chan struct{} {
	if s.step == nil {
		return s.next
	}
	s.step.awaited.Store(true)
	return s.step.over
}

// passed tells those who wait for anything newer.
func (s *Snapshot) passed() {
	if s.step != nil {
		close(s.step.over)
	}
}

// awaited reports whether anybody waits for anything newer.
func (s *Snapshot) awaited() bool { return s.step != nil && s.step.awaited.Load() }

// Segment finds a segment that is in memory; nil where it is not. The caller must Retain it before reading.
func (s *Snapshot) Segment(sequence uint64) *Segment {
	first := s.Next() - uint64(len(s.Segments))
	if sequence < first || sequence >= s.Next() {
		return nil
	}
	return s.Segments[sequence-first]
}

// Next is the sequence number after the last listed segment.
func (s *Snapshot) Next() uint64 { return s.Base + uint64(len(s.Rows)) }

// Archive is the timestamped playlist: every entry since it began, EVENT while it grows, VOD with ENDLIST when Ended. It is rendered at
// the first call for this snapshot and shared afterwards; nil while Starting.
func (s *Snapshot) Archive() *Playlist {
	if s.viewed != nil {
		s = s.viewed
	}
	return s.archive.playlist(s)
}

// Whole is the snapshot with the segments that viewers are not shown yet, because no store has confirmed them, and with the state that
// the recording really has: it may have ended. Its First is that of the low-latency playlist. For who stores, and for low latency; where there is nothing to wait for it is the snapshot
// itself.
func (s *Snapshot) Whole() *Snapshot {
	if s.whole != nil {
		return s.whole
	}
	return s
}

// Unlisted is how many segments viewers are not shown yet.
func (s *Snapshot) Unlisted() int { return len(s.Whole().Rows) - len(s.Rows) }

// Offered is the snapshot with the segments that may be had by their names: those that playlists have named. Low-latency
// playlists name all, the others those that are listed; were the others served, a cache might keep for a year what is going to be
// another server's number.
func (s *Snapshot) Offered() *Snapshot {
	if s.PartTarget > 0 {
		return s.Whole()
	}
	return s
}
