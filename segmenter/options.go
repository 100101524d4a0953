package segmenter

import (
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Options of a Registry.
type Options struct {
	// Apps are the apps that may be published to, with the settings of each.
	Apps map[string]AppOptions
	// Now is the clock for what no frame stamps: publishing and graces. Never nil.
	Now func() time.Time
	Log *slog.Logger
	// Pool is where the segments' memory comes from; nil: a pool of its own.
	Pool *mpegts.Pool
	// Memory is the budget for segments in memory, over all streams, in bytes. Beyond it, each stream keeps its fair share
	// of the newest and leaves older ones to the next shelf, as far as that has them (see Segment.Shelve). 0: no budget.
	Memory int64
	// MaxMemory bounds, in bytes, all that segments take: those being written and those that are read or uploaded after they
	// left the window with the others. Beyond it no publisher is let in, and the newest are sent away; see Registry.Expire.
	// 0: no bound.
	MaxMemory int64
	// Waiting is what frames that are held draw from, with those of the protocols; nil: no bound.
	Waiting *ingest.Memory
	// MaxStreams bounds the streams that are live at once, the rungs of ladders among them; 0: 1000.
	MaxStreams int
	// Confirmed keeps a segment from viewers until a store has it, which whoever mirrors says by Timeline.Confirm. So a server that takes
	// the stream over, and knows the store alone, goes on with a number that nobody was ever shown with other content. Live and
	// timestamped playlists, and all that is made of them, end before the first segment that is not confirmed, and until then its name
	// is not served. Viewers are behind by the time that an upload takes, and their playlists stand still while the store is away.
	// Publishers, the mirror, and the end of a recording wait for nothing; but EXT-X-ENDLIST comes when all is confirmed.
	//
	// Low-latency playlists list parts and segments at once in any case, and their ends, too: parts are never stored. Their numbers are those of the live playlist,
	// which names fewer of them. What that risks is that a takeover uses once more a number of which low-latency viewers, or a cache
	// that they asked, have had the content of the server that was lost: at most those segments that the store did not have.
	Confirmed bool
}

// AppOptions are the settings of the streams of one app. Zero values take the defaults of DefaultAppOptions.
type AppOptions struct {
	SegmentDuration   time.Duration // cut at the first keyframe at or after it
	Window            time.Duration // of the live playlist, at least
	TargetDuration    time.Duration // fixed EXT-X-TARGETDURATION, whole seconds; 0: learned
	MaxTargetDuration time.Duration // the longest that learning may arrive at
	ReconnectGrace    time.Duration // a dropped publisher may return for so long
	EndGrace          time.Duration // the same after it took its leave
	RestartGrace      time.Duration // the same after a restart of the server, from the last frame
	EndedTTL          time.Duration // an ended recording keeps the stable entry for so long
	TakeoverAfter     time.Duration // silence after which the same publisher may replace itself
	ArchiveSplit      time.Duration // length at which the timestamped playlist is finished and the next begins; 0: never
	// Groups are ladders: the public name of each, and the streams that are its rungs, best first. See Wildcard.
	Groups      map[string][]string
	Audio       bool          // ladders get an audio-only variant, made from their first rung
	PDTMaxDrift time.Duration // wall clock against media time before PROGRAM-DATE-TIME is corrected
	LowLatency  bool          // segments have parts, and there are low-latency playlists beside the others
	// PartDuration is the wanted PART-TARGET. What a recording has once is fixed for it.
	PartDuration time.Duration
	// Deterministic makes segments and their times a function of what is published, whenever it comes, so that another server that is given
	// the same can make the same: see Standby. Frames are put in the order of their times, and PROGRAM-DATE-TIME follows media time for as
	// long as a publisher is connected, however its clock runs. Ladders are made as without it.
	Deterministic bool
	// SessionData stands in the multivariant playlists of all streams.
	SessionData []m3u8.SessionData
}

// DefaultAppOptions are the product's defaults.
func DefaultAppOptions() AppOptions {
	return AppOptions{
		SegmentDuration:   4 * time.Second,
		Window:            60 * time.Second,
		MaxTargetDuration: 12 * time.Second,
		ReconnectGrace:    60 * time.Second,
		EndGrace:          15 * time.Second,
		RestartGrace:      5 * time.Minute,
		EndedTTL:          10 * time.Minute,
		TakeoverAfter:     2 * time.Second,
		PDTMaxDrift:       2 * time.Second,
		PartDuration:      500 * time.Millisecond,
	}
}

func (o AppOptions) withDefaults() AppOptions {
	d := DefaultAppOptions()
	for _, f := range []struct{ v, def *time.Duration }{
		{&o.SegmentDuration, &d.SegmentDuration}, {&o.Window, &d.Window}, {&o.MaxTargetDuration, &d.MaxTargetDuration},
		{&o.ReconnectGrace, &d.ReconnectGrace}, {&o.EndGrace, &d.EndGrace}, {&o.RestartGrace, &d.RestartGrace},
		{&o.EndedTTL, &d.EndedTTL}, {&o.TakeoverAfter, &d.TakeoverAfter}, {&o.PDTMaxDrift, &d.PDTMaxDrift}, {&o.PartDuration, &d.PartDuration},
	} {
		if *f.v == 0 {
			*f.v = *f.def
		}
	}
	return o
}

// parts is PART-TARGET as it is wanted; 0: there are no parts.
func (o *AppOptions) parts() time.Duration {
	if !o.LowLatency {
		return 0
	}
	return o.PartDuration
}
