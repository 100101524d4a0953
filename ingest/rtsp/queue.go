package rtsp

import (
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// DefaultMaxQueuedPackets is the default of Options.MaxQueuedPackets: half a second at 24 Mb/s, and at most 1.5 MB.
const DefaultMaxQueuedPackets = 1024

// overflowEnds is the time without a dropped packet after which the next one begins a new episode.
const overflowEnds = 10 * time.Second

// arrived is an RTP or RTCP packet from the network, or what was wrong with one.
type arrived struct {
	track   *track
	ignored *ignoredFormat // where track is nil
	rtp     *rtp.Packet    // nil: it is RTCP
	rtcp    rtcp.Packet
	err     error // the library could not use a packet, whose track is unknown
	at      time.Time
}

// queue carries the packets of one UDP publisher to a goroutine of its own. The protocol library has one reader for RTP and one for RTCP,
// shared by all UDP publishers: if they did more, one publisher would make all others wait. Over TCP a publisher has its own reader, and no
// queue.
type queue struct {
	packets chan arrived
	memory  *ingest.Memory // what waits draws from it
	done    chan struct{}
	dropped atomic.Pointer[time.Time] // when a packet was last dropped for lack of room; nil: never
}

// packetOverhead is roughly what a packet takes besides its payload, in bytes.
const packetOverhead = 256

func (a *arrived) size() int64 {
	if a.rtp == nil {
		return packetOverhead
	}
	return int64(len(a.rtp.Payload)) + packetOverhead
}

// newQueue starts the goroutine, which passes each packet to take; close ends it.
func newQueue(size int, memory *ingest.Memory, take func(arrived)) *queue {
	q := &queue{packets: make(chan arrived, size), memory: memory, done: make(chan struct{})}
	go func() {
		defer close(q.done)
		for a := range q.packets {
			q.memory.Yield(a.size())
			take(a)
		}
	}()
	return q
}

// put queues a packet and never waits. It reports whether there was room, and if not, whether this is the first such packet of an episode.
func (q *queue) put(a arrived) (ok, first bool) {
	if q.memory.Hold(a.size()) {
		select {
		case q.packets <- a:
			return true, false
		default:
			q.memory.Yield(a.size())
		}
	}
	last := q.dropped.Swap(&a.at)
	return false, last == nil || a.at.Sub(*last) >= overflowEnds
}

// close returns when all packets are taken. put must not be called any more.
func (q *queue) close() {
	close(q.packets)
	<-q.done
}
