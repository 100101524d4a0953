package rtsp

import (
	"time"

	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
)

// stream takes the packets of one format apart. It belongs to one publisher.
type stream interface {
	codec() ingest.Codec
	rate() int // of the RTP clock, Hz
	// hint and announce tell what the SDP says.
	hint(*normalise.Hints)
	announce(*normalise.Stream, time.Time) error
	// packet takes a packet apart, in the order of their sequence numbers, and emits the units that it completes. They stay
	// valid, and are never written again.
	packet(pkt *rtp.Packet, arrival time.Time, emit func(unit)) error
	// flush emits what is not complete and will not be.
	flush(emit func(unit))
}

// unit is what has one time stamp, on its way from packets to frames: the NAL units of a picture, or one audio frame.
type unit struct {
	rtp     uint32 // time stamp
	offset  int64  // 90 kHz ticks after it
	arrival time.Time
	data    [][]byte
	config  []byte // AudioSpecificConfig that came with it; nil: none did
}

// track is one recorded track of a publisher.
type track struct {
	media       int // its place in the SDP
	payloadType uint8
	stream      stream
	clock       rtpClock
	decoding    decoding // of video
	account     *ingest.Account
	align       alignment
	since       time.Time      // when its first held frame came
	queue       []ingest.Frame // placed, in order; waits for the other track

	announced []uint32 // SSRCs that the SDP names; empty: it names none
	ssrc      uint32
	hasSSRC   bool
	came      time.Time // when its newest packet did

	claim      ingest.Message // of the memory of packets whose unit is not complete
	claimed    int64          // bytes of it
	unfinished int64          // bytes of those packets
}

// claimStep is how much memory is claimed at a time, and claimFrom what needs no claim, in bytes.
const (
	claimStep = 16 << 10
	claimFrom = 4 << 10
)

// grow accounts for n bytes of a packet whose unit is not complete yet. See ingest.Memory.Take for end, and ingest.Message for quit.
func (t *track) grow(m *ingest.Memory, n int64, end func(error), quit <-chan struct{}) error {
	if t.unfinished += n; t.unfinished <= max(t.claimed, claimFrom) {
		return nil
	}
	more := max(t.unfinished-t.claimed, claimStep)
	t.claimed += more
	t.claim.Quit = quit
	return m.Take(&t.claim, more, end)
}

// complete gives back what was claimed: the unit is complete, or lost.
func (t *track) complete(m *ingest.Memory) {
	if t.claimed > 0 {
		m.Give(&t.claim)
	}
	t.claimed, t.unfinished = 0, 0
}
