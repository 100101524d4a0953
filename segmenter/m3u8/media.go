package m3u8

import (
	"strconv"
	"time"
)

// clock is the unit of Segment.Duration.
const clock = 90000

// Version is the EXT-X-VERSION that the playlist needs, and no higher (RFC 8216 7, rfc8216bis 8): EXT-X-SKIP needs 9, EXT-X-GAP 8,
// EXT-X-INDEPENDENT-SEGMENTS and EXT-X-MAP 6, EXT-X-MAP of I-frames 5, EXT-X-BYTERANGE and EXT-X-I-FRAMES-ONLY 4, decimal EXTINF 3. The tags of low latency need none of their own.
func (m *Media) Version() int {
	if m.Skipped > 0 {
		return 9
	}
	v, withMap := 3, 6
	if m.IFramesOnly {
		v, withMap = 4, 5
	}
	if m.IndependentSegments {
		v = 6
	}
	for i := range m.Segments {
		if m.Segments[i].Gap {
			return 8
		}
		if m.Segments[i].Map != "" {
			v = max(v, withMap)
		}
		if m.Segments[i].Range.Length > 0 {
			v = max(v, 4)
		}
	}
	return v
}

// Append appends the rendered playlist to b.
func (m *Media) Append(b []byte) []byte {
	b = m.AppendHeader(b, m.Version())
	if m.Skipped > 0 {
		b = appendSkip(b, m.Skipped)
	}
	for i := range m.Segments {
		b = m.Segments[i].append(b, m.parts(i))
	}
	if m.EndList {
		return append(b, EndList...)
	}
	return m.appendEdge(b)
}

// EndList is the line that ends a playlist.
const EndList = "#EXT-X-ENDLIST\n"

// AppendHeader appends what precedes the first segment. Together with Segment.Append it allows a long playlist to be rendered piece by
// piece; the caller must then pass a version that is high enough for all segments.
func (m *Media) AppendHeader(b []byte, version int) []byte {
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"...)
	b = strconv.AppendInt(b, int64(version), 10)
	if m.IndependentSegments {
		b = append(b, "\n#EXT-X-INDEPENDENT-SEGMENTS"...)
	}
	b = append(b, "\n#EXT-X-TARGETDURATION:"...)
	b = strconv.AppendInt(b, int64(m.TargetDuration), 10)
	b = m.LowLatency.append(b)
	b = append(b, "\n#EXT-X-MEDIA-SEQUENCE:"...)
	b = strconv.AppendUint(b, m.MediaSequence, 10)
	b = append(b, "\n#EXT-X-DISCONTINUITY-SEQUENCE:"...)
	b = strconv.AppendUint(b, m.DiscontinuitySequence, 10)
	switch m.Type {
	case Event:
		b = append(b, "\n#EXT-X-PLAYLIST-TYPE:EVENT"...)
	case VOD:
		b = append(b, "\n#EXT-X-PLAYLIST-TYPE:VOD"...)
	}
	if m.IFramesOnly {
		b = append(b, "\n#EXT-X-I-FRAMES-ONLY"...)
	}
	return append(appendClip(append(b, '\n'), m.Clip), m.Running...)
}

// parts are those of the i-th segment.
func (m *Media) parts(i int) []Part {
	if i -= len(m.Segments) - len(m.Parts); i >= 0 {
		return m.Parts[i]
	}
	return nil
}

// Append appends one segment with its tags to b.
func (s *Segment) Append(b []byte) []byte { return s.append(b, nil) }

func (s *Segment) append(b []byte, parts []Part) []byte {
	b = s.appendTags(b, parts)
	b = append(b, "#EXTINF:"...)
	b = appendSeconds(b, s.Duration)
	b = append(b, ",\n"...)
	if s.Range.Length > 0 {
		b = append(s.Range.append(append(b, "#EXT-X-BYTERANGE:"...)), '\n')
	}
	if s.Size > 0 {
		b = append(b, sumPrefix...)
		b = strconv.AppendInt(b, s.Size, 10)
		b = append(b, ' ')
		b = appendHex32(b, s.CRC32C)
		b = append(b, '\n')
	}
	b = append(b, s.URI...)
	return append(b, '\n')
}

// appendTags renders what stands before EXTINF: all there is of a segment that is not complete.
func (s *Segment) appendTags(b []byte, parts []Part) []byte {
	b = append(b, s.Ranges...)
	if s.Discontinuity {
		b = append(b, "#EXT-X-DISCONTINUITY\n"...)
	}
	if s.Map != "" {
		b = appendQuoted(append(b, "#EXT-X-MAP:"...), "URI=", s.Map)
		if s.MapRange.Length > 0 {
			b = append(s.MapRange.append(append(b, ",BYTERANGE=\""...)), '"')
		}
		b = append(b, '\n')
	}
	if !s.ProgramDateTime.IsZero() {
		b = append(b, "#EXT-X-PROGRAM-DATE-TIME:"...)
		b = appendTime(b, s.ProgramDateTime)
		b = append(b, '\n')
	}
	if s.Gap {
		b = append(b, "#EXT-X-GAP\n"...)
	}
	for i := range parts {
		b = parts[i].append(b)
	}
	return b
}

func (r *Range) append(b []byte) []byte {
	b = append(strconv.AppendInt(b, r.Length, 10), '@')
	return strconv.AppendInt(b, r.Offset, 10)
}

// sumPrefix begins the comment with a segment's size in bytes and its CRC-32C in hex. The blank after the # distinguishes it from tags of
// any kind.
const sumPrefix = "# bytes crc32c: "

// appendSeconds appends ticks as seconds with as many of five decimals as needed, but at least three: 90 kHz ticks are multiples of 11.1
// µs, so five decimals are exact to half a tick.
func appendSeconds(b []byte, ticks int64) []byte {
	if ticks < 0 {
		ticks = 0
	}
	h := (ticks*100000 + clock/2) / clock // units of 10 µs
	b = strconv.AppendInt(b, h/100000, 10)
	f := h % 100000
	b = append(b, '.', byte('0'+f/10000), byte('0'+f/1000%10), byte('0'+f/100%10))
	if f%100 != 0 {
		b = append(b, byte('0'+f/10%10))
		if f%10 != 0 {
			b = append(b, byte('0'+f%10))
		}
	}
	return b
}

// appendTime appends "2023-08-24T16:02:52.970Z".
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendPadded(b, year, 4)
	b = append(b, '-')
	b = appendPadded(b, int(month), 2)
	b = append(b, '-')
	b = appendPadded(b, day, 2)
	b = append(b, 'T')
	b = appendPadded(b, hour, 2)
	b = append(b, ':')
	b = appendPadded(b, minute, 2)
	b = append(b, ':')
	b = appendPadded(b, second, 2)
	b = append(b, '.')
	b = appendPadded(b, t.Nanosecond()/1e6, 3)
	return append(b, 'Z')
}

func appendPadded(b []byte, n, width int) []byte {
	var d [8]byte
	for i := width - 1; i >= 0; i-- {
		d[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, d[:width]...)
}

func appendHex32(b []byte, v uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[v>>shift&15])
	}
	return b
}
