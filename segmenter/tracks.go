package segmenter

import (
	"bytes"
	"slices"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// tracks is what a segment consists of; nil: no such track.
type tracks struct{ video, audio *ingest.Track }

// sameConfiguration reports whether a decoder may go on from a to b without a reset. Only what selects the decoder counts:
// picture parameter sets travel before every keyframe anyway.
func sameConfiguration(a, b *ingest.Track) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	return a.Codec == b.Codec && bytes.Equal(a.ASC, b.ASC) && a.SampleRate == b.SampleRate && a.Channels == b.Channels &&
		slices.EqualFunc(a.SPS, b.SPS, bytes.Equal) && slices.EqualFunc(a.VPS, b.VPS, bytes.Equal)
}

// same reports whether a decoder may go on from one set of tracks to the other.
func (t tracks) same(o tracks) bool {
	return sameConfiguration(t.video, o.video) && sameConfiguration(t.audio, o.audio)
}

// configured reports whether the track can be muxed. It is asked once for each track, not for every frame.
func configured(t *ingest.Track) bool {
	switch t.Codec {
	case ingest.H264, ingest.H265:
		v := codec.Video{Codec: t.Codec, VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}
		return v.Complete()
	case ingest.AAC:
		return mpegts.Config{Audio: mpegts.AAC, ASC: t.ASC}.Check() == nil
	case ingest.MP3:
		return true
	}
	return false
}

// parameterSets are those of a video track in the order in which they stand before a keyframe.
func parameterSets(t *ingest.Track) [][]byte { return slices.Concat(t.VPS, t.SPS, t.PPS) }

// program is the tracks as a transport stream has them.
func program(t tracks) mpegts.Config {
	c := mpegts.Config{Video: streamType(t.video), Audio: streamType(t.audio)}
	if t.audio != nil {
		c.ASC = t.audio.ASC
	}
	return c
}

func streamType(t *ingest.Track) mpegts.StreamType {
	if t == nil {
		return 0
	}
	switch t.Codec {
	case ingest.H264:
		return mpegts.H264
	case ingest.H265:
		return mpegts.H265
	case ingest.AAC:
		return mpegts.AAC
	}
	if t.SampleRate > 0 && t.SampleRate < codec.MP3MPEG1 {
		return mpegts.MP3MPEG2
	}
	return mpegts.MP3MPEG1
}

// codecs is the CODECS attribute of the tracks (RFC 6381).
func codecs(t tracks) string {
	var names []string
	if v := t.video; v != nil {
		c := codec.Video{Codec: v.Codec, SPS: v.SPS}
		names = append(names, c.Name())
	}
	if a := t.audio; a != nil {
		name := codec.MP3Name
		if a.Codec == ingest.AAC {
			c, _ := codec.ParseASC(a.ASC) // configured has read it
			name = c.Name()
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}
