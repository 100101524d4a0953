package flv

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
)

// Kinds of tag. The message types of RTMP and the tag types of FLV are the same numbers.
const (
	TagAudio = 8
	TagVideo = 9
	TagData  = 18
)

// Stats adds up what demuxers made by NewDemuxer could not use. Any number of them may share it, and it may be read at any time.
type Stats = ingest.Totals

// Sink takes frames, like an ingest.Session.
type Sink = normalise.Sink

// Demuxer reads the tags of one publisher. It is used by one goroutine. In the steady state it allocates nothing: what it passes on points
// into the tag.
type Demuxer struct {
	stream  *normalise.Stream
	clock   clock
	meta    Metadata
	arrival time.Time
	video   videoTag
	units   [][]byte
	picture normalise.Video
	sound   normalise.Audio
	first   [2]pick // of the tracks of video, audio
}

// New returns a Demuxer for a publisher's stream.
func New(s *normalise.Stream) *Demuxer {
	return &Demuxer{stream: s, units: make([][]byte, 0, 16), video: videoTag{lengthSize: defaultLength}}
}

// NewDemuxer returns a Demuxer for an FLV file from a muxer that is known to be well-behaved: nothing is held to learn how it sends.
func NewDemuxer(sink Sink, stats *Stats) *Demuxer {
	return New(normalise.New(sink, normalise.Options{Ledger: ingest.NewLedger(stats), Direct: true}))
}

// Tag takes one tag body with its time in milliseconds modulo 2^32. The error is the sink's or an *ingest.Refusal with which to end the
// publisher; everything else is dropped and counted.
func (d *Demuxer) Tag(kind uint8, timestamp uint32, body []byte, arrival time.Time) error {
	if len(body) == 0 {
		return nil
	}
	d.arrival = arrival
	switch kind {
	case TagAudio:
		return d.audioTag(d.clock.unwrap(timestamp)*ticks, body)
	case TagVideo:
		return d.videoTag(d.clock.unwrap(timestamp)*ticks, body)
	case TagData:
		m, ok, err := ParseMetadata(body)
		if ok { // unreadable parts count as absent
			d.meta = m
			d.stream.Hint(m.hints())
		}
		if err != nil {
			return d.malformed(0)
		}
	}
	return nil
}

// Flush passes on what is held; it is called before the session is closed.
func (d *Demuxer) Flush() error { return d.stream.Flush() }

// Metadata returns the encoder's newest metadata.
func (d *Demuxer) Metadata() Metadata { return d.meta }

// malformed counts a tag whose bytes make no sense. Only the codec's kind counts; 0 is for data.
func (d *Demuxer) malformed(c ingest.Codec) error {
	return d.stream.Drop(c, ingest.Malformed, d.arrival)
}

// ticks of 90 kHz in a millisecond.
const ticks = ingest.Clock / 1000

// clock extends the 32-bit milliseconds of a connection, which wrap after 49.7 days. Audio and video share it.
type clock struct {
	started bool
	last    uint32
	now     int64 // milliseconds
}

func (c *clock) unwrap(t uint32) int64 {
	if !c.started {
		c.started, c.now = true, int64(t)
	} else {
		c.now += int64(int32(t - c.last))
	}
	c.last = t
	return c.now
}
