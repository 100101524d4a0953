package transcode

import (
	"log/slog"
	"runtime"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Rung is one rendition.
type Rung struct {
	Name    string // the stream's name is the source's with "_" and this appended
	Height  int    // pixels, even; the width follows from the source's aspect ratio
	Bitrate int    // of the video, bits per second; not exceeded for longer than Buffer
}

// SourceName is the name of the rung with the publisher's own frames.
const SourceName = "source"

// Stream returns the name of the stream with a rung of a ladder.
func Stream(ladder, rung string) string { return ladder + "_" + rung }

// Options of a Publisher. Zero values take the stated defaults.
type Options struct {
	// Publisher receives the source and the rungs. It must not be nil.
	Publisher ingest.Publisher
	// Apps holds the rungs of each app with a ladder; publishers to any other app pass through.
	Apps map[string][]Rung
	Log  *slog.Logger // nil: none

	// Memory is what the copies of frames draw from that wait for a process, or as sound for the rungs' pictures. Where there is none
	// left, frames are dropped as where the feed is full, and counted apart. nil: no bound but those below.
	Memory *ingest.Memory

	Command string // of ffmpeg, 5.1 or newer; "ffmpeg"
	// Env is added to the process's environment. Otherwise that has only what the process needs to find its parts: our own may hold
	// secrets.
	Env     []string
	Preset  string        // of libx264; "veryfast"
	Threads int           // of each rung's encoder; 0: libx264 decides
	Nice    int           // scheduling priority of the process, 1 to 19; 10
	Buffer  time.Duration // over which a rung keeps its bit rate; 1.5s

	MaxPublishers int // processes at once; a publisher beyond that has only its source until one is free. Twice the cores

	// Limits of the feed of one process. What exceeds them is dropped in whole GOPs.
	MaxBytes  int           // 16 MiB
	MaxFrames int           // video and audio; 2048
	MaxLag    time.Duration // in media time; 3s, so that rungs stay within a segment of their source

	MaxAge       time.Duration // of media, after which a process is replaced by the next without a gap; 20h (33 bits of 90 kHz are 26.5)
	StartTimeout time.Duration // to the first output of each rung, while there is input; 15s
	StallTimeout time.Duration // without output of a rung, while there is input; 10s
	FlushTimeout time.Duration // to write the rest when the publisher has left; 2s
	MinBackoff   time.Duration // before a failed process is restarted; 1s, doubled each time
	MaxBackoff   time.Duration // 30s; a process that has run for this long counts as healthy again
}

func (o Options) withDefaults() Options {
	orInt := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	orTime := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Command == "" {
		o.Command = "ffmpeg"
	}
	if o.Preset == "" {
		o.Preset = "veryfast"
	}
	orInt(&o.Nice, 10)
	orInt(&o.MaxPublishers, 2*runtime.NumCPU())
	orInt(&o.MaxBytes, 16<<20)
	orInt(&o.MaxFrames, 2048)
	orTime(&o.Buffer, 1500*time.Millisecond)
	orTime(&o.MaxLag, 3*time.Second)
	orTime(&o.MaxAge, 20*time.Hour)
	orTime(&o.StartTimeout, 15*time.Second)
	orTime(&o.StallTimeout, 10*time.Second)
	orTime(&o.FlushTimeout, 2*time.Second)
	orTime(&o.MinBackoff, time.Second)
	orTime(&o.MaxBackoff, 30*time.Second)
	return o
}
