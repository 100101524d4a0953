// Package origin answers viewers and CDNs over HTTP: playlists as the segmenter rendered them, segments from memory or
// from an archive, and what is made of both for players of CMAF, each with the header fields a cache needs to do the right thing.
// What is answered is decided in one pass over the request and the newest snapshot: resolve, select, transform, deliver. The engine
// below, origin/http1, carries it onto a connection. It refuses to render a live playlist that nobody asked for, to know what a
// bucket or a file layout is, to redirect, to set a cookie, and to touch a socket.
package origin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/origin/remote"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Streams finds recordings. Both methods are called for every request, from many goroutines: they must be quick, and must not keep their
// strings.
type Streams interface {
	// Timeline returns the stream's current recording, or its last one after the end, or nil.
	Timeline(app, stream string) *segmenter.Timeline
	// Recording returns a recording that is still in memory, running or ended, or nil.
	Recording(app, stream string, id segmenter.RecordingID) *segmenter.Timeline
}

// Archive holds segments and playlists that have left memory. The key is the URL path without its leading slash. If an object does not
// exist, the error is fs.ErrNotExist; any other error is answered with 503, so that a CDN may look elsewhere.
type Archive interface {
	Open(ctx context.Context, key string) (Object, error)
}

// Object is an open object of the archive. Whoever opened it closes Body once.
type Object struct {
	Size     int64
	Modified time.Time
	// Encoding is the stored Content-Encoding of the object: "" or "gzip".
	Encoding string
	// Age is the Cache-Control with which it is stored; empty: it is not known.
	Age string
	// Gap reports that the object stands in for a lost segment, as far as the archive knows.
	Gap bool
	// Body is read once, from wherever Seek puts it; it is never read for HEAD and 304. The kernel sends an *os.File without passing it
	// through this process. An implementation over a network should connect at the first Read.
	Body io.ReadSeekCloser
}

// Recordings finds recordings by time, for time-shifted viewing of what is not the stream's current recording any more.
type Recordings interface {
	// Find returns the ID of the newest recording of a stream that began at or before an instant, in memory or in the archive: its
	// timestamped playlist is "{app}/streams/{stream}-{id}.m3u8". If there is none, the error is fs.ErrNotExist.
	Find(ctx context.Context, app, stream string, at time.Time) (segmenter.RecordingID, error)
}

// Options of an Origin. A zero value means the default in its comment; Streams and Now have none.
type Options struct {
	Streams Streams
	Archive Archive // nil: what has left memory is gone
	// Disk has files of segments that may be in memory as well. With more than MemorySends connections open, segments are sent from there,
	// as an *os.File in Object.Body. Nil: they are sent from memory.
	Disk Archive
	// Remote answers for streams that other servers of a cluster have. Its Run is the caller's. Nil: there are none.
	Remote *remote.Remote
	// Taking reports whether this server may have taken over a recording of a stream that it does not show yet, because its publisher is still
	// being admitted, or could not be. Nil: it never does.
	Taking func(app, stream string) bool
	// Forget drops what Archive keeps in memory of objects whose keys match, and of those that are being read. Nil: it keeps nothing.
	Forget func(match func(key string) bool)
	// Recordings lets time-shifted viewing reach behind the current recording. It may be nil.
	Recordings Recordings
	// Settled reports whether every byte of an ended recording has reached the bucket, so that its timestamped playlist may be cached for
	// long. Nil: always, as soon as it has ended.
	Settled func(app, stream string, id segmenter.RecordingID) bool
	Now     func() time.Time
	Log     *slog.Logger // nil: discard
	// Warn is called for every problem that viewers meet and an operator should know about; it turns many events into few log lines. It may
	// be nil.
	Warn func(kind, who, msg string, args ...any)

	CORSOrigins []string // origins that pages may read from; empty or with "*": all
	Secret      Secret
	NoCMAF      []string // apps that are not served as CMAF and DASH
	FailOnStale bool     // 404 for the playlists of a stalled stream, so that an origin group fails over to another server

	TargetDuration time.Duration // assumed for a stream that has no playlist yet; 4 s
	MaxHold        time.Duration // a first playlist is awaited for 3 target durations, but never longer than this; 25 s
	MaxHeld        int           // requests held at a time that need a goroutine, as over TLS; more are answered 404 or 503 at once; 4096

	MemorySends       int           // connections up to which segments are sent from memory; 128
	MaxURL            int           // bytes of a request target, else 414; 8192
	MaxHeader         int           // bytes of a request's head, else 431; 32768
	MaxHeads          int64         // bytes of incomplete request heads beyond 1 KiB each, in total; 32 MiB
	MaxUnsent         int           // bytes that the kernel may keep unsent for a connection; 0: as it likes
	MaxConnections    int           // open at a time; a new one replaces an idle one, or is refused with 503 if there is none; 16384
	MaxArchiveReads   int           // archive objects being opened at a time; more are refused with 503; 256
	MaxPlaylist       int64         // bytes of a playlist that is read from the archive; 32 MiB
	FragmentBytes     int64         // segments rendered as CMAF kept in memory; 64 MiB
	CacheBytes        int64         // rendered time-shift and archived playlists kept in memory; 64 MiB
	IdleTimeout       time.Duration // of a keep-alive connection; 125 s, longer than CloudFront's longest
	ReadHeaderTimeout time.Duration // for the whole head of a request; 10 s
	WriteTimeout      time.Duration // without the viewer taking any byte; 20 s
	DrainTimeout      time.Duration // for answers in progress when the server stops; 10 s

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

	hung atomic.Pointer[time.Time] // when the archive last took too long for a segment; nil: it did not
}

// New returns an Origin. It panics if Options.Streams or Options.Now is missing.
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

// Serve serves a listener until ctx is done, and then stops like http1.Server.Serve.
func (o *Origin) Serve(ctx context.Context, l net.Listener) error { return o.http.Serve(ctx, l) }

// ServeTLS is Serve with Options.TLS and, if the client supports it, HTTP/2.
func (o *Origin) ServeTLS(ctx context.Context, l net.Listener) error {
	cfg, err := o.tlsConfig()
	if err != nil {
		_ = l.Close()
		return fmt.Errorf("serve TLS: %w", err)
	}
	return o.http.ServeTLS(ctx, l, cfg)
}

// ServeHTTP gives the answers for HTTP/2.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) { o.http.ServeHTTP(w, r) }

// localKey is the context key of a request that is answered from what this server has itself.
type localKey struct{}

// ServeLocal is ServeHTTP for another server of a cluster, over HTTP/1.1: no third one is asked for an answer.
func (o *Origin) ServeLocal(w http.ResponseWriter, r *http.Request) {
	o.http.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), localKey{}, true)))
}

// Bytes returns the memory of connections and held requests.
func (o *Origin) Bytes() int64 { return o.http.Bytes() }

// CacheBytes returns the memory of rendered and archived playlists, in bytes.
func (o *Origin) CacheBytes() int64 { return o.pages.bytes() }

// FragmentBytes is what segments rendered as CMAF take in memory now, and those that are being rendered, in bytes.
func (o *Origin) FragmentBytes() int64 { return o.fragments.bytes() }

// Stats returns the counters of this origin.
func (o *Origin) Stats() *Stats { return &o.stats }
