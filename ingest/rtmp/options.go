package rtmp

import (
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// Options of a Server. Publisher and Authorizer are required; any other zero field means its default.
type Options struct {
	Publisher  ingest.Publisher
	Authorizer ingest.Authorizer
	Log        *slog.Logger     // default: none
	Now        func() time.Time // for arrival times and deadlines; default time.Now
	Episodes   *ingest.Episodes // for what hostile peers cause; default: one on Log

	Memory *ingest.Memory // shared by all connections' unfinished messages and waiting frames; nil: no bound

	SetupTimeout  time.Duration // from connecting to a granted publish; default 10s
	IdleTimeout   time.Duration // a publisher that sends nothing for this long is dropped; default 30s
	WriteTimeout  time.Duration // for the peer to take an answer; default 5s
	LingerTimeout time.Duration // for a refused peer to read why before the connection is closed; default 1s

	// Coalesce lets the bytes of publishers gather in the kernel: their sockets are read at multiples of usual, all at the same
	// instants, in fewer and larger reads, at the price of at most that much latency. While a frame is due that viewers wait for
	// (ingest.Awaiting) they are read at multiples of urgent. 0, and nil: they are read at once, as TLS always is.
	Coalesce func() (usual, urgent time.Duration)

	ReadBuffer      int // bytes, of a publisher; default 64 KiB
	MaxMessage      int // bytes of one message of a publisher, which is one picture; default 8 MiB
	MaxHeld         int // bytes kept for a publisher's unfinished messages; default 16 MiB
	MaxChunkStreams int // of one connection; default 32
	MaxCommands     int // of one connection without media between them; default 64
	MaxStreams      int // message streams that one connection may create; default 8
	AckWindow       int // bytes: the announced window, acknowledged twice within it; default 2,500,000
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
	setDefault(&o.SetupTimeout, 10*time.Second)
	setDefault(&o.IdleTimeout, 30*time.Second)
	setDefault(&o.WriteTimeout, 5*time.Second)
	setDefault(&o.LingerTimeout, time.Second)
	setDefault(&o.ReadBuffer, 64<<10)
	setDefault(&o.MaxMessage, 8<<20)
	setDefault(&o.MaxHeld, 16<<20)
	setDefault(&o.MaxChunkStreams, 32)
	setDefault(&o.MaxCommands, 64)
	setDefault(&o.MaxStreams, 8)
	setDefault(&o.AckWindow, 2_500_000)
	return o
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Limits in bytes of a peer that has not been granted anything.
const (
	strangerMessage = 64 << 10
	strangerHeld    = 128 << 10
	strangerBuffer  = 4 << 10
)

// maxStray is how many bytes may come before a publish and after its end. An encoder that ends its stream, or begins without waiting for
// the answer, sends what is already on its way.
const maxStray = 4 << 20

// minAck is the smallest number of bytes between acknowledgements, whatever window a peer asks for.
const minAck = 64 << 10

// commandLimits returns the bounds for the AMF of a command: encoders need a depth of 2 and some 30 values.
func commandLimits() amf.Limits { return amf.Limits{Depth: 8, Values: 512} }

func (o *Options) strangerLimits() chunk.Limits {
	return chunk.Limits{MessageSize: strangerMessage, Held: strangerHeld, Streams: o.MaxChunkStreams}
}

func (o *Options) publisherLimits() chunk.Limits {
	return chunk.Limits{MessageSize: o.MaxMessage, Held: o.MaxHeld, Streams: o.MaxChunkStreams}
}
