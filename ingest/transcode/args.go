package transcode

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// firstPipe is the file descriptor of a process's pipe for its first rung; those of the others follow.
const firstPipe = 3

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
		args = append(args, "-flvflags", "no_duration_filesize", "-flush_packets", "1", "-f", "flv", fmt.Sprintf("pipe:%d", firstPipe+i))
	}
	return args
}

// environ returns the part of our environment that a process gets.
func environ(o *Options) []string {
	var env []string
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, o.Env...)
}

// tick returns how often a process is checked.
func (o *Options) tick() time.Duration {
	return min(250*time.Millisecond, o.StartTimeout/8, o.StallTimeout/8, o.FlushTimeout/8)
}
