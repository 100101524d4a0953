package origin

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// filter selects variants of a multivariant playlist: "video_bitrate:0-2500000;video_codec:h264". A variant stays if it passes every
// clause. Clauses about video do not apply to a variant without video; the same holds for audio.
//
//	video_bitrate:LO-HI     bits per second of the video alone
//	video_height:LO-HI      lines
//	video_framerate:LO-HI   pictures per second; decimals are allowed
//	video_codec:LIST        h264, h265
//	audio_codec:LIST        aacl, aach, mp3
type filter []clause

type clause struct {
	name   string
	lo, hi float64
	list   []string
}

// maxFilter is the longest filter in characters.
const maxFilter = 1024

// filterable lists what a clause can ask about.
var filterable = [...]struct {
	name string
	max  float64
	list string // comma-separated values; "" for a range
}{
	{"video_bitrate", 1<<31 - 1, ""},
	{"video_height", 1<<15 - 1, ""},
	{"video_framerate", 1000, ""},
	{"video_codec", 0, ",h264,h265,"},
	{"audio_codec", 0, ",aacl,aach,mp3,"},
}

// parseFilter parses a filter in lower case.
func parseFilter(s string) (filter, error) {
	if len(s) > maxFilter {
		return nil, fmt.Errorf("longer than %d characters", maxFilter)
	}
	var f filter
	for _, part := range strings.Split(s, ";") {
		name, value, ok := strings.Cut(part, ":")
		if !ok || value == "" || strings.Contains(value, ":") {
			return nil, fmt.Errorf("%.60q is not of the form name:value", part)
		}
		c := clause{name: name}
		for _, old := range f {
			if old.name == name {
				return nil, fmt.Errorf("%s is given more than once", name)
			}
		}
		known := false
		for _, k := range filterable {
			if k.name != name {
				continue
			}
			known = true
			if k.list == "" {
				var err error
				if c.lo, c.hi, err = parseBounds(value, k.max); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				break
			}
			for _, item := range strings.Split(value, ",") {
				if item == "" || !strings.Contains(k.list, ","+item+",") {
					return nil, fmt.Errorf("%s: unknown value %.40q, known are%s", name, item, strings.ReplaceAll(strings.TrimSuffix(k.list, ","), ",", " "))
				}
				c.list = append(c.list, item)
			}
		}
		if !known {
			return nil, fmt.Errorf("unknown parameter %.40q", name)
		}
		f = append(f, c)
	}
	return f, nil
}

func parseBounds(s string, limit float64) (lo, hi float64, err error) {
	a, b, ok := strings.Cut(s, "-")
	lo, errLo := parseDecimal(a)
	hi, errHi := parseDecimal(b)
	switch {
	case !ok || errLo != nil || errHi != nil:
		return 0, 0, fmt.Errorf("%.40q is not a range like 0-2500000", s)
	case lo > hi:
		return 0, 0, fmt.Errorf("the range %s is reversed", s)
	case hi > limit:
		return 0, 0, fmt.Errorf("%s is more than %.0f", b, limit)
	}
	return lo, hi, nil
}

// parseDecimal reads digits with at most one point, and none of the other spellings of a float.
func parseDecimal(s string) (float64, error) {
	if strings.Trim(s, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

// passes reports whether a variant stays. videoBitrate is 0 if it is not known separately from the audio's.
func (f filter) passes(v *m3u8.Variant, videoBitrate int) bool {
	video, audio := codecsOf(v.Codecs)
	hasVideo := video != "" || v.Width > 0
	rate := videoBitrate
	if rate == 0 {
		rate = v.AverageBandwidth
	}
	if rate == 0 {
		rate = v.Bandwidth
	}
	for _, c := range f {
		ok := true
		switch c.name {
		case "video_bitrate":
			ok = !hasVideo || c.within(float64(rate))
		case "video_height":
			ok = !hasVideo || c.within(float64(v.Height))
		case "video_framerate":
			ok = !hasVideo || c.within(v.FrameRate)
		case "video_codec":
			ok = !hasVideo || c.has(video)
		case "audio_codec":
			ok = audio == "" || c.has(audio)
		}
		if !ok {
			return false
		}
	}
	return true
}

func (c *clause) within(x float64) bool { return c.lo <= x && x <= c.hi }

func (c *clause) has(s string) bool {
	for _, item := range c.list {
		if item == s {
			return true
		}
	}
	return false
}

// codecsOf returns the codecs of a CODECS attribute (RFC 6381) in the filter's terms; "" for none.
func codecsOf(codecs string) (video, audio string) {
	for _, c := range strings.Split(codecs, ",") {
		switch c = strings.TrimSpace(c); {
		case strings.HasPrefix(c, "avc1.") || strings.HasPrefix(c, "avc3."):
			video = "h264"
		case strings.HasPrefix(c, "hvc1.") || strings.HasPrefix(c, "hev1."):
			video = "h265"
		case c == "mp4a.40.2":
			audio = "aacl"
		case c == "mp4a.40.5" || c == "mp4a.40.29":
			audio = "aach"
		case c == "mp4a.40.34" || c == "mp4a.6B" || c == "mp4a.69":
			audio = "mp3"
		}
	}
	return video, audio
}
