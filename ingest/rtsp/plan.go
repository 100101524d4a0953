package rtsp

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"
	psdp "github.com/pion/sdp/v3"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const (
	// maxMedias bounds the media lines of an announcement: each costs a goroutine of the library, used or not.
	maxMedias = 8
	// maxFieldBits bounds the bit fields of an AU header (RFC 3640 3.2.1). The library takes up to 100, and would read
	// a length of 64 bits or more as a negative one.
	maxFieldBits = 32
	// maxClock bounds the clock of an audio track, in Hz.
	maxClock = 192000
)

// plan picks the tracks to record: the first video and the first audio track that can be carried. What is left is
// named in ignored; if nothing can be carried, that is the refusal.
func plan(d *description.Session, body []byte) (tracks []*track, ignored []string, err error) {
	if len(d.Medias) > maxMedias {
		return nil, nil, ingest.Refuse(ingest.Unsupported, "the SDP announces %d media, at most %d are accepted", len(d.Medias), maxMedias)
	}
	var s sdp.SessionDescription
	if err := s.Unmarshal(body); err != nil || len(s.MediaDescriptions) != len(d.Medias) {
		return nil, nil, ingest.Refuse(ingest.Unsupported, "the SDP cannot be read")
	}
	var video, audio bool
	for i, m := range d.Medias {
		for _, f := range m.Formats {
			hint := readHints(s.MediaDescriptions[i], f.PayloadType())
			st := newStream(f, hint)
			taken := st != nil && (st.codec().IsVideo() && video || !st.codec().IsVideo() && audio)
			if st == nil || taken {
				ignored = append(ignored, formatName(m, f, hint))
				continue
			}
			if st.codec().IsVideo() {
				video = true
			} else {
				audio = true
			}
			clock := f.ClockRate()
			if hint.clock != 0 && !st.codec().IsVideo() {
				clock = hint.clock
			}
			tracks = append(tracks, &track{media: m, format: f, stream: st, clock: rtpClock{rate: int64(clock)}})
		}
	}
	if len(tracks) == 0 {
		return nil, nil, ingest.Refuse(ingest.Unsupported,
			"cannot carry %s: send H.264 or H.265 video, AAC or MP3 audio", strings.Join(ignored, ", "))
	}
	for _, t := range tracks {
		t.stream.alone(len(tracks) == 1)
	}
	return tracks, ignored, nil
}

// newStream is the stream of a format, nil where it cannot be carried.
func newStream(f format.Format, h hints) stream {
	switch f := f.(type) {
	case *format.H264:
		return newH264(f, h)
	case *format.H265:
		return newH265(f, h)
	case *format.MPEG4Audio:
		if f.SizeLength > maxFieldBits || f.IndexLength > maxFieldBits || f.IndexDeltaLength > maxFieldBits {
			return nil
		}
		return newAAC(f, h)
	case *format.MPEG4AudioLATM:
		return newLATM(f, h)
	case *format.MPEG1Audio:
		return newMP3(f, h)
	}
	return nil
}

// formatName is how a format is called in a log line or a refusal.
func formatName(m *description.Media, f format.Format, h hints) string {
	name := f.Codec()
	if _, ok := f.(*format.Generic); ok && h.encoding != "" {
		name = h.encoding
	}
	if len(name) > 32 {
		name = name[:32]
	}
	return strconv.QuoteToASCII(string(m.Type) + " " + name)
}

// hints is what the SDP says about one format beside what the library reads.
type hints struct {
	encoding  string  // of rtpmap
	clock     int     // Hz, of rtpmap; 0 unknown. For HE-AAC it is the rate that plays, not the core coder's
	bitrate   int     // bits per second; 0 unknown
	frameRate float64 // 0 unknown
	config    []byte  // AudioSpecificConfig as it was sent
}

// readHints reads the attributes of a media description (RFC 8866). What is malformed or absurd is as good as not sent.
func readHints(md *psdp.MediaDescription, payloadType uint8) hints {
	var h hints
	for _, b := range md.Bandwidth {
		rate := b.Bandwidth
		switch {
		case b.Experimental || rate > 10_000_000_000:
		case b.Type == "AS" && rate <= 10_000_000: // kilobits
			h.bitrate = int(rate) * 1000
		case b.Type == "TIAS" && h.bitrate == 0:
			h.bitrate = int(rate)
		}
	}
	for _, a := range md.Attributes {
		switch a.Key {
		case "framerate":
			v, err := strconv.ParseFloat(strings.TrimSpace(a.Value), 64)
			if err == nil && !math.IsNaN(v) && v > 0 && v <= 1000 {
				h.frameRate = v
			}
		case "rtpmap":
			if v, ok := forPayload(a.Value, payloadType); ok {
				h.encoding, h.clock = readRTPMap(v)
			}
		case "fmtp":
			if v, ok := forPayload(a.Value, payloadType); ok {
				h.config = readConfig(v)
			}
		}
	}
	return h
}

// forPayload strips the payload type off an attribute, if it is this one.
func forPayload(v string, payloadType uint8) (string, bool) {
	pt, rest, ok := strings.Cut(strings.TrimSpace(v), " ")
	n, err := strconv.ParseUint(pt, 10, 8)
	return strings.TrimSpace(rest), ok && err == nil && uint8(n) == payloadType
}

func readRTPMap(v string) (encoding string, clock int) {
	encoding, rest, _ := strings.Cut(v, "/")
	rate, _, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(rate, 10, 31)
	if err != nil || n > maxClock {
		return encoding, 0
	}
	return encoding, int(n)
}

func readConfig(fmtp string) []byte {
	for kv := range strings.SplitSeq(fmtp, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(kv), "=")
		if strings.EqualFold(k, "config") {
			b, err := hex.DecodeString(v)
			if err != nil || len(b) > 64 {
				return nil
			}
			return b
		}
	}
	return nil
}
