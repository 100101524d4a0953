package normalise

import (
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Video is what a protocol calls a video frame: an RTMP message, or what lies between two RTP markers. It may be a picture, a part of one,
// or only parameter sets. All of it is borrowed until the call returns, unless Options.Retained is set.
type Video struct {
	Codec    ingest.Codec // H264 or H265
	Units    [][]byte     // NAL units without start code or length
	PTS, DTS int64        // 90 kHz ticks, unwrapped; a protocol without DTS sets both to the PTS
	Key      bool         // the encoder marked a random access point
	Arrival  time.Time    // of the last byte
}

// Audio is what a protocol calls an audio frame: one raw AAC frame, ADTS frames, or MP3 frames. It is borrowed like a Video.
type Audio struct {
	Codec   ingest.Codec // AAC or MP3
	Data    []byte
	PTS     int64 // 90 kHz ticks, unwrapped
	Arrival time.Time
}

// Hints are what an encoder says about itself beside the media: in onMetaData, or in an SDP. The bitstream takes precedence.
type Hints struct {
	HasVideo, HasAudio bool // announced; if only one is, the other will not come
	Width, Height      int
	FrameRate          float64 // frames per second
	VideoBitrate       int     // bits per second
	AudioBitrate       int
	KeyframeInterval   time.Duration
	AudioRate          int // Hz
	AudioChannels      int
}

// audioAlone reports whether only audio was announced.
func (h *Hints) audioAlone() bool { return h.HasAudio && !h.HasVideo }

// company is what is known about the other track when one is created.
type company uint8

const (
	unknown  company = iota
	alone            // it will not come
	expected         // it will
)

// company returns the company of a track: what was announced, whether the other had a header, and what became of it.
func (h *Hints) company(this, other, header, lost bool) company {
	switch {
	case lost, this && !other:
		return alone
	case this && other, header:
		return expected
	}
	return unknown
}

// Options of a Stream. All are optional.
type Options struct {
	Ledger *ingest.Ledger // default: a new one
	Log    *slog.Logger   // named for its stream; default: none

	// Memory is shared by all publishers and accounts for held frames; nil means no bound. Without room, nothing is learned from what would
	// be held, and a picture that comes in pieces is dropped.
	Memory *ingest.Memory

	// Milliseconds: timestamps are rounded to whole milliseconds, as in RTMP. Those of audio are then derived from the number of samples.
	Milliseconds bool

	// Undecoded: video comes without decoding times. Pictures are passed on in decoding order, as they came, with DTS equal to PTS; the
	// sink derives the decoding times.
	Undecoded bool

	// Placed: the protocol itself has put both tracks on one timeline.
	Placed bool

	// Retained: bytes and slices of a message are never overwritten, so frames may refer to them forever.
	Retained bool

	// Direct: the source is known to send complete pictures and no negative offsets. Nothing is held at the beginning.
	Direct bool
}
