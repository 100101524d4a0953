package segmenter

import (
	"slices"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

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
func program(t cut.Tracks) mpegts.Config {
	c := mpegts.Config{Video: streamType(t.Video), Audio: streamType(t.Audio)}
	if t.Audio != nil {
		c.ASC = t.Audio.ASC
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
func codecs(t cut.Tracks) string {
	var names []string
	if v := t.Video; v != nil {
		c := codec.Video{Codec: v.Codec, SPS: v.SPS}
		names = append(names, c.Name())
	}
	if a := t.Audio; a != nil {
		name := codec.MP3Name
		if a.Codec == ingest.AAC {
			c, _ := codec.ParseASC(a.ASC) // configured has read it
			name = c.Name()
		}
		names = append(names, name)
	}
	return strings.Join(names, ",")
}
