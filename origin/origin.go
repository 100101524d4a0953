// Package origin answers viewers and CDNs over HTTP: playlists as the segmenter rendered them, segments from memory or
// from an archive, and what is made of both for players of CMAF, each with the header fields a cache needs to do the right thing.
// What is answered is decided in one pass over the request and the newest snapshot: resolve, select, transform, deliver. The engine
// below, origin/http1, carries it onto a connection. It refuses to render a live playlist that nobody asked for, to know what a
// bucket or a file layout is, to redirect, to set a cookie, and to touch a socket.
package origin

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
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
	// Warn is told of what viewers meet and an operator should know, at every event: it makes few lines of many. Nil: nobody is.
	Warn func(kind, who, msg string, args ...any)

	CORSOrigins []string // origins that pages may read from; empty or with "*": all
	Secret      Secret
	NoCMAF      []string // apps that are not served as CMAF and DASH
	FailOnStale bool     // 404 for the playlists of a stalled stream, so that an origin group turns to another server

	TargetDuration time.Duration // assumed for a stream that has no playlist yet; 4 s
	MaxHold        time.Duration // a first playlist is awaited for 3 target durations, and never longer than this; 25 s
	MaxHeld        int           // requests held at a time that need a goroutine, as over TLS; more are answered 404 or 503 at once; 4096

	MemorySends       int           // connections up to which segments are sent from memory; 128
	MaxURL            int           // bytes of a request target, else 414; 8192
	MaxHeader         int           // bytes of a request's head, else 431; 32768
	MaxHeads          int64         // bytes of request heads over 1 KiB, in sum, that are not whole; 32 MiB
	MaxUnsent         int           // bytes that the kernel may keep unsent for a connection; 0: as it likes
	MaxConnections    int           // open at a time; a new one takes the place of one that is idle, and is refused with 503 where none is; 16384
	MaxArchiveReads   int           // archive objects being opened at a time, more are refused with 503; 256
	MaxPlaylist       int64         // bytes of a playlist that is read from the archive; 32 MiB
	FragmentBytes     int64         // segments rendered as CMAF kept in memory; 64 MiB
	CacheBytes        int64         // rendered time-shift and archived playlists kept in memory; 64 MiB
	IdleTimeout       time.Duration // of a keep-alive connection; 125 s, longer than CloudFront's longest
	ReadHeaderTimeout time.Duration // for the whole head of a request; 10 s
	WriteTimeout      time.Duration // without any byte taken by the viewer; 20 s
	DrainTimeout      time.Duration // for answers under way when the server stops; 10 s

	TLS *TLS // for ServeTLS
}

const defaultMaxConnections = 16384

func (o *Options) defaults() {
	def(&o.TargetDuration, 4*time.Second)
	def(&o.MaxHold, 25*time.Second)
	def(&o.MaxHeld, 4096)
	def(&o.MemorySends, 128)
	def(&o.MaxURL, 8192)
	def(&o.MaxHeader, 32<<10)
	def(&o.MaxConnections, defaultMaxConnections)
	def(&o.MaxArchiveReads, 256)
	def(&o.MaxPlaylist, 32<<20)
	def(&o.CacheBytes, 64<<20)
	def(&o.FragmentBytes, 64<<20)
	def(&o.IdleTimeout, 125*time.Second)
	def(&o.ReadHeaderTimeout, 10*time.Second)
	def(&o.WriteTimeout, 20*time.Second)
	def(&o.DrainTimeout, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Warn == nil {
		o.Warn = func(string, string, string, ...any) {}
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
	http  *http1.Server
	rules atomic.Pointer[rules]
	slots slots
	pages pages
	gate  gate

	fragments pages     // segments rendered as CMAF
	remuxers  sync.Pool // of *fmp4.Remuxer

	press press
	stats Stats
}

// New makes an Origin. It panics where Options.Streams or Options.Now is missing: both are the caller's mistake.
func New(opts Options) *Origin {
	if opts.Streams == nil || opts.Now == nil {
		panic("origin: Options.Streams and Options.Now are required")
	}
	opts.defaults()
	o := &Origin{
		opts:  opts,
		slots: slots{max: maxSlots},
		pages: pages{max: opts.CacheBytes, now: opts.Now},
		gate:  gate{max: opts.MaxArchiveReads},

		fragments: pages{max: opts.FragmentBytes, now: opts.Now},

		press: newPress(),
	}
	o.http = http1.New(http1.Options{
		Handler: engine{o}, Quick: o.quick, Rank: o.rank, Done: o.stats.done, Extra: http.CanonicalHeaderKey(opts.Secret.Header), Warn: opts.Warn, Now: opts.Now,
		MaxHeader: opts.MaxHeader, MaxHeads: opts.MaxHeads, MaxUnsent: opts.MaxUnsent, MaxConnections: opts.MaxConnections, MaxHeld: opts.MaxHeld,
		IdleTimeout: opts.IdleTimeout, HeaderTimeout: opts.ReadHeaderTimeout, WriteTimeout: opts.WriteTimeout, DrainTimeout: opts.DrainTimeout,
	})
	o.stats.Stats = o.http.Stats()
	o.Reconfigure(Rules{CORSOrigins: opts.CORSOrigins, Secrets: opts.Secret.Values, FailOnStale: opts.FailOnStale, NoCMAF: opts.NoCMAF, MaxConnections: opts.MaxConnections})
	return o
}

// Serve answers on a listener until ctx is done, and then stops as http1.Server.Serve does.
func (o *Origin) Serve(ctx context.Context, l net.Listener) error { return o.http.Serve(ctx, l) }

// ServeTLS is Serve with Options.TLS and, where the client speaks it, HTTP/2.
func (o *Origin) ServeTLS(ctx context.Context, l net.Listener) error {
	cfg, err := o.tlsConfig()
	if err != nil {
		_ = l.Close()
		return fmt.Errorf("serve TLS: %w", err)
	}
	return o.http.ServeTLS(ctx, l, cfg)
}

// ServeHTTP answers as HTTP/2 is answered.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.http.ServeHTTP(w, r) }

// Bytes is how much memory connections and held requests have now.
func (o *Origin) Bytes() int64 { return o.http.Bytes() }

// CacheBytes is what rendered and archived playlists take in memory now, in bytes.
func (o *Origin) CacheBytes() int64 { return o.pages.bytes() }

// FragmentBytes is what segments rendered as CMAF take in memory now, and those that are being rendered, in bytes.
func (o *Origin) FragmentBytes() int64 { return o.fragments.bytes() }

// Stats are the counters of this origin.
func (o *Origin) Stats() *Stats { return &o.stats }
