package transcode

import (
	"sync/atomic"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/flv"
)

// Stats are the counters of all transcoders. They may be read at any time.
type Stats struct {
	Publishers    atomic.Int64 // publishers with a ladder, now
	Waiting       atomic.Int64 // of them, those without a process because MaxPublishers run, now
	Processes     atomic.Int64 // processes running, now
	Starts        atomic.Int64 // processes started
	Restarts      atomic.Int64 // processes that failed or stalled
	Turnovers     atomic.Int64 // processes that made way for the next without a gap
	DroppedGOPs   atomic.Int64 // groups of pictures that a process was too slow for, whole or in part
	DroppedFrames atomic.Int64 // frames not given to a process: too slow, starting again, or not there
	FramesIn      atomic.Int64 // pictures given to processes
	FramesOut     atomic.Int64 // frames handed on as rungs, audio included
	Refused       atomic.Int64 // rungs that could not be published

	demux flv.Stats
}
