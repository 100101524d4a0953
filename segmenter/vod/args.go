package vod

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/ffmpeg"
)

// preset of libx264 and the quality that it aims at, where the rung's bit rate allows it.
const (
	preset = "veryfast"
	crf    = "21"
)

// slowRate is the frame rate below which pictures are coded in the order in which they are shown: they would come seconds apart from the sound
// that is heard with them.
const slowRate = 5

// quiet are what all runs of ffmpeg begin with.
func quiet() []string { return []string{"-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"} }

// transcodeArgs are the command line by which some outputs are coded anew. It depends on numbers and on the configuration alone.
//
// All outputs have the same frame rate, and keyframes at the same times, whether they are made by one process or by several: pictures are
// counted from 0, and a keyframe is forced at each multiple of the plan's distance. Their times are those of the file, plus streamShift.
func (p *plan) transcodeArgs(input []string, outputs []output, threads int) []string {
	args := quiet()
	if threads > 0 {
		args = append(args, "-threads", strconv.Itoa(threads))
	}
	args = append(args, p.steady()...)
	args = append(args, input...)
	for i := range outputs {
		o := &outputs[i]
		if o.video {
			args = append(args, "-map", fmt.Sprintf("0:%d", p.src.video.index), "-vf", p.chain(o.width, o.height, true),
				"-c:v", "libx264", "-preset", preset, "-profile:v", "high", "-crf", crf,
				"-maxrate", strconv.Itoa(o.bitrate), "-bufsize", strconv.Itoa(o.bitrate*3/2),
				"-force_key_frames", "expr:gte(t,n_forced*"+strconv.FormatFloat(p.gop, 'f', -1, 64)+")", "-forced-idr", "1",
				"-sc_threshold", "0", "-g", "1000000", "-flags:v", "+cgop", "-fps_mode", "passthrough")
			if p.rate < slowRate {
				args = append(args, "-bf", "0")
			}
			if threads > 0 {
				args = append(args, "-threads:v", strconv.Itoa(threads))
			}
		}
		args = p.soundArgs(args, o)
		args = p.outputArgs(args, i)
	}
	return args
}

// steady has pictures that change their size or form go through the filters that there are, which scale them all to one: filters that are made
// anew count pictures from 0 again. Those that make interlaced pictures progressive cannot do that.
func (p *plan) steady() []string {
	if p.src.video == nil || p.src.video.interlaced {
		return nil
	}
	return []string{"-reinit_filter:v", "0"}
}

// copyArgs are the command line by which the pictures are put into a transport stream as they are.
func (p *plan) copyArgs(input []string, outputs []output) []string {
	args := append(quiet(), input...)
	for i := range outputs {
		o := &outputs[i]
		if o.video {
			args = append(args, "-map", fmt.Sprintf("0:%d", p.src.video.index), "-c:v", "copy")
		}
		args = p.soundArgs(args, o)
		args = p.outputArgs(args, i)
	}
	return args
}

// soundArgs are those of an output's sound: AAC that need not be mixed down stays in a remux as it is.
func (p *plan) soundArgs(args []string, o *output) []string {
	if o.audio < 0 {
		return append(args, "-an")
	}
	a := &p.audio[o.audio]
	args = append(args, "-map", fmt.Sprintf("0:%d", a.index))
	if p.copies(a) {
		return append(args, "-c:a", "copy")
	}
	rate := "48000"
	if a.rate == 44100 {
		rate = "44100"
	}
	args = append(args, "-c:a", "aac", "-b:a", strconv.Itoa(o.sound), "-ar", rate, "-af", "aresample=async=1000:first_pts=0")
	if a.channels > 2 {
		args = append(args, "-ac", "2")
	}
	return args
}

// copies reports whether a sound track goes out as it is.
func (p *plan) copies(a *audioTrack) bool { return p.keep && a.codec == "aac" && a.channels <= 6 }

// outputArgs are those of what an output is written to. However time stamps jump, no more comes out than the file says that it lasts.
func (p *plan) outputArgs(args []string, i int) []string {
	most := float64(maxLength)
	if p.src.seconds > 0 {
		most = p.src.seconds*1.02 + 10
	}
	return append(args, "-t", strconv.FormatFloat(most, 'f', 3, 64), "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-max_muxing_queue_size", "4096",
		"-output_ts_offset", strconv.Itoa(streamShift/codec.Clock), "-avoid_negative_ts", "disabled", "-muxdelay", "0", "-muxpreload", "0",
		"-f", "mpegts", fmt.Sprintf("pipe:%d", ffmpeg.FirstPipe+i))
}

// chain is the filters that make pictures of a size.
func (p *plan) chain(width, height int, timed bool) string {
	var all []string
	for _, f := range p.filters {
		if timed || !strings.HasPrefix(f, "fps=") {
			all = append(all, f)
		}
	}
	if p.hdr() && p.tonemap {
		all = append(all, fmt.Sprintf("zscale=w=%d:h=%d:t=linear:npl=100", width, height), "format=gbrpf32le", "zscale=p=bt709",
			"tonemap=tonemap=hable:desat=0", "zscale=t=bt709:m=bt709:r=tv", "format=yuv420p", "setsar=1")
	} else {
		all = append(all, fmt.Sprintf("scale=%d:%d:flags=bicubic", width, height), "setsar=1", "format=yuv420p")
	}
	return strings.Join(all, ",")
}
