package mpegts

import (
	"fmt"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// StreamType is the stream_type of an elementary stream in the PMT (ISO/IEC 13818-1 table 2-34). Zero is no stream.
type StreamType uint8

// The elementary streams that a Muxer carries.
const (
	MP3MPEG1 StreamType = 0x03 // ISO/IEC 11172-3 layer III: 32, 44.1, 48 kHz
	MP3MPEG2 StreamType = 0x04 // ISO/IEC 13818-3 layer III: 16, 22.05, 24 kHz, and the 2.5 rates below
	AAC      StreamType = 0x0F // ISO/IEC 13818-7 ADTS
	ID3      StreamType = 0x15 // ID3 tags in PES packets: see Muxer.Metadata
	H264     StreamType = 0x1B
	H265     StreamType = 0x24
)

// TypeOf is the stream_type of a codec; 0 where there is none. MP3 has two, by its sampling rate in Hz; 0, where it is not
// known, counts as one of MPEG-1.
func TypeOf(c codec.Codec, rate int) StreamType {
	switch c {
	case codec.H264:
		return H264
	case codec.H265:
		return H265
	case codec.AAC:
		return AAC
	case codec.MP3:
		if 0 < rate && rate < codec.MP3MPEG1 {
			return MP3MPEG2
		}
		return MP3MPEG1
	}
	return 0
}

// Config says what a program consists of. At least one of Video and Audio is set.
type Config struct {
	Video StreamType // H264, H265, or 0
	Audio StreamType // AAC, MP3MPEG1, MP3MPEG2, or 0
	ASC   []byte     // AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1), for AAC only; not kept
	ID3   bool       // there is timed metadata too, or there may be: see Muxer.Metadata
}

// Check says what of c has no form in a transport stream; nil where all has one.
func (c Config) Check() error {
	_, err := c.aac()
	return err
}

// aac checks c, and reads its ASC where there is AAC. HE-AAC becomes its AAC core: ADTS cannot say more, and decoders find
// the extension in the frames (implicit signalling).
func (c Config) aac() (a codec.AACConfig, err error) {
	if err = c.types(); err != nil || c.Audio != AAC {
		return a, err
	}
	if a, err = codec.ParseASC(c.ASC); err != nil {
		return a, fmt.Errorf("mpegts: %w", err)
	}
	return a, nil
}

// codec is the codec of the video; 0 where there is none.
func (c Config) codec() codec.Codec {
	switch c.Video {
	case H264:
		return codec.H264
	case H265:
		return codec.H265
	}
	return 0
}

func (c Config) types() error {
	switch c.Video {
	case 0, H264, H265:
	default:
		return fmt.Errorf("mpegts: stream type %#02x is not a video that can be carried", uint8(c.Video))
	}
	switch c.Audio {
	case 0, AAC, MP3MPEG1, MP3MPEG2:
	default:
		return fmt.Errorf("mpegts: stream type %#02x is not an audio that can be carried", uint8(c.Audio))
	}
	if c.Video == 0 && c.Audio == 0 {
		return fmt.Errorf("mpegts: a program needs a video or an audio stream")
	}
	return nil
}
