package rtsp

import (
	"sync/atomic"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Stats counts what the server saw since it was made. Everything may be read at any time.
type Stats struct {
	Connections     atomic.Int64 // TCP connections accepted
	ConnectionsOpen atomic.Int64 // of them open now
	Sessions        atomic.Int64 // publishers that reached RECORD
	SessionsOpen    atomic.Int64 // of them recording now
	Refused         atomic.Int64 // requests answered with a refusal; the first question for credentials is none

	Frames       atomic.Int64 // frames handed to sessions
	Bytes        atomic.Int64 // bytes of RTP payload received
	LostPackets  atomic.Int64 // RTP packets that never came
	DecodeErrors atomic.Int64 // RTP and RTCP packets that could not be used
	// OverflowPackets of UDP publishers came faster than they were worked off, and were dropped.
	OverflowPackets atomic.Int64

	SenderReports        atomic.Int64 // RTCP sender reports used
	SenderReportsIgnored atomic.Int64 // sender reports without a clock, or too far from the times of arrival to be true
	Steps                atomic.Int64 // times that a track was moved to be in step with the other
	Jumps                atomic.Int64 // times that an encoder's RTP time stamps broke off and were joined again

	Ledger ingest.Totals // what became of the frames of publishers
}
