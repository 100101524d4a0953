package transcode

import (
	"sync/atomic"

	"github.com/hlsorigin/hlsorigin/ingest/rtmp/flv"
)

// Stats holds the counters of all transcoders. They may be read at any time.
type Stats struct {
	Publishers    atomic.Int64 // publishers with a ladder, now
	Waiting       atomic.Int64 // those of them that have no process because MaxPublishers run, now
	Processes     atomic.Int64 // processes running, now
	Starts        atomic.Int64 // processes started
	Restarts      atomic.Int64 // processes that failed or stalled
	Turnovers     atomic.Int64 // processes replaced by the next without a gap
	DroppedGOPs   atomic.Int64 // GOPs that a process was too slow for, whole or in part
	StarvedGOPs   atomic.Int64 // GOPs that there was no memory for, whole or in part
	DroppedFrames atomic.Int64 // frames not given to a process: too slow, short of memory, restarting, or not there
	FramesIn      atomic.Int64 // pictures given to processes
	FramesOut     atomic.Int64 // frames passed on as rungs, audio included
	Refused       atomic.Int64 // rungs that could not be published

	demux flv.Stats
}
