package http1

import "sync/atomic"

// Stats may be read at any time. It identifies no client.
type Stats struct {
	Connections atomic.Int64 // open now
	Accepted    atomic.Int64 // connections, in all
	Refused     atomic.Int64 // connections over the limit, answered with 503 or closed
	InFlight    atomic.Int64 // requests being answered now, except by pollers
	Held        atomic.Int64 // requests held now
	HeldTotal   atomic.Int64 // requests that were held
	SlowViewers atomic.Int64 // connections dropped because the client took no byte for Options.WriteTimeout
	Revoked     atomic.Int64 // answers to slow clients that were cut off because their memory was wanted back
	SlowHeaders atomic.Int64 // connections dropped because a request did not arrive within Options.HeaderTimeout
	Malformed   atomic.Int64 // requests refused because they can be read in more than one way

	// Connections closed to make room for a new one: before their first request, between two, and during an answer that took longer than
	// Options.Patience.
	EvictedUnasked, EvictedIdle, EvictedSlow atomic.Int64

	tls      atomic.Int64 // connections with TLS, open now
	loops    atomic.Int64 // connections that have a goroutine now
	parked   atomic.Int64 // of those that wait, who need none
	streams  atomic.Int64 // HTTP/2 requests in progress
	leftover atomic.Int64 // bytes of answers that did not fit into their sockets at once
}

// Costs in bytes of what is counted and not measured: measured figures, rounded up. A test checks them.
const (
	costConnection = 2 << 10
	costLoop       = 8 << 10  // a goroutine for one
	costTLS        = 32 << 10 // what TLS, or HTTP/2 over it, adds to one
	costAnswer     = 10 << 10 // an answer in progress
	costHeld       = 8 << 10  // a held request: a second goroutine watches its client
	costParked     = 256      // one that waits without
	costStream     = 24 << 10 // an HTTP/2 request in progress
)

// Bytes returns the memory of connections, request heads, answers and held requests, without the bodies that handlers lend. What cannot be
// counted byte by byte is estimated from above. It is bounded by MaxConnections, MaxHeads, MaxHeld and MaxStreams.
func (s *Server) Bytes() int64 {
	st := &s.stats
	return st.Connections.Load()*costConnection + st.loops.Load()*costLoop + st.tls.Load()*costTLS + st.InFlight.Load()*costAnswer +
		(st.Held.Load()-st.parked.Load())*costHeld + st.parked.Load()*costParked + st.streams.Load()*costStream + st.leftover.Load() + s.heads.bytes()
}
