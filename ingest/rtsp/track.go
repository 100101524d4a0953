package rtsp

import (
	"time"

	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
)

// stream unpacks the packets of one format. It belongs to one publisher.
type stream interface {
	codec() ingest.Codec
	rate() int // of the RTP clock, Hz
	// hint and announce pass on what the SDP says.
	hint(*normalise.Hints)
	announce(*normalise.Stream, time.Time) error
	// packet unpacks a packet, in order of sequence numbers, and emits the units that it completes. They stay valid and are never
	// overwritten.
	packet(pkt *rtp.Packet, arrival time.Time, emit func(unit)) error
	// flush emits what is incomplete and will stay so.
	flush(emit func(unit))
}

// unit is everything with one timestamp, on its way from packets to frames: the NAL units of a picture, or one audio frame.
type unit struct {
	rtp     uint32 // time stamp
	offset  int64  // 90 kHz ticks after rtp
	arrival time.Time
	data    [][]byte
	config  []byte // AudioSpecificConfig that came with it; nil: none
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
	queue       []ingest.Frame // placed, in order; waiting for the other track

	announced []uint32 // SSRCs named in the SDP; may be empty
	ssrc      uint32
	hasSSRC   bool
	came      time.Time // when its newest packet came

	claim      ingest.Message // on memory for packets whose unit is incomplete
	claimed    int64          // bytes claimed
	unfinished int64          // bytes of those packets
}

// claimStep is how many bytes are claimed at a time. claimFrom is how many need no claim.
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

// complete releases the claim: the unit is complete, or lost.
func (t *track) complete(m *ingest.Memory) {
	if t.claimed > 0 {
		m.Give(&t.claim)
	}
	t.claimed, t.unfinished = 0, 0
}
