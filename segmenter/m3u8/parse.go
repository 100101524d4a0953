package m3u8

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Limits for parsing: a playlist beyond them is refused.
const (
	MaxBytes    = 64 << 20
	MaxSegments = 1 << 20
	MaxVariants = 1 << 10 // and as many renditions

	maxLine     = 32 << 10 // bytes
	maxSize     = 1 << 40  // of a segment, bytes
	maxDuration = 24 * 3600
)

// ParseMedia parses a media playlist. Unknown tags are skipped, as RFC 8216 6.3.1 requires. A known tag it cannot read, a multivariant
// playlist, or one that is not UTF-8 text with #EXTM3U first is an error that names the line.
func ParseMedia(b []byte) (*Media, error) {
	m := &Media{}
	var s Segment
	hasInf := false
	err := eachLine(b, func(line string) error {
		if line[0] != '#' {
			if !hasInf {
				return fmt.Errorf("URI %.64q without EXTINF", line)
			}
			if len(m.Segments) == MaxSegments {
				return fmt.Errorf("more than %d segments", MaxSegments)
			}
			s.URI = line
			m.Segments = append(m.Segments, s)
			s, hasInf = Segment{}, false
			return nil
		}
		if rest, ok := strings.CutPrefix(line, sumPrefix); ok {
			return parseSum(&s, rest)
		}
		if rest, ok := strings.CutPrefix(line, clipPrefix); ok {
			m.Clip = rest
			return nil
		}
		tag, value, _ := strings.Cut(line, ":")
		var err error
		switch tag {
		case "#EXTINF":
			hasInf = true
			s.Duration, err = parseSeconds(value)
		case "#EXT-X-TARGETDURATION":
			if m.TargetDuration, err = strconv.Atoi(value); err == nil && (m.TargetDuration < 0 || m.TargetDuration > maxDuration) {
				err = fmt.Errorf("%d is out of range", m.TargetDuration)
			}
		case "#EXT-X-MEDIA-SEQUENCE":
			m.MediaSequence, err = strconv.ParseUint(value, 10, 63)
		case "#EXT-X-DISCONTINUITY-SEQUENCE":
			m.DiscontinuitySequence, err = strconv.ParseUint(value, 10, 63)
		case "#EXT-X-PROGRAM-DATE-TIME":
			s.ProgramDateTime, err = parseTime(value)
		case "#EXT-X-MAP":
			var a map[string]string
			if a, err = parseAttributes(value); err == nil {
				if s.Map = a["URI"]; s.Map == "" {
					err = fmt.Errorf("no URI")
				} else if r, ok := a["BYTERANGE"]; ok {
					s.MapRange, err = parseRange(r)
				}
			}
		case "#EXT-X-BYTERANGE":
			s.Range, err = parseRange(value)
		case "#EXT-X-I-FRAMES-ONLY":
			m.IFramesOnly = true
		case "#EXT-X-PLAYLIST-TYPE":
			switch value {
			case "EVENT":
				m.Type = Event
			case "VOD":
				m.Type = VOD
			default:
				err = fmt.Errorf("unknown type %.64q", value)
			}
		case "#EXT-X-DATERANGE":
			if _, e := ParseDateRange(line); e == nil && len(s.Ranges)+len(line) < maxRanges {
				s.Ranges += line + "\n"
			}
		case "#EXT-X-DISCONTINUITY":
			s.Discontinuity = true
		case "#EXT-X-GAP":
			s.Gap = true
		case "#EXT-X-INDEPENDENT-SEGMENTS":
			m.IndependentSegments = true
		case "#EXT-X-ENDLIST":
			m.EndList = true
		case "#EXT-X-STREAM-INF", "#EXT-X-MEDIA":
			err = fmt.Errorf("a multivariant playlist")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", tag, brief(err))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if hasInf {
		return nil, fmt.Errorf("m3u8: the last EXTINF has no URI")
	}
	return m, nil
}

// ParseMaster parses a multivariant playlist, by the same rules.
func ParseMaster(b []byte) (*Master, error) {
	m := &Master{}
	var pending *Variant
	err := eachLine(b, func(line string) error {
		if line[0] != '#' {
			if pending == nil {
				return fmt.Errorf("URI %.64q without EXT-X-STREAM-INF", line)
			}
			if len(m.Variants) == MaxVariants {
				return fmt.Errorf("more than %d variants", MaxVariants)
			}
			pending.URI = line
			m.Variants = append(m.Variants, *pending)
			pending = nil
			return nil
		}
		if rest, ok := strings.CutPrefix(line, clipPrefix); ok {
			m.Clip = rest
			return nil
		}
		tag, value, _ := strings.Cut(line, ":")
		switch tag {
		case "#EXT-X-STREAM-INF":
			a, err := parseAttributes(value)
			if err != nil {
				return err
			}
			pending, err = variantOf(a)
			return err
		case "#EXT-X-SESSION-DATA":
			a, err := parseAttributes(value)
			if err != nil {
				return err
			}
			if len(m.SessionData) == MaxVariants {
				return fmt.Errorf("more than %d session data", MaxVariants)
			}
			if a["DATA-ID"] != "" && a["VALUE"] != "" { // we name no files with data
				m.SessionData = append(m.SessionData, SessionData{ID: a["DATA-ID"], Value: a["VALUE"], Language: a["LANGUAGE"]})
			}
		case "#EXT-X-I-FRAME-STREAM-INF":
			a, err := parseAttributes(value)
			if err != nil {
				return err
			}
			if len(m.IFrames) == MaxVariants {
				return fmt.Errorf("more than %d I-frame playlists", MaxVariants)
			}
			v, err := variantOf(a)
			if err != nil {
				return err
			}
			if v.URI = a["URI"]; v.URI == "" {
				return fmt.Errorf("%s: no URI", tag)
			}
			v.FrameRate, v.Audio, v.ClosedCaptions = 0, "", ""
			m.IFrames = append(m.IFrames, *v)
		case "#EXT-X-MEDIA":
			a, err := parseAttributes(value)
			if err != nil {
				return err
			}
			if len(m.Renditions)+len(m.Captions) == MaxVariants {
				return fmt.Errorf("more than %d renditions", MaxVariants)
			}
			switch a["TYPE"] {
			case "CLOSED-CAPTIONS":
				m.Captions = append(m.Captions, Caption{
					GroupID: a["GROUP-ID"], Name: a["NAME"], Language: a["LANGUAGE"], InstreamID: a["INSTREAM-ID"],
					Default: a["DEFAULT"] == "YES", AutoSelect: a["AUTOSELECT"] == "YES",
				})
			case "AUDIO":
				m.Renditions = append(m.Renditions, Rendition{
					GroupID: a["GROUP-ID"], Name: a["NAME"], Language: a["LANGUAGE"], URI: a["URI"],
					Default: a["DEFAULT"] == "YES", AutoSelect: a["AUTOSELECT"] == "YES",
				})
			}
		case "#EXT-X-INDEPENDENT-SEGMENTS":
			m.IndependentSegments = true
		case "#EXTINF", "#EXT-X-TARGETDURATION":
			return fmt.Errorf("%s: a media playlist", tag)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if pending != nil {
		return nil, fmt.Errorf("m3u8: the last EXT-X-STREAM-INF has no URI")
	}
	return m, nil
}

func variantOf(a map[string]string) (*Variant, error) {
	v := &Variant{Codecs: a["CODECS"], Audio: a["AUDIO"], ClosedCaptions: a["CLOSED-CAPTIONS"]}
	if r := a["VIDEO-RANGE"]; r == "PQ" || r == "HLG" {
		v.VideoRange = r
	}
	var err error
	if v.Bandwidth, err = strconv.Atoi(a["BANDWIDTH"]); err != nil {
		return nil, fmt.Errorf("BANDWIDTH: %w", brief(err))
	}
	if s, ok := a["AVERAGE-BANDWIDTH"]; ok {
		if v.AverageBandwidth, err = strconv.Atoi(s); err != nil {
			return nil, fmt.Errorf("AVERAGE-BANDWIDTH: %w", brief(err))
		}
	}
	if s, ok := a["FRAME-RATE"]; ok {
		if v.FrameRate, err = strconv.ParseFloat(s, 64); err != nil {
			return nil, fmt.Errorf("FRAME-RATE: %w", brief(err))
		}
	}
	if s, ok := a["RESOLUTION"]; ok {
		w, h, _ := strings.Cut(s, "x")
		var errW, errH error
		v.Width, errW = strconv.Atoi(w)
		v.Height, errH = strconv.Atoi(h)
		if errW != nil || errH != nil {
			return nil, fmt.Errorf("RESOLUTION %.64q", s)
		}
	}
	return v, nil
}

// eachLine calls fn for every non-empty line after the first, which must be #EXTM3U.
func eachLine(b []byte, fn func(line string) error) error {
	if len(b) > MaxBytes {
		return fmt.Errorf("m3u8: %d bytes are more than %d", len(b), MaxBytes)
	}
	for n := 1; n == 1 || len(b) > 0; n++ {
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		b = rest
		line = bytes.TrimRight(line, " \t\r")
		if n == 1 {
			if string(line) != "#EXTM3U" {
				return fmt.Errorf("m3u8: line 1: not a playlist: it does not begin with #EXTM3U")
			}
			continue
		}
		if len(line) == 0 {
			continue
		}
		if len(line) > maxLine {
			return fmt.Errorf("m3u8: line %d: longer than %d bytes", n, maxLine)
		}
		if err := fn(string(line)); err != nil {
			return fmt.Errorf("m3u8: line %d: %w", n, err)
		}
	}
	return nil
}

// brief returns an error of strconv that does not repeat a long number.
func brief(err error) error {
	var n *strconv.NumError
	if errors.As(err, &n) {
		return fmt.Errorf("%.64q: %w", n.Num, n.Err)
	}
	return err
}

// parseTime parses an instant of ISO 8601. FFmpeg writes the zone without a colon, others leave it out, which stands for UTC.
func parseTime(value string) (t time.Time, err error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999"} {
		if t, err = time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return t, fmt.Errorf("%.64q is no time", value)
}

// parseSeconds parses an EXTINF value, "3.998,title".
func parseSeconds(value string) (int64, error) {
	value, _, _ = strings.Cut(value, ",")
	f, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return 0, err
	}
	if !(f >= 0 && f < 1e6) {
		return 0, fmt.Errorf("duration %.64q is out of range", value)
	}
	return int64(math.Round(f * clock)), nil
}

// parseRange parses "length@offset". One that goes on where another ends, without an offset, is refused: we write none.
func parseRange(s string) (r Range, err error) {
	length, offset, ok := strings.Cut(s, "@")
	var errOffset error
	r.Length, err = strconv.ParseInt(length, 10, 63)
	r.Offset, errOffset = strconv.ParseInt(offset, 10, 63)
	if !ok || err != nil || errOffset != nil || r.Length <= 0 || r.Offset < 0 || r.Length > maxSize || r.Offset > maxSize {
		return Range{}, fmt.Errorf("range %.64q", s)
	}
	return r, nil
}

// parseSum parses the rest of a size and checksum comment.
func parseSum(s *Segment, rest string) error {
	size, crc, ok := strings.Cut(rest, " ")
	n, err := strconv.ParseInt(size, 10, 63)
	sum, errSum := strconv.ParseUint(crc, 16, 32)
	if !ok || err != nil || errSum != nil || n <= 0 || n > maxSize {
		return fmt.Errorf("size and checksum %.64q", rest)
	}
	s.Size, s.CRC32C = n, uint32(sum)
	return nil
}

// parseAttributes parses an attribute list (RFC 8216 4.2).
func parseAttributes(s string) (map[string]string, error) {
	a := map[string]string{}
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("attribute %.64q has no value", s)
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			if value, rest, ok = strings.Cut(rest[1:], `"`); !ok {
				return nil, fmt.Errorf("attribute %.64q: quote is not closed", name)
			}
			if rest != "" && rest[0] != ',' {
				return nil, fmt.Errorf("attribute %.64q: text behind its closing quote", name)
			}
			rest = strings.TrimPrefix(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		if _, twice := a[name]; twice {
			return nil, fmt.Errorf("attribute %.64q stands twice", name)
		}
		a[name], s = value, rest
	}
	return a, nil
}
