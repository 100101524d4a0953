package httpput

import (
	"cmp"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Options of a Server. Publisher and Authorizer are required; any other zero field means its default.
type Options struct {
	Publisher  ingest.Publisher
	Authorizer ingest.Authorizer
	// Password is the plain key of a stream, for a Digest; digest says whether the app has any. nil: Digest is not offered.
	Password func(app, name string) (password string, ok, digest bool)
	// Rung reports whether a stream is, or would be, a rung of a ladder; nil: none is.
	Rung func(app, stream string) bool
	// Form makes streams the rungs of a ladder, as a multivariant playlist asks for; nil: they are streams of their own.
	Form func(app, ladder string, rungs []string) error
	// Keyed reports whether a stream has a key of its own, so that senders of others may not make it a rung of theirs; nil: none has.
	Keyed    func(app, stream string) bool
	Log      *slog.Logger     // default: none
	Now      func() time.Time // default time.Now
	Episodes *ingest.Episodes // for what hostile peers cause; default: one on Log
	Memory   *ingest.Memory   // shared with all publishers, for bodies and held segments; nil: no bound
	// Keep keeps a segment that came beside memory, for the process after this one; nil: nothing does. It may wait, but not for long, and
	// returns nil if it cannot. done, which waits for nothing, says that it is not needed any more, or not for long where it was passed on as
	// it came.
	Keep func(*Held) (done func(passed bool))

	IdleTimeout time.Duration // a sender that sends nothing for this long, and for three segments, has left; default 30s
	BodyTimeout time.Duration // for one body, from its first byte to its last; default 2m
	StallLimit  time.Duration // between two reads of a body; default 15s
	// How long a request, or a Tick, waits for the Publisher, which in a cluster asks a store: what comes meanwhile is held; default 100ms.
	PublishLimit time.Duration
	Settle       time.Duration // for a multivariant playlist, or another sender's, to come before a stream begins; default 1s

	MaxSegment  int64 // bytes; default 64 MiB
	MaxPlaylist int64 // bytes; default 4 MiB
	MaxHeld     int   // segments of one sender that no playlist has named yet, or that wait for others; default 1024
	MaxStreams  int   // that are sent to at once; default 1000
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Episodes == nil {
		o.Episodes = ingest.NewEpisodes(o.Log, o.Now)
	}
	setDefault(&o.IdleTimeout, 30*time.Second)
	setDefault(&o.BodyTimeout, 2*time.Minute)
	setDefault(&o.StallLimit, 15*time.Second)
	setDefault(&o.PublishLimit, 100*time.Millisecond)
	setDefault(&o.Settle, time.Second)
	setDefault(&o.MaxSegment, 64<<20)
	setDefault(&o.MaxPlaylist, 4<<20)
	setDefault(&o.MaxHeld, 1024)
	setDefault(&o.MaxStreams, 1000)
	return o
}

func setDefault[T int | int64 | time.Duration](v *T, d T) { *v = cmp.Or(*v, d) }

// Stats of a Server; all may be read at any time. Unless stated otherwise, numbers are totals since the start.
type Stats struct {
	Publishers atomic.Int64 // streams that are sent to now
	Standby    atomic.Int64 // senders beside them that would take their place, now
	Held       atomic.Int64 // segments in memory that wait for their turn, now

	Segments  atomic.Uint64 // that came
	Playlists atomic.Uint64 // that came
	BytesIn   atomic.Uint64 // of bodies
	Refused   atomic.Uint64 // requests that were answered with an error
	CutShort  atomic.Uint64 // bodies that ended too early or came too slowly

	Whole      atomic.Uint64 // segments passed on as they came
	Remuxed    atomic.Uint64 // segments passed on frame by frame
	Lost       atomic.Uint64 // segments that a playlist named and that did not come, or could not be used
	Unnamed    atomic.Uint64 // segments that came and that no playlist named, or too late
	Duplicates atomic.Uint64 // segments that came again and were not needed
	Takeovers  atomic.Uint64 // times that another sender went on with a stream
	Restored   atomic.Uint64 // segments that another process had held, and this one took up

	Frames ingest.Totals // what became of the frames
}
