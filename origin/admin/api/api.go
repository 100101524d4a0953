// Package api is what operators' programs ask of the server: JSON under /v1, described by OpenAPI at /openapi.json, with tokens for
// those who come from elsewhere. It knows the server only through the interfaces below. It refuses whoever cannot show a right,
// pages of other sites, and every change that a web form could send.
package api

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/hlsorigin/hlsorigin/origin/admin"
)

// Options are what the API shows and changes. They are fixed for its life; what is nil answers 501.
type Options struct {
	Version    string // as `hlsorigin version` says it
	Streams    Streams
	Overviews  Overviews
	Recordings Recordings // nil: there is no bucket
	Clips      Clips      // nil: there is no bucket
	Jobs       Jobs       // nil: there is no bucket
	Server     Server
	Sync       admin.Syncer
	Hooks      Hooks
	Cluster    Cluster
	// Elsewhere says which other server of the cluster has a stream, as "the server b (http://b:5083)"; empty: none is known. Nil: there is no
	// cluster.
	Elsewhere func(ctx context.Context, app, stream string) string

	// Guesses limits how often tokens may be tried. Nil: nothing is limited.
	Guesses Guesses
	// Long is asked before an answer that takes long, and is told by done when it is over; not ok where too many are under way.
	// Nil: nothing is limited.
	Long admin.Long

	Log  *slog.Logger                             // nil: discard
	Warn func(kind, who, msg string, args ...any) // notes what a peer did that it may not; nil: nobody does
	Now  func() time.Time                         // nil: time.Now
}

// Streams is what is on the air.
type Streams interface {
	admin.Streams
	// Ladders are those on the air and those that ended a short while ago, with their rungs.
	Ladders() []admin.Stream
	// Disconnect sends a stream's publishers away with a reason that their encoders show, and returns how many that were.
	Disconnect(app, stream, reason string) (publishers int)
	// Cue orders an ad break that begins with the next segment, and returns the ID of its date range and the segment's number. The error
	// is a *Failure.
	Cue(app, stream string, lasts time.Duration) (id string, number uint64, err error)
	// Metadata puts timed metadata into a stream: a whole ID3v2.4 tag, or, where that is nil, one that is made of texts. The error is a
	// *Failure.
	Metadata(app, stream string, texts []Text, tag []byte) (TagPlace, error)
	// End makes a stream's recording final, sends its publishers away, and returns the recording's id; empty where none is
	// going on. The error is a *Failure.
	End(app, stream, reason string) (recording string, err error)
}

// Recordings is what lies in the bucket. A recording's name is what its playlist has, cam-2023-08-24_16-02-52.970. Errors that are a
// *Failure say what kind they are.
type Recordings interface {
	// List gives the recordings of all apps where app is "", of all streams where stream is "". An error is the last that comes.
	List(ctx context.Context, app, stream string) iter.Seq2[Recording, error]
	Show(ctx context.Context, app, name string) (Recording, error)
	Verify(ctx context.Context, app, name string, deep bool) (Report, error)
	Remove(ctx context.Context, app, name string, really, force bool) (Removal, error)
}

// Server is the server itself.
type Server interface {
	Config() map[string]any // without secrets
	Reload(ctx context.Context) (Reloaded, error)
	Retry() // tries at once what waits for a bucket or a webhook
	// SetLogLevel returns the level before.
	SetLogLevel(level slog.Level) (was slog.Level)
}

// Hooks is what happens, and those who are told.
type Hooks interface {
	// Try sends one webhook a test event. The error is a *Failure where there is no such webhook.
	Try(ctx context.Context, index int) (Tried, error)
	// Subscribe gives events from now on, each with how many were lost just before it; with after, the ID of one that is still
	// known, first those since, and with AllEvents all that are still known.
	Subscribe(ctx context.Context, after string) iter.Seq2[Event, int]
}

// API answers requests. It is safe for concurrent use.
type API struct {
	o         Options
	mux       *http.ServeMux
	api       huma.API
	tokens    atomic.Pointer[[]token]
	guessing  sync.Mutex // between Take and Return nobody else's guess is counted
	listeners chan struct{}
	board     board
}

// New makes an API without tokens: only this machine may use it. Prepare gives it some.
func New(o Options) *API {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Warn == nil {
		o.Warn = func(string, string, string, ...any) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Long == nil {
		o.Long = func(http.ResponseWriter, *http.Request) (func(), bool) { return func() {}, true }
	}
	a := &API{o: o, mux: http.NewServeMux(), listeners: make(chan struct{}, maxListeners)}
	a.tokens.Store(&[]token{})
	a.api = humago.New(a.mux, a.describe())
	a.streams()
	a.metadata()
	a.overviews()
	a.recordings()
	a.clips()
	a.jobs()
	a.server()
	a.cluster()
	a.events()
	a.watch()
	a.mux.HandleFunc("GET /openapi.json", a.openAPI)
	a.mux.HandleFunc("/", a.unknown)
	return a
}
