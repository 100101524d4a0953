package origin

import (
	"sync/atomic"
	"time"
)

// Kind groups requests in the statistics.
type Kind uint8

// The kinds of request; NumKinds is their number.
const (
	KindOther   Kind = iota // unknown paths, preflights, and requests refused before their path was looked at
	KindEntry               // stable entry
	KindLive                // rolling media playlist
	KindArchive             // timestamped playlist
	KindSegment
	KindHealth
	NumKinds
)

func (k Kind) String() string {
	return [...]string{"other", "entry", "live", "archive", "segment", "health"}[k]
}

// LatencyBounds are the upper bounds of Stats.Latency; the last bucket has none.
var LatencyBounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond,
	500 * time.Millisecond, 2500 * time.Millisecond, 10 * time.Second,
}

// Stats may be read at any time. Nothing in it names a viewer.
type Stats struct {
	// Requests counts answers by kind and by status class: index 2 for 2xx up to 5 for 5xx.
	Requests [NumKinds][6]atomic.Int64
	// Bytes counts body bytes handed to the kernel, by kind.
	Bytes [NumKinds]atomic.Int64
	// Latency counts answers by the time from the request being read to its last byte being handed to the kernel; held
	// requests are left out. LatencySum is the sum in nanoseconds.
	Latency    [len(LatencyBounds) + 1]atomic.Int64
	LatencySum atomic.Int64

	Connections atomic.Int64 // open now
	Accepted    atomic.Int64 // connections, in all
	Refused     atomic.Int64 // connections over the limit, answered with 503
	InFlight    atomic.Int64 // requests being answered now
	Held        atomic.Int64 // requests waiting for a first playlist now
	HeldTotal   atomic.Int64 // requests that waited
	SlowViewers atomic.Int64 // connections dropped because the viewer took no byte for Options.WriteTimeout
	Revoked     atomic.Int64 // connections dropped because the viewer was at a segment whose memory was needed
	SlowHeaders atomic.Int64 // connections dropped because a request did not arrive within Options.ReadHeaderTimeout
	FromMemory  atomic.Int64 // segments served from memory
	FromArchive atomic.Int64 // objects served from the archive
	ArchiveErrs atomic.Int64 // archive failures other than a missing object
	Overloads   atomic.Int64 // requests answered with 503 because too many read the archive
	CertErrs    atomic.Int64 // failed reloads of the certificate
}

// done records an answer that was sent.
func (s *Stats) done(res *response, sent int64, took time.Duration, held bool) {
	s.Requests[res.kind][res.status/100].Add(1)
	if sent > 0 {
		s.Bytes[res.kind].Add(sent)
	}
	if held {
		return
	}
	i := 0
	for i < len(LatencyBounds) && took > LatencyBounds[i] {
		i++
	}
	s.Latency[i].Add(1)
	s.LatencySum.Add(int64(took))
}
