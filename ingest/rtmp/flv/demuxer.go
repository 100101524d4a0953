package flv

import (
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Kinds of tag: the message types of RTMP and the tag types of FLV are the same numbers.
const (
	TagAudio = 8
	TagVideo = 9
	TagData  = 18
)

// Stats counts what demuxers made of their tags. It may be shared by any number of them and read at any time.
type Stats struct {
	VideoFrames atomic.Uint64 // frames handed on
	AudioFrames atomic.Uint64 // frames handed on
	NoHeader    atomic.Uint64 // frames dropped because no usable sequence header came before them
	Malformed   atomic.Uint64 // tags and frames dropped because their bytes make no sense
}

// Sink takes frames, as an ingest.Session does.
type Sink interface {
	WriteFrame(*ingest.Frame) error
}

// Demuxer turns the tags of one publisher into frames. It is used by one goroutine and, in the steady state, allocates
// nothing: each Frame it hands on is the same, and points into the tag.
type Demuxer struct {
	sink  Sink
	stats *Stats
	clock clock
	meta  Metadata
	video videoTrack
	audio audioTrack
	frame ingest.Frame
	units [][]byte
}

// NewDemuxer makes a demuxer that hands frames to sink and counts in stats.
func NewDemuxer(sink Sink, stats *Stats) *Demuxer {
	return &Demuxer{sink: sink, stats: stats, units: make([][]byte, 0, 16)}
}

// Tag takes one tag body with its time in milliseconds modulo 2^32. An error is either the sink's or an *ingest.Refusal
// that names a codec that is not supported; everything else is dropped and counted.
func (d *Demuxer) Tag(kind uint8, timestamp uint32, body []byte, arrival time.Time) error {
	if len(body) == 0 {
		return nil
	}
	switch kind {
	case TagAudio:
		d.frame.Arrival = arrival
		return d.audioTag(d.clock.unwrap(timestamp)*ticks, body)
	case TagVideo:
		d.frame.Arrival = arrival
		return d.videoTag(d.clock.unwrap(timestamp)*ticks, body)
	case TagData:
		m, ok, err := ParseMetadata(body)
		if err != nil {
			d.stats.Malformed.Add(1)
		}
		if ok {
			d.meta = m
		}
	}
	return nil
}

// Metadata is what the encoder last said of itself.
func (d *Demuxer) Metadata() Metadata { return d.meta }

func (d *Demuxer) emit(t *ingest.Track, pts, dts int64, key bool) error {
	d.frame.Track, d.frame.PTS, d.frame.DTS, d.frame.Key, d.frame.Units = t, pts, dts, key, d.units
	if t.Codec.IsVideo() {
		d.stats.VideoFrames.Add(1)
	} else {
		d.stats.AudioFrames.Add(1)
	}
	return d.sink.WriteFrame(&d.frame)
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
