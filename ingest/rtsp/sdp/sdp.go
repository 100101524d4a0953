// Package sdp reads what an encoder announces (RFC 8866), as far as a recorder needs it: the tracks, their coding, and how packets refer to
// them. It is lenient, because encoders are careless with everything else: a line that cannot be read, or is absurd, is ignored. It judges
// no codec, knows no RTSP, and refuses to write an SDP.
package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Limits of one description.
const (
	MaxMedia   = 8  // media descriptions
	MaxFormats = 16 // payload types of one media; further ones are not read
	MaxSSRC    = 16 // senders of one media; if there are more, none is known

	maxClock   = 192000
	maxBitrate = 10_000_000_000
	maxFPS     = 1000
)

// Media is one media description.
type Media struct {
	Kind      string // "video", "audio" or something else
	Control   string // address of the track, as sent; may be empty
	Bitrate   int    // bits per second; 0 if unknown
	FrameRate float64
	SSRC      []uint32 // of its senders (RFC 5576 4.1), each once; empty if they are not named
	Formats   []Format // may be empty
}

// Format is one payload type of a media description, with its rtpmap (RFC 8866 6.6) and fmtp (6.15).
type Format struct {
	PayloadType uint8
	Encoding    string            // empty if neither rtpmap nor RFC 3551 states it
	Clock       int               // Hz; 0 if unknown
	Channels    int               // 0 if unknown
	Params      map[string]string // from fmtp; keys in lower case
}

// Errors of Parse, written for the person at the encoder.
var (
	ErrEmpty   = errors.New("the ANNOUNCE brings no SDP: it has no Content-Length, or one of 0")
	ErrNoMedia = errors.New("the SDP announces no media: no line begins with m=")
)

// Parse reads a description.
func Parse(body []byte) ([]Media, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, ErrEmpty
	}
	var all []Media
	count := 0
	for line := range strings.FieldsFuncSeq(string(body), func(r rune) bool { return r == '\r' || r == '\n' }) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		switch value = strings.TrimSpace(value); key {
		case "m":
			if count++; count <= MaxMedia {
				all = append(all, mediaLine(value))
			}
		case "a", "b":
			if len(all) > 0 && count <= MaxMedia { // lines before the first m= belong to the session
				all[len(all)-1].attribute(key, value)
			}
		}
	}
	if count > MaxMedia {
		return nil, fmt.Errorf("the SDP announces %d media, at most %d are accepted", count, MaxMedia)
	}
	for i := range all {
		if len(all[i].SSRC) > MaxSSRC {
			all[i].SSRC = nil
		}
	}
	all = slices.DeleteFunc(all, func(m Media) bool { return m.Kind == "" })
	if len(all) == 0 {
		return nil, ErrNoMedia
	}
	return all, nil
}

// mediaLine reads "video 0 RTP/AVP 96 97".
func mediaLine(value string) (m Media) {
	for i, field := range strings.Fields(value) {
		switch i {
		case 0:
			m.Kind = strings.ToLower(field)
		case 1, 2: // port and transport are left to SETUP
		default:
			if n, err := strconv.ParseUint(field, 10, 7); err == nil {
				m.format(uint8(n))
			}
		}
	}
	return m
}

// format returns the format of a payload type, and adds it if there is room. It returns nil if there is none.
func (m *Media) format(payloadType uint8) *Format {
	for i := range m.Formats {
		if m.Formats[i].PayloadType == payloadType {
			return &m.Formats[i]
		}
	}
	if len(m.Formats) == MaxFormats {
		return nil
	}
	f := Format{PayloadType: payloadType}
	f.Encoding, f.Clock, f.Channels = static(payloadType)
	m.Formats = append(m.Formats, f)
	return &m.Formats[len(m.Formats)-1]
}

// attribute reads the value of an a= or b= line of a media description.
func (m *Media) attribute(key, value string) {
	name, rest, _ := strings.Cut(value, ":")
	rest = strings.TrimSpace(rest)
	if key == "b" {
		m.bandwidth(name, rest)
		return
	}
	switch strings.ToLower(name) {
	case "control":
		m.Control = rest
	case "framerate":
		v, err := strconv.ParseFloat(rest, 64)
		if err == nil && !math.IsNaN(v) && v > 0 && v <= maxFPS {
			m.FrameRate = v
		}
	case "ssrc":
		m.sender(rest)
	case "rtpmap":
		if f, v := m.forPayload(rest); f != nil {
			f.rtpmap(v)
		}
	case "fmtp":
		if f, v := m.forPayload(rest); f != nil {
			f.fmtp(v)
		}
	}
}

// sender reads "3735928559 cname:x"; each sender has several such lines.
func (m *Media) sender(value string) {
	id, _, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(id, 10, 32)
	if err == nil && len(m.SSRC) <= MaxSSRC && !slices.Contains(m.SSRC, uint32(n)) {
		m.SSRC = append(m.SSRC, uint32(n))
	}
}

// bandwidth reads b=AS, in kilobits, and b=TIAS (RFC 3890), in bits per second. AS is preferred, since it includes packet overhead.
func (m *Media) bandwidth(kind, value string) {
	n, err := strconv.ParseUint(value, 10, 63)
	switch {
	case err != nil:
	case kind == "AS" && n <= maxBitrate/1000:
		m.Bitrate = int(n) * 1000
	case kind == "TIAS" && n <= maxBitrate && m.Bitrate == 0:
		m.Bitrate = int(n)
	}
}

// forPayload returns the format that an attribute is about. A media line without payload types gets those that attributes name.
func (m *Media) forPayload(value string) (f *Format, rest string) {
	pt, rest, _ := strings.Cut(value, " ")
	n, err := strconv.ParseUint(pt, 10, 7)
	if err != nil {
		return nil, ""
	}
	i := slices.IndexFunc(m.Formats, func(f Format) bool { return f.PayloadType == uint8(n) })
	switch {
	case i >= 0:
		return &m.Formats[i], strings.TrimSpace(rest)
	case len(m.Formats) == 0:
		return m.format(uint8(n)), strings.TrimSpace(rest)
	}
	return nil, ""
}

// rtpmap reads "MPEG4-GENERIC/48000/2".
func (f *Format) rtpmap(value string) {
	encoding, rest, _ := strings.Cut(value, "/")
	clock, channels, _ := strings.Cut(rest, "/")
	f.Encoding, f.Clock, f.Channels = strings.TrimSpace(encoding), 0, 0
	if n, err := strconv.ParseUint(strings.TrimSpace(clock), 10, 31); err == nil && n <= maxClock {
		f.Clock = int(n)
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(channels), 10, 7); err == nil {
		f.Channels = int(n)
	}
}

// fmtp reads "packetization-mode=1; sprop-parameter-sets=…".
func (f *Format) fmtp(value string) {
	if f.Params == nil {
		f.Params = map[string]string{}
	}
	for kv := range strings.SplitSeq(value, ";") {
		if k, v, ok := strings.Cut(kv, "="); ok {
			f.Params[strings.ToLower(strings.TrimSpace(k))] = strings.TrimSpace(v)
		}
	}
}

// static returns what RFC 3551 tables 4 and 5 say about a payload type, for those that encoders use.
func static(payloadType uint8) (encoding string, clock, channels int) {
	switch payloadType {
	case 0:
		return "PCMU", 8000, 1
	case 3:
		return "GSM", 8000, 1
	case 8:
		return "PCMA", 8000, 1
	case 9:
		return "G722", 8000, 1
	case 10:
		return "L16", 44100, 2
	case 11:
		return "L16", 44100, 1
	case 14:
		return "MPA", 90000, 0
	case 26:
		return "JPEG", 90000, 0
	case 32:
		return "MPV", 90000, 0
	case 33:
		return "MP2T", 90000, 0
	}
	return "", 0, 0
}
