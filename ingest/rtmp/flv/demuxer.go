package flv

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
)

// Kinds of tag: the message types of RTMP and the tag types of FLV are the same numbers.
const (
	TagAudio = 8
	TagVideo = 9
	TagData  = 18
)

// Stats adds up what demuxers made by NewDemuxer could not use. It may be shared by any number of them and read at any time.
type Stats = ingest.Totals

// Sink takes frames, as an ingest.Session does.
type Sink = normalise.Sink

// Demuxer reads the tags of one publisher. It is used by one goroutine and, in the steady state, allocates nothing: what it
// hands on points into the tag.
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

// New makes a demuxer of a publisher's stream.
func New(s *normalise.Stream) *Demuxer {
	return &Demuxer{stream: s, units: make([][]byte, 0, 16), video: videoTag{lengthSize: defaultLength}}
}

// NewDemuxer makes a demuxer of an FLV file that a muxer known for good ones writes: nothing is held to learn its ways.
func NewDemuxer(sink Sink, stats *Stats) *Demuxer {
	return New(normalise.New(sink, normalise.Options{Ledger: ingest.NewLedger(stats), Direct: true}))
}

// Tag takes one tag body with its time in milliseconds modulo 2^32. An error is either the sink's or an *ingest.Refusal
// with which the publisher is to be ended; everything else is dropped and counted.
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
		if ok { // what cannot be read of it is as good as not said
			d.meta = m
			d.stream.Hint(m.hints())
		}
		if err != nil {
			return d.malformed(0)
		}
	}
	return nil
}

// Flush hands on what is held; it comes before the session is closed.
func (d *Demuxer) Flush() error { return d.stream.Flush() }

// Metadata is what the encoder last said of itself.
func (d *Demuxer) Metadata() Metadata { return d.meta }

// malformed counts a tag whose bytes make no sense. Only the kind of codec counts; 0 is for data.
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
