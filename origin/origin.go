package origin

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Options is what an Origin needs. A zero value takes the default that its comment names; Streams and Now have none.
type Options struct {
	Streams Streams
	Archive Archive // nil: what left memory is gone
	// Disk has files of segments that may be in memory as well; with more than MemorySends connections open they are sent
	// from there, as an *os.File in Object.Body. Nil: memory serves what it has.
	Disk Archive
	// Recordings lets time-shifted viewing reach behind the current recording; nil: it does not.
	Recordings Recordings
	// Settled tells whether every byte of an ended recording has reached the bucket, so that its timestamped playlist may
	// be cached for long. Nil: it has as soon as it ended.
	Settled func(app, stream string, id segmenter.RecordingID) bool
	Now     func() time.Time
	Log     *slog.Logger // nil: discard

	CORSOrigins []string // origins that pages may read from; empty or with "*": all
	Secret      Secret
	FailOnStale bool // 404 for the playlists of a stalled stream, so that an origin group turns to another server

	TargetDuration time.Duration // assumed for a stream that has no playlist yet; 4 s
	MaxHold        time.Duration // a first playlist is awaited for 3 target durations, and never longer than this; 25 s
	MaxHeld        int           // requests held at a time; more are answered 404 at once; 4096

	MemorySends       int           // connections up to which segments are sent from memory; 128
	MaxURL            int           // bytes of a request target, else 414; 8192
	MaxHeader         int           // bytes of a request's head, else 431; 32768
	MaxConnections    int           // open at a time, more are refused with 503; 16384
	MaxArchiveReads   int           // archive objects being opened at a time, more are refused with 503; 256
	MaxPlaylist       int64         // bytes of a playlist that is read from the archive; 32 MiB
	CacheBytes        int64         // rendered time-shift and archived playlists kept in memory; 64 MiB
	IdleTimeout       time.Duration // of a keep-alive connection; 125 s, longer than CloudFront's longest
	ReadHeaderTimeout time.Duration // for the whole head of a request; 10 s
	WriteTimeout      time.Duration // without any byte taken by the viewer; 20 s
	DrainTimeout      time.Duration // for answers under way when the server stops; 10 s

	TLS *TLS // for ServeTLS
	// NetHTTP leaves every request to net/http, should the loop of our own ever be under suspicion. It costs about twice
	// the CPU per request.
	NetHTTP bool
}

func (o *Options) defaults() {
	def(&o.TargetDuration, 4*time.Second)
	def(&o.MaxHold, 25*time.Second)
	def(&o.MaxHeld, 4096)
	def(&o.MemorySends, 128)
	def(&o.MaxURL, 8192)
	def(&o.MaxHeader, 32<<10)
	def(&o.MaxConnections, 16384)
	def(&o.MaxArchiveReads, 256)
	def(&o.MaxPlaylist, 32<<20)
	def(&o.CacheBytes, 64<<20)
	def(&o.IdleTimeout, 125*time.Second)
	def(&o.ReadHeaderTimeout, 10*time.Second)
	def(&o.WriteTimeout, 20*time.Second)
	def(&o.DrainTimeout, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Settled == nil {
		o.Settled = func(string, string, segmenter.RecordingID) bool { return true }
	}
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Origin answers requests. It starts no goroutine outside Serve.
type Origin struct {
	opts  Options
	cors  cors
	guard guard
	slots slots
	pages pages
	gate  gate
	press press
	stats Stats
	date  date

	secretField string // Options.Secret.Header in canonical form
	stopping    chan struct{}
	stop        sync.Once // closes stopping: held requests are released
}

// New makes an Origin. It panics where Options.Streams or Options.Now is missing: both are the caller's mistake.
func New(opts Options) *Origin {
	if opts.Streams == nil || opts.Now == nil {
		panic("origin: Options.Streams and Options.Now are required")
	}
	opts.defaults()
	return &Origin{
		opts:  opts,
		cors:  newCORS(opts.CORSOrigins),
		guard: newGuard(opts.Secret),
		slots: slots{max: maxSlots},
		pages: pages{max: opts.CacheBytes, now: opts.Now},
		gate:  gate{max: opts.MaxArchiveReads},
		press: newPress(),

		secretField: http.CanonicalHeaderKey(opts.Secret.Header),
		stopping:    make(chan struct{}),
	}
}

// CacheBytes is what rendered and archived playlists take in memory now, in bytes.
func (o *Origin) CacheBytes() int64 { return o.pages.bytes() }

// Stats are the counters of this origin.
func (o *Origin) Stats() *Stats { return &o.stats }
