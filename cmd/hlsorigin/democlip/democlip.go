// Package democlip holds the clip that the demo publishes: 24 s of a clock, a pendulum and a beep, H.264 and AAC in FLV, our
// own making by make.sh. It hands the clip out as FLV tags whose time runs on from round to round, and knows nothing of
// networks or clocks.
package democlip

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"iter"
	"time"
)

//go:embed clip.flv
var clip string

// Duration is the length of one round: 600 pictures, 1125 AAC frames.
const Duration = 24 * time.Second

// FLV is the clip as a file.
func FLV() []byte { return []byte(clip) }

// The tag types of FLV, which are RTMP's message types too.
const (
	Audio = 8
	Video = 9
)

// Tag is one FLV tag.
type Tag struct {
	Type uint8         // Audio or Video
	Time time.Duration // decoding time, whole milliseconds, from the start of the first round
	Body []byte        // the tag's payload; shared, not to be changed
}

// Endless yields the tags for ever. The configurations of both codecs come in the first round only: a stream that goes on
// does not say them again.
func Endless() iter.Seq[Tag] {
	tags, err := parse([]byte(clip))
	return func(yield func(Tag) bool) {
		for round := time.Duration(0); err == nil; round += Duration {
			for _, t := range tags {
				if round > 0 && t.configuration() {
					continue
				}
				t.Time += round
				if !yield(t) {
					return
				}
			}
		}
	}
}

// configuration tells an AVC or AAC sequence header from media.
func (t Tag) configuration() bool { return len(t.Body) > 1 && t.Body[1] == 0 }

// parse reads the audio and video tags of an FLV file (Adobe Flash Video File Format 10.1, annex E).
func parse(flv []byte) ([]Tag, error) {
	const fileHeader, tagHeader, trailer = 9 + 4, 11, 4
	if len(flv) < fileHeader || string(flv[:3]) != "FLV" {
		return nil, errors.New("not FLV")
	}
	var out []Tag
	for rest := flv[fileHeader:]; len(rest) > 0; {
		if len(rest) < tagHeader {
			return nil, errors.New("FLV ends within a tag")
		}
		size := int(binary.BigEndian.Uint32(rest) & 0xffffff)
		ms := uint32(rest[7])<<24 | uint32(rest[4])<<16 | uint32(rest[5])<<8 | uint32(rest[6])
		if len(rest) < tagHeader+size+trailer {
			return nil, errors.New("FLV ends within a tag")
		}
		if t := rest[0]; t == Audio || t == Video {
			out = append(out, Tag{t, time.Duration(ms) * time.Millisecond, rest[tagHeader : tagHeader+size : tagHeader+size]})
		}
		rest = rest[tagHeader+size+trailer:]
	}
	return out, nil
}
