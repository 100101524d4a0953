package flv

import (
	"bytes"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// audioTrack is the state of the audio of one publisher.
type audioTrack struct {
	raw    []byte      // the AudioSpecificConfig in use, to know a repeated one
	config audioConfig // valid where ready
	ready  bool
	track  *ingest.Track
}

// audioConfig is what a track's rate and channels come from.
type audioConfig struct {
	sampleRate int // Hz
	channels   int
}

const (
	soundMP3      = 2
	soundEnhanced = 9
	soundAAC      = 10
	soundMP3At8k  = 14
)

// audioTag reads an AUDIODATA body.
func (d *Demuxer) audioTag(dts int64, b []byte) error {
	switch format := b[0] >> 4; format {
	case soundAAC:
		if len(b) < 2 {
			d.stats.Malformed.Add(1)
			return nil
		}
		if b[1] == packetHeader {
			return d.aacHeader(b[2:])
		}
		return d.aacFrame(dts, b[2:])
	case soundMP3, soundMP3At8k:
		return d.mp3Frames(dts, b[1:])
	case soundEnhanced:
		return d.enhancedAudio(dts, b)
	default:
		return refuseAudio(legacyAudio(format))
	}
}

// enhancedAudio reads a body with a fourcc (Enhanced RTMP v2).
func (d *Demuxer) enhancedAudio(dts int64, b []byte) error {
	if len(b) < 5 {
		d.stats.Malformed.Add(1)
		return nil
	}
	packet, fourcc, b := b[0]&0x0f, b[1:5], b[5:]
	if packet > packetEnd { // channel layouts, further tracks
		return nil
	}
	switch string(fourcc) {
	case "mp4a":
		switch packet {
		case packetHeader:
			return d.aacHeader(b)
		case packetFrame:
			return d.aacFrame(dts, b)
		}
	case ".mp3":
		if packet == packetFrame {
			return d.mp3Frames(dts, b)
		}
	default:
		return refuseAudio(fourccName(fourcc))
	}
	return nil
}

func (d *Demuxer) aacHeader(b []byte) error {
	a := &d.audio
	if a.ready && bytes.Equal(a.raw, b) {
		return nil
	}
	a.raw, a.track, a.ready = bytes.Clone(b), nil, false
	config, err := parseASC(a.raw)
	if err != nil {
		if _, refused := err.(*ingest.Refusal); refused {
			return err
		}
		d.stats.Malformed.Add(1)
		return nil
	}
	a.config, a.ready = config, true
	return nil
}

func (d *Demuxer) aacFrame(dts int64, b []byte) error {
	a := &d.audio
	if !a.ready || a.raw == nil {
		d.stats.NoHeader.Add(1)
		return nil
	}
	if len(b) == 0 {
		return nil // ffmpeg ends a stream so
	}
	if len(b) > maxAAC {
		d.stats.Malformed.Add(1)
		return nil
	}
	if a.track == nil {
		a.track = a.config.track(ingest.AAC, &d.meta)
		a.track.ASC = a.raw
	}
	d.units = append(d.units[:0], b)
	return d.emit(a.track, dts, dts, true)
}

// maxAAC is the longest raw AAC frame, in bytes, that an ADTS header of 7 bytes can announce (13 bits of length).
const maxAAC = 1<<13 - 1 - 7

// mp3Frames hands on each frame of the body, nearly always one. The second and later ones follow by their duration.
func (d *Demuxer) mp3Frames(dts int64, b []byte) error {
	a := &d.audio
	for len(b) > 0 {
		h, ok := parseMP3(b)
		if !ok || h.size > len(b) {
			d.stats.Malformed.Add(1)
			return nil
		}
		if !a.ready || a.raw != nil || a.config != h.audioConfig || a.track == nil {
			a.raw, a.config, a.ready = nil, h.audioConfig, true
			a.track = a.config.track(ingest.MP3, &d.meta)
		}
		d.units = append(d.units[:0], b[:h.size:h.size])
		if err := d.emit(a.track, dts, dts, true); err != nil {
			return err
		}
		dts += int64(h.samples) * ingest.Clock / int64(h.sampleRate)
		b = b[h.size:]
	}
	return nil
}

func (a audioConfig) track(c ingest.Codec, m *Metadata) *ingest.Track {
	return &ingest.Track{
		Codec: c, SampleRate: a.sampleRate, Channels: a.channels,
		Bitrate: m.AudioBitrate, Alone: m.HasAudio && !m.HasVideo,
	}
}

func refuseAudio(name string) error {
	return ingest.Refuse(ingest.Unsupported, "%s audio is not supported: set the encoder to AAC or MP3", name)
}

func legacyAudio(format byte) string {
	switch format {
	case 0, 3:
		return "PCM"
	case 1:
		return "ADPCM"
	case 4, 5, 6:
		return "Nellymoser"
	case 7, 8:
		return "G.711"
	case 11:
		return "Speex"
	case 13:
		return "Opus"
	}
	return "this kind of"
}
