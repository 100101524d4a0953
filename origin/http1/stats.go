package http1

import "sync/atomic"

// Stats may be read at any time. Nothing in it names a client.
type Stats struct {
	Connections atomic.Int64 // open now
	Accepted    atomic.Int64 // connections, in all
	Refused     atomic.Int64 // connections over the limit, answered with 503 or closed
	InFlight    atomic.Int64 // requests being answered now, but for those that pollers answer
	Held        atomic.Int64 // requests that wait now
	HeldTotal   atomic.Int64 // requests that waited
	SlowViewers atomic.Int64 // connections dropped because the client took no byte for Options.WriteTimeout
	Revoked     atomic.Int64 // answers to slow clients cut off because their memory was wanted back
	SlowHeaders atomic.Int64 // connections dropped because a request did not arrive within Options.HeaderTimeout
	Malformed   atomic.Int64 // requests refused because they cannot be read in one way only

	// Connections closed so that a new one has their place: before their first request, between two, and during an answer
	// that took longer than Options.Patience.
	EvictedUnasked, EvictedIdle, EvictedSlow atomic.Int64

	tls      atomic.Int64 // connections with TLS, open now
	loops    atomic.Int64 // connections that have a goroutine now
	parked   atomic.Int64 // of those that wait, who need none
	streams  atomic.Int64 // HTTP/2 requests under way
	leftover atomic.Int64 // bytes of answers that did not fit into their sockets at once
}

// What things cost that are counted and not measured, in bytes: figures that were measured, rounded up. A test weighs them.
const (
	costConnection = 2 << 10
	costLoop       = 8 << 10  // a goroutine for one
	costTLS        = 32 << 10 // what TLS, or HTTP/2 over it, adds to one
	costAnswer     = 10 << 10 // an answer under way
	costHeld       = 8 << 10  // a request that waits: a second goroutine watches its client
	costParked     = 256      // one that waits without
	costStream     = 24 << 10 // an HTTP/2 request under way
)

// Bytes is how much memory connections, request heads, answers and held requests have now, without the bodies that handlers
// lend. What cannot be counted byte by byte is estimated from above. It is bounded by MaxConnections, MaxHeads, MaxHeld and
// MaxStreams.
func (s *Server) Bytes() int64 {
	st := &s.stats
	return st.Connections.Load()*costConnection + st.loops.Load()*costLoop + st.tls.Load()*costTLS + st.InFlight.Load()*costAnswer +
		(st.Held.Load()-st.parked.Load())*costHeld + st.parked.Load()*costParked + st.streams.Load()*costStream + st.leftover.Load() + s.heads.bytes()
}
