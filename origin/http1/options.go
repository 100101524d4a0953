package http1

import (
	"context"
	"time"
)

// Handler answers requests. Its methods are called from many goroutines at once.
type Handler interface {
	// Answer fills in res, which is empty. A request that is to wait for something gets Response.Hold. The strings of req are
	// borrowed: res may point into them, nothing else may after it was closed. ctx ends when the client leaves or the server is
	// cut; the pollers' requests have the server's own.
	Answer(ctx context.Context, req *Request, res *Response)
	// Refuse fills in the answer to what never becomes a request for Answer: a head that is malformed (400), longer than
	// allowed (414 for its first line, 431), of another protocol (505), or one too many (503).
	Refuse(status int, res *Response)
}

// Rank is what a request is worth where there is no place left.
type Rank uint8

// The ranks.
const (
	Ordinary Rank = iota // refused with 503
	Urgent               // answered, then its connection is closed
	Trusted              // takes the place of a connection that is not; where all are, as Urgent
)

// Outcome is what became of an answer.
type Outcome struct {
	Status int
	Class  uint8         // Response.Class
	Sent   int64         // bytes of body that were taken
	Took   time.Duration // from the request being read to the last of them
	Held   bool          // it waited
}

// Options of a Server. A zero value takes the default that its comment names; Handler has none.
type Options struct {
	Handler Handler
	// Quick reports whether Answer is sure not to wait for a request, and the answer to be small: then a poller may answer it.
	// Nil: never.
	Quick func(*Request) bool
	// Rank judges the first request of a connection that came when every place was taken. Nil: Ordinary.
	Rank func(*Request) Rank
	// Done is told of every answer. Nil: nobody is.
	Done func(Outcome)
	// Extra names one more header field that Handler asks for: Request.Extra. Empty: none.
	Extra string
	// Warn is told what an operator should know, once for every event of a kind: it makes few lines of many. Nil: nobody is.
	Warn func(kind, who, msg string, args ...any)
	// Now is the wall clock, for the Date field. Nothing else looks at it. Nil: time.Now.
	Now func() time.Time

	MaxHeader      int           // bytes of a request's head, else 431; 32768
	MaxHeads       int64         // bytes of request heads over 1 KiB, in sum; the oldest that is not whole goes first; 32 MiB
	MaxUnsent      int           // bytes that the kernel may keep unsent for a connection, where it can be told; 0: as it likes
	MaxConnections int           // open at a time; beyond it see Rank; 16384
	MaxHeld        int           // requests that wait at a time with a goroutine each; more are answered at once, with Request.Waited; 4096
	MaxStreams     int           // HTTP/2 requests under way at a time, more are refused with 503; 4096
	IdleTimeout    time.Duration // of a connection between two requests; 125 s
	HeaderTimeout  time.Duration // for a whole head, and before it for a TLS handshake; 10 s
	WriteTimeout   time.Duration // without any byte taken by the client; 20 s
	DrainTimeout   time.Duration // for answers under way when the server stops; 10 s
	Patience       time.Duration // an answer that takes longer makes room for a new connection where places are short; 30 s
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
