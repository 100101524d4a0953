package transcode

import (
	"log/slog"
	"runtime"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Rung is one rendition that is made.
type Rung struct {
	Name    string // the stream is called like the source, with "_" and this behind it
	Height  int    // pixels, even; the width follows the source's shape
	Bitrate int    // of the video, bits per second, which it does not exceed for longer than Buffer
}

// SourceName is the name of the rung that carries the publisher's own frames.
const SourceName = "source"

// Stream is the stream that carries a rung of a ladder.
func Stream(ladder, rung string) string { return ladder + "_" + rung }

// Options of a Publisher. Zero values take the defaults named.
type Options struct {
	// Publisher takes the source and the rungs. Never nil.
	Publisher ingest.Publisher
	// Apps are the rungs of each app that has a ladder; publishers to any other app pass through.
	Apps map[string][]Rung
	Log  *slog.Logger // nil: none

	// Memory is what the copies of frames draw from that wait for a process, or as sound for the rungs' pictures. Where there is none
	// left, frames are dropped as if the feed were full. nil: no bound but those below.
	Memory *ingest.Memory

	Command string // of ffmpeg, 5.1 or newer; "ffmpeg"
	// Env is added to the process's environment, which is otherwise only what it needs to find its parts: our own may hold
	// secrets.
	Env     []string
	Preset  string        // of libx264; "veryfast"
	Threads int           // of each rung's encoder; 0: as libx264 finds right for the machine
	Nice    int           // scheduling priority of the process, 1 to 19; 10
	Buffer  time.Duration // over which a rung keeps to its bit rate; 1.5s

	MaxPublishers int // processes at once; a publisher beyond it has its source alone until one is free. Twice the cores

	// The feed of one process. What does not fit is dropped in whole groups of pictures.
	MaxBytes  int           // 16 MiB
	MaxFrames int           // video and audio; 2048
	MaxLag    time.Duration // in media time; 3s, so that rungs stay within a segment of their source

	MaxAge       time.Duration // of media, after which a process makes way for the next without a gap; 20h (33 bits of 90 kHz are 26.5)
	StartTimeout time.Duration // to the first output of each rung, while there is input; 15s
	StallTimeout time.Duration // without output of a rung, while there is input; 10s
	FlushTimeout time.Duration // to write the rest when the publisher has left; 2s
	MinBackoff   time.Duration // before a failed process is started again; 1s, doubled each time
	MaxBackoff   time.Duration // 30s; a process that ran for so long is taken to be well again
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
