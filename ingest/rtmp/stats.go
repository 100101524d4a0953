package rtmp

import (
	"sync/atomic"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Stats of a Server; all may be read at any time. Unless stated otherwise, numbers are totals since the start.
type Stats struct {
	Connections atomic.Int64  // open now
	Publishers  atomic.Int64  // publishing now
	Accepted    atomic.Uint64 // connections
	Published   atomic.Uint64 // publish commands granted
	Refused     atomic.Uint64 // publish commands refused, and publishers ended because of what they sent
	Malformed   atomic.Uint64 // connections ended because what they sent is not RTMP or exceeds a limit
	TimedOut    atomic.Uint64 // connections ended for silence, or for not publishing in time
	Panics      atomic.Uint64 // connections ended by a panic: each is a bug
	BytesIn     atomic.Uint64 // bytes read from sockets
	Reads       atomic.Uint64 // reads from sockets
	Stray       atomic.Uint64 // media messages outside a publish, ignored
	Acks        atomic.Uint64 // acknowledgements sent
	Frames      ingest.Totals // what became of the frames of publishers
}
