package flv

import "github.com/hlsorigin/hlsorigin/ingest"

// Sound formats.
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
			return d.malformed(ingest.AAC)
		}
		return d.plainAudio(ingest.AAC, dts, min(b[1], packetFrame), b[2:])
	case soundMP3, soundMP3At8k:
		return d.plainAudio(ingest.MP3, dts, packetFrame, b[1:])
	case soundEnhanced:
		return d.enhancedAudio(dts, b)
	default:
		return d.stream.Uncarried(refuseAudio(legacyAudio(format)), d.arrival)
	}
}

// plainAudio handles a packet that names no track.
func (d *Demuxer) plainAudio(c ingest.Codec, dts int64, packet byte, b []byte) error {
	if d.first[1].other(noTrack) {
		return d.stream.ExtraTrack(c, packet == packetFrame, d.arrival)
	}
	d.first[1].take(noTrack)
	return d.audioPacket(c, dts, packet, b)
}

// enhancedAudio reads a body with a fourcc (Enhanced RTMP v2).
func (d *Demuxer) enhancedAudio(dts int64, b []byte) error {
	e, ok := parseEnhanced(b[0]&0x0F, packetMultiAudio, b[1:])
	if !ok {
		return d.malformed(ingest.AAC)
	}
	for more := true; more; more = len(e.rest) > 0 {
		id, fourcc, body, ok := e.next()
		if !ok {
			return d.malformed(ingest.AAC)
		}
		c := audioFourCC(fourcc)
		var err error
		switch {
		case d.first[1].other(id):
			err = d.stream.ExtraTrack(ingest.AAC, e.packet == packetFrame, d.arrival)
		case c == 0 && e.packet == packetFrame:
			err = d.stream.Uncarried(refuseAudio(fourccName(fourcc)), d.arrival)
		case c != 0:
			d.first[1].take(id)
			err = d.audioPacket(c, dts+e.offset, e.packet, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Demuxer) audioPacket(c ingest.Codec, dts int64, packet byte, b []byte) error {
	switch {
	case packet == packetHeader && c == ingest.AAC:
		return d.stream.AudioHeader(b, d.arrival)
	case packet == packetFrame:
		m := &d.sound
		m.Codec, m.Data, m.PTS, m.Arrival = c, b, dts, d.arrival
		return d.stream.Audio(m)
	}
	return nil
}

func refuseAudio(name string) *ingest.Refusal {
	return ingest.Refuse(ingest.Unsupported, "%s audio is not supported: set the encoder to AAC or MP3", name)
}
