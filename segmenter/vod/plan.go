package vod

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	// maxAudio is how many sound tracks become renditions.
	maxAudio = 8
	// maxRate is the most pictures a second of a rung.
	maxRate = 60
	// maxRungs bounds a ladder.
	maxRungs = 12
	// audioRate is the bit rate of the sound where the ladder does not say it, bits per second.
	audioRate = 128_000
	niceness  = 10
	// maxLength and maxPixels are the longest file, in seconds, and the largest picture that are believed: more is made up, or an attack.
	maxLength = 48 * 3600
	maxPixels = 8192 * 8192
)

// DefaultLadder is what is made of a file where nothing is asked for: those of these rungs that the source has lines for. The bit rates are
// the most that a rung takes: simple pictures take less.
func DefaultLadder() []Rung {
	return []Rung{
		{"1080p", 1920, 1080, 5_000_000, audioRate},
		{"720p", 1280, 720, 2_800_000, audioRate},
		{"480p", 854, 480, 1_400_000, audioRate},
		{"360p", 640, 360, 800_000, audioRate},
	}
}

// Check returns a *Refusal where options can be met for no file.
func (o Options) Check() error { return o.check() }

// check says what of the options cannot be met, and fills in the others.
func (o *Options) check() error {
	if o.SegmentDuration == 0 {
		o.SegmentDuration = 6 * time.Second
	}
	if o.SegmentDuration < time.Second || o.SegmentDuration > time.Minute {
		return refuse(CodeBadRequest, "a segment duration of %s: it is to be from 1s to 1m", o.SegmentDuration)
	}
	if len(o.Ladder) == 0 {
		o.Ladder = DefaultLadder()
	}
	if len(o.Ladder) > maxRungs {
		return refuse(CodeBadRequest, "a ladder of %d rungs: %d are the most", len(o.Ladder), maxRungs)
	}
	names := map[string]bool{}
	for _, r := range o.Ladder {
		switch {
		case !goodName(r.Name) || names[r.Name]:
			return refuse(CodeBadRequest, "a rung named %.40q: each name is to be one of its own, of letters and digits, and then also - _ and ., and not %q", r.Name, soundName)
		case r.Width < 0 || r.Height < 0 || r.Width > 8192 || r.Height > 8192 || r.Width == 0 && r.Height == 0:
			return refuse(CodeBadRequest, "the rung %s of %d×%d: width and height are to be up to 8192 pixels, and one of them more than 0", r.Name, r.Width, r.Height)
		case r.VideoBitrate != 0 && (r.VideoBitrate < 10_000 || r.VideoBitrate > 200_000_000):
			return refuse(CodeBadRequest, "the rung %s with %d bits per second: 10000 to 200000000 are possible", r.Name, r.VideoBitrate)
		case r.AudioBitrate != 0 && (r.AudioBitrate < 8_000 || r.AudioBitrate > 512_000):
			return refuse(CodeBadRequest, "the rung %s with %d bits per second of sound: 8000 to 512000 are possible", r.Name, r.AudioBitrate)
		}
		names[r.Name] = true
	}
	return nil
}

func goodName(s string) bool {
	if s == "" || len(s) > 128 || strings.ContainsRune("-_.", rune(s[0])) || s == recordings || s == soundName || strings.HasPrefix(s, soundName+"-") || Own(s) {
		return false
	}
	for _, c := range s {
		if c != '-' && c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// output is one rendition that is to be made.
type output struct {
	name          string
	video         bool
	audio         int // place in plan.audio; -1: none
	width, height int
	bitrate       int
	sound         int // bits per second
}

// plan is what is made of a file.
type plan struct {
	src     *source
	outputs []output
	apart   bool // the sound is in renditions of its own, and not with the pictures
	audio   []audioTrack
	fps     string  // of all rungs, as a ratio
	rate    float64 // the same
	gop     float64 // seconds between keyframes
	keep    bool    // pictures stay as they are: a remux
	tonemap bool    // ffmpeg can make SDR of HDR
	filters []string
	notes   []string
}

func (p *plan) note(format string, a ...any) { p.notes = append(p.notes, fmt.Sprintf(format, a...)) }

// newPlan decides what becomes of a file. tonemap says that ffmpeg has what it needs to make SDR of HDR.
func newPlan(s *source, o *Options, kind Kind, tonemap bool) (*plan, error) {
	p := &plan{src: s, audio: s.audio, tonemap: tonemap}
	if s.video == nil && len(s.audio) == 0 {
		return nil, refuse(CodeNoTracks, "the file has neither pictures nor sound that can be decoded")
	}
	if s.seconds > maxLength {
		return nil, refuse(CodeDamaged, "the file says that it lasts %.0f hours, and %d are the most: it is damaged, or is to be cut into parts", s.seconds/3600, maxLength/3600)
	}
	if v := s.video; v != nil && v.width*v.height > maxPixels {
		return nil, refuse(CodeCodec, "a picture of %d×%d: up to %d pixels are possible", v.width, v.height, maxPixels)
	}
	if len(p.audio) > maxAudio {
		p.note("the file has %d sound tracks: the first %d of them, with the default one, are in the package", len(p.audio), maxAudio)
		p.audio = p.audio[:maxAudio]
	}
	for _, x := range s.others {
		p.note("left out: %s", x)
	}
	p.apart = len(p.audio) > 1
	if s.video != nil && kind == AdaptiveVideo {
		p.pictures(o, tonemap)
		for _, r := range p.fit(o.Ladder) {
			out := output{name: r.Name, video: true, audio: -1, width: r.Width, height: r.Height, bitrate: r.VideoBitrate, sound: r.AudioBitrate}
			if len(p.audio) > 0 && !p.apart {
				out.audio = 0
			}
			p.outputs = append(p.outputs, out)
		}
	}
	if s.video != nil && kind == Remux {
		out := output{name: strconv.Itoa(min(s.video.width, s.video.height)) + "p", video: true, audio: -1}
		if len(p.audio) > 0 && !p.apart {
			out.audio = 0
		}
		p.outputs = append(p.outputs, out)
	}
	p.sounds(o)
	return p, nil
}

// sounds adds the renditions of sound alone.
func (p *plan) sounds(o *Options) {
	rate := audioRate
	if len(o.Ladder) > 0 && o.Ladder[0].AudioBitrate > 0 {
		rate = o.Ladder[0].AudioBitrate
	}
	for i, a := range p.audio {
		name := soundName
		if i > 0 {
			name += "-" + strconv.Itoa(i+1)
		}
		p.outputs = append(p.outputs, output{name: name, audio: i, sound: rate})
		if a.channels > 2 {
			p.note("the sound has %d channels, and is mixed down to two", a.channels)
		}
	}
}

// pictures decides how the pictures are made before they are scaled.
func (p *plan) pictures(o *Options, tonemap bool) {
	v := p.src.video
	if v.rotation != 0 {
		p.note("the picture is stored turned, and is turned upright by %d°", v.rotation)
	}
	if v.stretched {
		p.note("the pixels are not square: the picture is stretched to %d×%d", v.width, v.height)
	}
	if v.odd {
		p.note("width or height is odd, which H.264 cannot have: a line of pixels is lost")
	}
	if v.interlaced {
		p.filters = append(p.filters, "bwdif=mode=send_frame:deint=interlaced")
		p.note("the pictures are interlaced, and are made progressive")
	}
	p.fps, p.rate = v.rational, v.rate
	variable := v.average > 0 && math.Abs(v.rate-v.average) > 0.01*v.average
	if v.rate <= 0 || v.rate > 1000 || variable {
		p.fps, p.rate = standardRate(v.average)
	}
	if p.rate > maxRate*1.01 {
		p.note("%.4g pictures a second: made %d", p.rate, maxRate)
		p.fps, p.rate = strconv.Itoa(maxRate), maxRate
	} else if variable {
		p.note("the frame rate varies, about %.4g pictures a second: made constant, %.5g", v.average, p.rate)
	}
	p.filters = append(p.filters, "fps=fps="+p.fps+":start_time=0")
	parts := math.Ceil(o.SegmentDuration.Seconds() / 2)
	p.gop = o.SegmentDuration.Seconds() / parts
	switch v.transfer {
	case "smpte2084", "arib-std-b67":
		name := map[string]string{"smpte2084": "HDR (PQ)", "arib-std-b67": "HDR (HLG)"}[v.transfer]
		if !tonemap {
			p.note("the pictures are %s, and this ffmpeg lacks zscale or tonemap: they are made SDR without tone mapping, and look pale", name)
			return
		}
		p.note("the pictures are %s with %d bits: tone-mapped to SDR", name, v.depth)
	default:
		if v.depth > 8 {
			p.note("the pictures have %d bits: made 8", v.depth)
		}
	}
}

// hdr reports whether the pictures are to be tone-mapped.
func (p *plan) hdr() bool {
	return p.src.video != nil && (p.src.video.transfer == "smpte2084" || p.src.video.transfer == "arib-std-b67")
}

// standardRate is the usual frame rate nearest to one, from above where that is near, as ffmpeg takes it.
func standardRate(average float64) (string, float64) {
	if average <= 0 {
		return "25", 25
	}
	for _, r := range []struct {
		s string
		v float64
	}{{"1", 1}, {"5", 5}, {"10", 10}, {"12", 12}, {"15", 15}, {"24000/1001", 24000.0 / 1001}, {"24", 24}, {"25", 25}, {"30000/1001", 30000.0 / 1001}, {"30", 30}, {"50", 50}, {"60000/1001", 60000.0 / 1001}, {"60", 60}} {
		if average <= r.v*1.001 {
			return r.s, r.v
		}
	}
	return strconv.Itoa(maxRate), maxRate
}

// fit are the rungs that the source has lines for, with their true sizes. Where it has a good deal more than the highest of them, or fewer
// than the lowest, there is one of its own size.
func (p *plan) fit(ladder []Rung) (rungs []Rung) {
	v := p.src.video
	best := 0.0
	lowest := ladder[0]
	for _, r := range ladder {
		scale := boxScale(r, v)
		if scale < boxScale(lowest, v) {
			lowest = r
		}
		if scale > 1.0001 {
			continue
		}
		best = max(best, scale)
		rungs = append(rungs, sized(r, v, scale))
	}
	if above := nextAbove(ladder, v); best < 0.8 && (above != nil || len(rungs) == 0) {
		r := lowest
		if above != nil {
			r = *above
		}
		scale := boxScale(r, v)
		own := sized(Rung{Name: strconv.Itoa(min(v.width, v.height)) + "p", AudioBitrate: r.AudioBitrate}, v, 1)
		own.VideoBitrate = max(int(float64(bitrate(r))/(scale*scale)), 60_000)
		for _, x := range rungs {
			if x.Name == own.Name {
				return rungs
			}
		}
		rungs = append([]Rung{own}, rungs...)
		p.note("the source of %d×%d is between the rungs: one of its own size is made, %s", v.width, v.height, own.Name)
	}
	return rungs
}

// nextAbove is the smallest rung that is larger than the source; nil: there is none.
func nextAbove(ladder []Rung, v *videoTrack) (above *Rung) {
	for i := range ladder {
		if s := boxScale(ladder[i], v); s > 1.0001 && (above == nil || s < boxScale(*above, v)) {
			above = &ladder[i]
		}
	}
	return above
}

// boxScale is by how much a picture is scaled to fit a rung's box, which lies as the picture does.
func boxScale(r Rung, v *videoTrack) float64 {
	w, h := float64(r.Width), float64(r.Height)
	if v.height > v.width {
		w, h = h, w
	}
	scale := math.Inf(1)
	if w > 0 {
		scale = min(scale, w/float64(v.width))
	}
	if h > 0 {
		scale = min(scale, h/float64(v.height))
	}
	return scale
}

func sized(r Rung, v *videoTrack, scale float64) Rung {
	even := func(n float64) int { return max(int(math.Round(n/2))*2, 2) }
	down := func(n, most int) int {
		for n > most && n > 2 {
			n -= 2
		}
		return n
	}
	r.VideoBitrate = bitrate(r)
	if r.AudioBitrate == 0 {
		r.AudioBitrate = audioRate
	}
	r.Width = down(even(float64(v.width)*scale), v.width)
	r.Height = down(even(float64(v.height)*scale), v.height)
	return r
}

// bitrate is that of a rung's pictures: by its height where it does not say it, about a tenth of a bit a pixel at 25 pictures a second.
func bitrate(r Rung) int {
	if r.VideoBitrate > 0 {
		return r.VideoBitrate
	}
	h := float64(r.Height)
	if h == 0 {
		h = float64(r.Width) * 9 / 16
	}
	return max(int(h*h*16/9*2.5)/1000*1000, 100_000)
}
