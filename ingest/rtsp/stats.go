package rtsp

import (
	"sync/atomic"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Stats are a server's counters since it was created. All may be read at any time.
type Stats struct {
	Connections     atomic.Int64 // TCP connections accepted
	ConnectionsOpen atomic.Int64 // those open now
	Sessions        atomic.Int64 // publishers that reached RECORD
	SessionsOpen    atomic.Int64 // those recording now
	Refused         atomic.Int64 // requests answered with a refusal, except the first request for credentials

	Frames       atomic.Int64 // frames handed to sessions
	Bytes        atomic.Int64 // bytes of RTP payload received
	LostPackets  atomic.Int64 // RTP packets that never came
	DecodeErrors atomic.Int64 // RTP and RTCP packets that could not be used
	// OverflowPackets counts packets of UDP publishers that were dropped because they came faster than they were processed.
	OverflowPackets atomic.Int64

	SenderReports        atomic.Int64 // RTCP sender reports used
	SenderReportsIgnored atomic.Int64 // sender reports without a clock, or too far from the times of arrival to be true
	Steps                atomic.Int64 // times that a track was moved to align with the other
	Jumps                atomic.Int64 // times that an encoder's RTP timestamps jumped and were joined again

	Ledger ingest.Totals // what became of the frames of publishers
}
