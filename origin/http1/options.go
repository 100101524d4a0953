package http1

import (
	"context"
	"time"
)

// Handler answers requests. Its methods must be safe for concurrent use.
type Handler interface {
	// Answer fills in res, which is empty. A request that shall wait for something gets Response.Hold. The strings of req are borrowed: res
	// may point into them, but nothing else may after res has been closed. ctx ends when the client leaves or the connection is cut;
	// requests answered by pollers share the server's context.
	Answer(ctx context.Context, req *Request, res *Response)
	// Refuse fills in the answer to what never becomes a request for Answer: a head that is malformed (400), too long (414 for its first
	// line, 431), of another protocol (505), or one too many (503).
	Refuse(status int, res *Response)
}

// Rank is the priority of a request when there is no place left.
type Rank uint8

// The ranks.
const (
	Ordinary Rank = iota // refused with 503
	Urgent               // answered, then its connection is closed
	Trusted              // takes the place of a connection that is not trusted; if all are, as Urgent
)

// Outcome is what became of an answer.
type Outcome struct {
	Status int
	Class  uint8         // Response.Class
	Sent   int64         // bytes of body taken by the client
	Took   time.Duration // from reading the request to the last of them
	Held   bool          // it was held
}

// Options of a Server. A zero value means the default in its comment; Handler has none.
type Options struct {
	Handler Handler
	// Quick reports whether Answer certainly does not wait for a request, and the answer is small: then a poller may answer it. Nil: never.
	Quick func(*Request) bool
	// Rank ranks the first request of a connection that came when every place was taken. Nil: Ordinary.
	Rank func(*Request) Rank
	// Done is called for every answer. It may be nil.
	Done func(Outcome)
	// Extra is the name of one more header field that Handler needs: Request.Extra. It may be empty.
	Extra string
	// Warn is called for every event that an operator should know about; it turns many events into few log lines. It may be nil.
	Warn func(kind, who, msg string, args ...any)
	// Now is the wall clock, used only for the Date field. Nil: time.Now.
	Now func() time.Time

	MaxHeader      int           // bytes of a request's head, else 431; 32768
	MaxHeads       int64         // bytes of request heads beyond 1 KiB each, in total; the oldest incomplete one goes first; 32 MiB
	MaxUnsent      int           // bytes that the kernel may keep unsent for a connection, where it can be told; 0: as it likes
	MaxConnections int           // open at a time; beyond it see Rank; 16384
	MaxHeld        int           // requests that wait at a time with a goroutine each; more are answered at once, with Request.Waited; 4096
	MaxStreams     int           // HTTP/2 requests in progress, more are refused with 503; 4096
	IdleTimeout    time.Duration // of a connection between two requests; 125 s
	HeaderTimeout  time.Duration // for a complete head, and before it for a TLS handshake; 10 s
	WriteTimeout   time.Duration // without the client taking any byte; 20 s
	DrainTimeout   time.Duration // for answers in progress when the server stops; 10 s
	Patience       time.Duration // an answer that takes longer makes room for a new connection when places run short; 30 s
}

func (o *Options) defaults() {
	def(&o.MaxHeader, 32<<10)
	def(&o.MaxHeads, 32<<20)
	def(&o.MaxConnections, 16384)
	def(&o.MaxHeld, 4096)
	def(&o.MaxStreams, 4096)
	def(&o.IdleTimeout, 125*time.Second)
	def(&o.HeaderTimeout, 10*time.Second)
	def(&o.WriteTimeout, 20*time.Second)
	def(&o.DrainTimeout, 10*time.Second)
	def(&o.Patience, 30*time.Second)
	if o.Quick == nil {
		o.Quick = func(*Request) bool { return false }
	}
	if o.Rank == nil {
		o.Rank = func(*Request) Rank { return Ordinary }
	}
	if o.Done == nil {
		o.Done = func(Outcome) {}
	}
	if o.Warn == nil {
		o.Warn = func(string, string, string, ...any) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}
