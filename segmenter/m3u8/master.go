package m3u8

import (
	"bytes"
	"strconv"
	"strings"
)

// Version is the EXT-X-VERSION that the playlist needs, and no higher (rfc8216bis 8): captions of CEA-708 need 7,
// EXT-X-INDEPENDENT-SEGMENTS 6.
func (m *Master) Version() int {
	v := 4
	if m.IndependentSegments {
		v = 6
	}
	for i := range m.Captions {
		if strings.HasPrefix(m.Captions[i].InstreamID, "SERVICE") {
			v = 7
		}
	}
	return v
}

// Append appends the rendered multivariant playlist to b.
func (m *Master) Append(b []byte) []byte {
	b = append(b, "#EXTM3U\n#EXT-X-VERSION:"...)
	b = append(strconv.AppendInt(b, int64(m.Version()), 10), '\n')
	if m.IndependentSegments {
		b = append(b, "#EXT-X-INDEPENDENT-SEGMENTS\n"...)
	}
	b = appendClip(b, m.Clip)
	for i := range m.SessionData {
		b = m.SessionData[i].append(b)
	}
	for i := range m.Renditions {
		b = m.Renditions[i].append(b)
	}
	for i := range m.Captions {
		b = m.Captions[i].append(b)
	}
	for i := range m.IFrames { // the last line stays the URI of a variant: scripts rely on it
		b = m.IFrames[i].appendIFrames(b)
	}
	for i := range m.Variants {
		b = m.Variants[i].append(b)
	}
	return b
}

func (d *SessionData) append(b []byte) []byte {
	b = append(b, "#EXT-X-SESSION-DATA"...)
	b = appendQuoted(b, ":DATA-ID=", d.ID)
	b = appendQuoted(b, ",VALUE=", d.Value)
	b = appendQuoted(b, ",LANGUAGE=", d.Language)
	return append(b, '\n')
}

func (r *Rendition) append(b []byte) []byte {
	b = appendMedia(b, "AUDIO", r.GroupID, r.Name, r.Language, r.Default, r.AutoSelect)
	return append(appendQuoted(b, ",URI=", r.URI), '\n')
}

func (c *Caption) append(b []byte) []byte {
	b = appendMedia(b, "CLOSED-CAPTIONS", c.GroupID, c.Name, c.Language, c.Default, c.AutoSelect)
	return append(appendQuoted(b, ",INSTREAM-ID=", c.InstreamID), '\n')
}

// appendMedia appends the attributes that every EXT-X-MEDIA has.
func appendMedia(b []byte, kind, group, name, language string, byDefault, auto bool) []byte {
	b = append(append(b, "#EXT-X-MEDIA:TYPE="...), kind...)
	b = appendQuoted(b, ",GROUP-ID=", group)
	b = appendQuoted(b, ",NAME=", name)
	b = appendQuoted(b, ",LANGUAGE=", language)
	b = appendYes(append(b, ",DEFAULT="...), byDefault)
	return appendYes(append(b, ",AUTOSELECT="...), auto || byDefault)
}

func (v *Variant) append(b []byte) []byte {
	b = v.appendCommon(append(b, "#EXT-X-STREAM-INF"...), v.FrameRate)
	b = appendQuoted(b, ",AUDIO=", v.Audio)
	if v.ClosedCaptions == NoCaptions {
		b = append(b, ",CLOSED-CAPTIONS="+NoCaptions...)
	} else {
		b = appendQuoted(b, ",CLOSED-CAPTIONS=", v.ClosedCaptions)
	}
	b = append(b, '\n')
	b = append(b, v.URI...)
	return append(b, '\n')
}

// iframesTag begins the line of an I-frame playlist.
const iframesTag = "#EXT-X-I-FRAME-STREAM-INF"

func (v *Variant) appendIFrames(b []byte) []byte {
	b = v.appendCommon(append(b, iframesTag...), 0)
	return append(appendQuoted(b, ",URI=", v.URI), '\n')
}

// WithoutIFrames is a multivariant playlist without its I-frame playlists: for where these are not.
func WithoutIFrames(body []byte) []byte {
	if !bytes.Contains(body, []byte("\n"+iframesTag+":")) {
		return body
	}
	var out []byte
	for line := range bytes.Lines(body) {
		if !bytes.HasPrefix(line, []byte(iframesTag+":")) {
			out = append(out, line...)
		}
	}
	return out
}

// appendCommon appends the attributes that both kinds of variant have.
func (v *Variant) appendCommon(b []byte, frameRate float64) []byte {
	b = append(b, ":BANDWIDTH="...)
	b = strconv.AppendInt(b, int64(v.Bandwidth), 10)
	if v.AverageBandwidth > 0 {
		b = append(b, ",AVERAGE-BANDWIDTH="...)
		b = strconv.AppendInt(b, int64(v.AverageBandwidth), 10)
	}
	b = appendQuoted(b, ",CODECS=", v.Codecs)
	if v.Width > 0 && v.Height > 0 {
		b = append(b, ",RESOLUTION="...)
		b = strconv.AppendInt(b, int64(v.Width), 10)
		b = append(b, 'x')
		b = strconv.AppendInt(b, int64(v.Height), 10)
	}
	if frameRate > 0 {
		b = append(b, ",FRAME-RATE="...)
		b = strconv.AppendFloat(b, frameRate, 'f', 3, 64)
	}
	if v.VideoRange != "" {
		b = append(append(b, ",VIDEO-RANGE="...), v.VideoRange...)
	}
	return b
}

// appendQuoted appends a quoted-string attribute, unless it is empty. A quoted string cannot contain quotes or line ends (RFC 8216 4.2), so
// they are dropped.
func appendQuoted(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, name...)
	b = append(b, '"')
	for i := 0; i < len(value); i++ {
		if c := value[i]; c != '"' && c != '\n' && c != '\r' {
			b = append(b, c)
		}
	}
	return append(b, '"')
}

func appendYes(b []byte, yes bool) []byte {
	if yes {
		return append(b, "YES"...)
	}
	return append(b, "NO"...)
}
