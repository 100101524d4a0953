package origin

import (
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
)

// Kind groups requests in the statistics.
type Kind uint8

// The kinds of request; NumKinds is their number.
const (
	KindOther   Kind = iota // unknown paths, preflights, and requests refused before their path was examined
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

// Stats may be read at any time. It identifies no viewer.
type Stats struct {
	*http1.Stats // of connections

	// Requests counts answers by kind and by status class: index 2 for 2xx up to 5 for 5xx.
	Requests [NumKinds][6]atomic.Int64
	// Bytes counts body bytes handed to the kernel, by kind.
	Bytes [NumKinds]atomic.Int64
	// Latency counts answers by the time from reading the request to handing its last byte to the kernel; held requests are left out.
	// LatencySum is the sum in nanoseconds.
	Latency    [len(LatencyBounds) + 1]atomic.Int64
	LatencySum atomic.Int64

	FromMemory  atomic.Int64 // segments served from memory
	FromArchive atomic.Int64 // objects served from the archive
	ArchiveErrs atomic.Int64 // archive failures other than a missing object
	Overloads   atomic.Int64 // requests answered with 503 because too many read the archive
	Unrendered  atomic.Int64 // requests answered with 503 because too much was being rendered as CMAF
	CertErrs    atomic.Int64 // failed reloads of the certificate

	// Requests refused with 403: without the secret, with a wrong one, and not checked because the address had guessed too often.
	SecretMissing, SecretWrong, SecretLimited atomic.Int64
}

// done records an answer that was sent.
func (s *Stats) done(a http1.Outcome) {
	s.Requests[a.Class][a.Status/100].Add(1)
	if a.Sent > 0 {
		s.Bytes[a.Class].Add(a.Sent)
	}
	if a.Held {
		return
	}
	i := 0
	for i < len(LatencyBounds) && a.Took > LatencyBounds[i] {
		i++
	}
	s.Latency[i].Add(1)
	s.LatencySum.Add(int64(a.Took))
}
