package normalise

import (
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Video is what a protocol calls a video frame: an RTMP message, or what lies between two markers of RTP. It may be a
// picture, a part of one, or parameter sets alone. All of it is borrowed until the call returns, unless Options.Retained
// says otherwise.
type Video struct {
	Codec    ingest.Codec // H264 or H265
	Units    [][]byte     // NAL units without start code or length
	PTS, DTS int64        // 90 kHz ticks, unwrapped; a protocol without DTS gives the PTS twice
	Key      bool         // the encoder marked a random access point
	Arrival  time.Time    // of the last byte
}

// Audio is what a protocol calls an audio frame: one raw AAC frame, ADTS frames, or MP3 frames. It is borrowed as a Video
// is.
type Audio struct {
	Codec   ingest.Codec // AAC or MP3
	Data    []byte
	PTS     int64 // 90 kHz ticks, unwrapped
	Arrival time.Time
}

// Hints are what an encoder says of itself beside the media: in onMetaData, or in an SDP. The bitstream is believed first.
type Hints struct {
	HasVideo, HasAudio bool // announced; where one alone is, the other will not come
	Width, Height      int
	FrameRate          float64 // frames per second
	VideoBitrate       int     // bits per second
	AudioBitrate       int
	KeyframeInterval   time.Duration
	AudioRate          int // Hz
	AudioChannels      int
}

// audioAlone reports whether no video was announced.
func (h *Hints) audioAlone() bool { return h.HasAudio && !h.HasVideo }

// company is what is known of the other track, when one is made.
type company uint8

const (
	unknown  company = iota
	alone            // it will not come
	expected         // it will
)

// company of a track, by what was announced, by a header of the other, or by what became of it.
func (h *Hints) company(this, other, header, lost bool) company {
	switch {
	case lost, this && !other:
		return alone
	case this && other, header:
		return expected
	}
	return unknown
}

// Options of a Stream. All may be left out.
type Options struct {
	Ledger *ingest.Ledger // default: one that nobody reads
	Log    *slog.Logger   // named for its stream; default: none

	// Memory is what frames that are held draw from, with all other publishers'; nil: no bound. Without room nothing is learnt
	// from what would be held, and a picture that comes in pieces is dropped.
	Memory *ingest.Memory

	// Milliseconds: time stamps are rounded to whole milliseconds, as in RTMP. Those of audio are then derived from the
	// number of samples.
	Milliseconds bool

	// Undecoded: video comes without decoding times. Pictures leave in decoding order with their PTS for DTS, as they came,
	// and the sink derives the decoding times.
	Undecoded bool

	// Placed: the protocol itself has put both tracks on one time line.
	Placed bool

	// Retained: bytes and slices of a message are never written again, so frames may refer to them for good.
	Retained bool

	// Direct: the source is known for whole pictures and offsets that are never negative. Nothing is held at the beginning.
	Direct bool
}
