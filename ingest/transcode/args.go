package transcode

import (
	"fmt"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
)

// arguments returns the command line of a process that makes some rungs. It depends only on the configuration.
//
// The input is a transport stream with one video track. Its timestamps are kept: -copyts with an encoder time base of 90 kHz, and no
// pictures are added or dropped. Each keyframe of the source becomes an IDR picture, and no other picture does; GOPs are closed.
func arguments(o *Options, rungs []Rung) []string {
	args := []string{
		"-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-copyts",
		"-f", "mpegts", "-probesize", "500000", "-analyzeduration", "500000", "-threads", "1", "-i", "pipe:0",
	}
	for i, r := range rungs {
		rate := strconv.Itoa(r.Bitrate)
		args = append(args, "-map", "0:v:0", "-vf", fmt.Sprintf("scale=-2:%d", r.Height), "-pix_fmt", "yuv420p",
			"-c:v", "libx264", "-preset", o.Preset, "-profile:v", "high",
			"-b:v", rate, "-maxrate", rate, "-bufsize", strconv.Itoa(int(float64(r.Bitrate)*o.Buffer.Seconds())),
			"-fps_mode", "passthrough", "-enc_time_base", "1/90000",
			"-force_key_frames", "source", "-forced-idr", "1", "-sc_threshold", "0", "-g", "1000000", "-flags", "+cgop")
		if o.Threads > 0 {
			args = append(args, "-threads", strconv.Itoa(o.Threads))
		}
		args = append(args, "-flvflags", "no_duration_filesize", "-flush_packets", "1", "-f", "flv", fmt.Sprintf("pipe:%d", ffmpeg.FirstPipe+i))
	}
	return args
}

// tick returns how often a process is checked.
func (o *Options) tick() time.Duration {
	return min(250*time.Millisecond, o.StartTimeout/8, o.StallTimeout/8, o.FlushTimeout/8)
}
