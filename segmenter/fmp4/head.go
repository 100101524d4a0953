package fmp4

import (
	"bytes"
	"errors"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Head is what the beginning of a segment says of it.
type Head struct {
	// Video is the configuration of its video, by the parameter sets of its first picture, and described; nil where it has none,
	// or where they are missing.
	Video *codec.Video
	// Audio is that of its AAC; nil where it has none.
	Audio *codec.AACConfig
	// Unfit names what of it has no form in CMAF; empty: nothing.
	Unfit string
	// Lacks says that the segment has nothing of a track that its program has: the encoder's last before a break may be so short.
	Lacks bool
	// PTS is that of the first picture, or of the first sound where there is no video, 90 kHz, modulo 2^33.
	PTS int64
	// Picture is how long the first picture is, bytes; 0 where it cannot be shown without others.
	Picture int
	// Captions says that there are CEA-608 or CEA-708 captions in the first picture.
	Captions bool
	// Channels are those of them that say something there.
	Channels codec.Captions
}

// errRead ends the reading of a head.
var errRead = errors.New("all is known")

// Head reads the head of a segment, with the errors of Remux. It reads no further than it has to.
func (r *Remuxer) Head(pieces [][]byte) (*Head, error) {
	h := &heading{r: r}
	if _, err := r.in.Read(pieces, h); err != nil && !errors.Is(err, errRead) {
		return nil, err
	}
	h.head.Lacks = h.codec != 0 && h.head.Video == nil || h.sound && h.head.Audio == nil
	return &h.head, nil
}

// heading reads a head.
type heading struct {
	r                      *Remuxer
	head                   Head
	codec                  codec.Codec
	sound                  bool // the program has AAC
	needsVideo, needsAudio bool
}

// Program implements mpegts.Handler.
func (h *heading) Program(v, a mpegts.StreamType) error {
	if a == mpegts.MP3MPEG1 || a == mpegts.MP3MPEG2 {
		h.head.Unfit = "MP3"
	}
	h.codec = videoCodec(v)
	h.sound = a == mpegts.AAC
	h.needsVideo, h.needsAudio = h.codec != 0, h.sound
	return nil
}

// Begin implements mpegts.Handler.
func (h *heading) Begin(u *mpegts.Unit) error {
	if u.Track == mpegts.VideoTrack && h.needsVideo || u.Track == mpegts.AudioTrack && h.codec == 0 && h.needsAudio {
		h.head.PTS = u.PTS
	}
	if u.Track == mpegts.VideoTrack {
		h.r.video.picture = h.r.video.picture[:0]
	} else {
		h.r.audio.packet = h.r.audio.packet[:0]
	}
	return nil
}

// Bytes implements mpegts.Handler.
func (h *heading) Bytes(t mpegts.Track, p []byte) {
	if t == mpegts.VideoTrack && h.needsVideo {
		h.r.video.picture = append(h.r.video.picture, p...)
	} else if t == mpegts.AudioTrack && h.needsAudio {
		h.r.audio.packet = append(h.r.audio.packet, p...)
	}
}

// Packets implements mpegts.Handler.
func (h *heading) Packets(t mpegts.Track, run []byte) {
	for ; len(run) > 0; run = run[mpegts.PacketSize:] {
		h.Bytes(t, run[mpegts.HeaderSize:mpegts.PacketSize])
	}
}

// End implements mpegts.Handler.
func (h *heading) End(t mpegts.Track) error {
	switch {
	case t == mpegts.VideoTrack && h.needsVideo:
		h.needsVideo = false
		h.head.picture(h.codec, h.r.video.picture)
	case t == mpegts.AudioTrack && h.needsAudio:
		h.needsAudio = false
		if c, _, ok := codec.ParseADTS(h.r.audio.packet); ok {
			h.head.Audio = &c
		}
	}
	if !h.needsVideo && !h.needsAudio {
		return errRead
	}
	return nil
}

// picture reads the parameter sets of the first picture.
func (h *Head) picture(c codec.Codec, data []byte) {
	units, _ := split(nil, data)
	s := c.Survey(units)
	h.Captions, h.Channels = s.Captions, s.Channels
	if s.Alone() {
		h.Picture = len(data)
	}
	v := &codec.Video{Codec: c}
	for _, u := range units {
		list := &v.PPS
		switch c.NAL(u) {
		case codec.KindVPS:
			list = &v.VPS
		case codec.KindSPS:
			list = &v.SPS
		case codec.KindPPS:
		default:
			continue
		}
		known := false
		for _, s := range *list {
			known = known || bytes.Equal(s, u)
		}
		if !known {
			*list = append(*list, bytes.Clone(u))
		}
	}
	if v.Complete() {
		_ = v.Describe() // a decoder may understand more than we do
		h.Video = v
	}
}
