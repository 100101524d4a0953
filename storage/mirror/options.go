package mirror

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/pace"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// Source provides the recordings; segmenter.Registry is one. Changed is closed when Timelines has a new one.
type Source interface {
	Timelines() []*segmenter.Timeline
	Changed() <-chan struct{}
}

// Options of a Mirror. Zero values mean the defaults given beside them.
type Options struct {
	Store   storage.Putter // the bucket; nil: nothing is uploaded, the spool keeps what fits
	Replica storage.Putter // a second store that also gets everything, independently of the first; may be nil
	Spool   *spool.Spool   // nil: segments wait in memory only

	// Kept returns the bytes of a segment that are kept somewhere else, for a start that finds its row in a journal and no file; nil: they are
	// not. It may be nil.
	Kept func(size int64, crc32c uint32) []byte

	// CMAF reports whether an app's recordings are stored as CMAF, too; nil: none are. It is asked when a recording begins, or is recovered.
	CMAF func(app string) bool

	Workers     int           // requests at once per store; 4
	MemoryBytes int64         // of segments held for lack of disk or bucket; 256 MiB
	SpoolFirst  time.Duration // how long an upload waits for the disk to go first; 200ms
	// ArchiveSplit is the length at which a timestamped playlist is finished and the next begins; 24h. Negative: never.
	ArchiveSplit time.Duration
	// ArchiveLag is the longest that a stored segment waits to be listed in the growing timestamped playlist; 4m30s.
	ArchiveLag time.Duration

	RetryMin, RetryMax         time.Duration // pauses after failures: 50ms, 4s
	ProbeMin, ProbeMax         time.Duration // pauses while a store permanently refuses: 2s, 4s
	DiskRetryMin, DiskRetryMax time.Duration // pauses while the disk fails: 1s, 30s
	// GrowEvery is how often the new part of an incomplete segment is written to disk; 500ms. Negative: never.
	GrowEvery time.Duration
	// AskLimit is how long a start waits for the stores to say which segments they have that disk and journal do not list; 3s. After that
	// they are asked later.
	AskLimit time.Duration
	// HangLimit is how long Run waits, once told to stop, for a disk that does not answer; 10s.
	HangLimit time.Duration

	Log *slog.Logger
	Now func() time.Time // the clock for retries and for how far a playlist may lag; time.Now
	// Tell receives notices, while locks are held: it must not wait, nor call the mirror. It may be nil.
	Tell func(Notice)
}

// NoticeKind is the kind of a Notice.
type NoticeKind uint8

// The kinds of Notice. A start may repeat notices from shortly before a crash.
const (
	RecordingStarted   NoticeKind = iota // the first segment of a recording was copied
	RecordingCompleted                   // every store has a final timestamped playlist, and all that it lists
	SegmentUploaded                      // a store confirmed a segment
	SegmentsLost                         // segments are gaps in the archive
	UploadsFailing                       // a store accepts nothing
	UploadsHealed                        // it accepts everything again
	SpoolLow                             // the disk fails, or has little room left for what no store has
	StoodDown                            // another server has the stream in a store: the recording's playlists are not written there any more
)

// Notice is something that happened. Which fields are set depends on Kind.
type Notice struct {
	Kind      NoticeKind
	Key       segmenter.Key         // of the recording; zero if it is about none
	Recording segmenter.RecordingID // the recording's
	Target    string                // "bucket" or "replica"; "" for lost segments that no store has
	Row       segmenter.Row         // the segment; the first of several lost ones
	Lost      int                   // segments since the recording's last Notice of this kind; many are reported together
	Reason    string                // in words
	Permanent bool                  // the store refuses permanently: somebody must act
	Node      string                // the server that has the stream
	Ended     bool                  // it has ended the recording in the store: what is published from now on belongs to another

	Archive  segmenter.RecordingID // the name of the timestamped playlist
	Segments int64                 // in that playlist; or not yet stored
	Gaps     int64                 // lost ones among them
	Duration int64                 // total, 90 kHz ticks
	Bytes    int64                 // total
}

// tell passes on a notice, if anybody wants it.
func (m *Mirror) tell(n Notice) {
	if m.o.Tell != nil {
		m.o.Tell(n)
	}
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if o.Workers == 0 {
		o.Workers = 4
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 256 << 20
	}
	def(&o.SpoolFirst, 200*time.Millisecond)
	def(&o.ArchiveSplit, 24*time.Hour)
	def(&o.ArchiveLag, 270*time.Second)
	def(&o.RetryMin, 50*time.Millisecond)
	def(&o.RetryMax, 4*time.Second)
	def(&o.ProbeMin, 2*time.Second)
	def(&o.ProbeMax, 4*time.Second)
	def(&o.DiskRetryMin, time.Second)
	def(&o.DiskRetryMax, 30*time.Second)
	def(&o.GrowEvery, 500*time.Millisecond)
	def(&o.AskLimit, 3*time.Second)
	def(&o.HangLimit, 10*time.Second)
	if o.CMAF == nil {
		o.CMAF = func(string) bool { return false }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// pauses are those after failures.
func (o *Options) pauses() storage.RetryOptions {
	return storage.RetryOptions{First: o.RetryMin, Most: o.RetryMax}
}

// pace returns the initial pace of a store.
func (o *Options) pace() pace.Pace {
	return pace.New(pace.Options{
		Workers: o.Workers, Backoff: o.pauses(),
		Probe: storage.RetryOptions{First: o.ProbeMin, Most: o.ProbeMax},
	})
}

// Stats may be read at any time. For the disk see spool.Stats, for the uploads UploadStats.
type Stats struct {
	Recordings   atomic.Int64 // gauge: recordings with something left to do
	Segments     atomic.Int64 // segments taken from timelines
	Gaps         atomic.Int64 // segments whose bytes were lost
	DroppedBytes atomic.Int64 // their bytes
	Squeezed     atomic.Int64 // those of them lost for lack of memory while neither disk nor store accepted them
	DiskErrors   atomic.Int64 // attempts of the disk that failed
	Recovered    atomic.Int64 // recordings found in the spool at start
	Damaged      atomic.Int64 // those of them whose journal was damaged
	StoodDown    atomic.Int64 // recordings of which another server has the stream, counted for each store
	Salvaged     atomic.Int64 // segments identified by their own bytes, on disk or in a store, because no journal listed them
}
