package intake

import (
	"slices"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// silent inserts silence before audio that begins long after the video: in a recording with both, browsers cannot play a beginning that has
// only one of them. The frames begin with the first picture.
func silent(frames []ingest.Frame) []ingest.Frame {
	first := slices.IndexFunc(frames, func(f ingest.Frame) bool { return !f.Track.Codec.IsVideo() })
	if first < 0 || frames[first].PTS-frames[0].DTS < gatherTicks {
		return frames
	}
	sound := &frames[first]
	silence := silenceOf(sound)
	if silence == nil {
		return frames
	}
	// Times are counted back from the audio, so that the last silent frame ends where it begins.
	n := (sound.PTS - frames[0].DTS) / cut.FrameDuration(sound.Track)
	start := sound.PTS - n*cut.FrameDuration(sound.Track)
	all := make([]ingest.Frame, 0, len(frames)+int(n))
	for _, f := range frames {
		for n > 0 && len(all) > 0 && (f.DTS > start || !f.Track.Codec.IsVideo()) {
			all = append(all, ingest.Frame{
				Track: sound.Track, PTS: start, DTS: start, Key: true, Units: [][]byte{silence}, Arrival: all[len(all)-1].Arrival,
			})
			start, n = start+cut.FrameDuration(sound.Track), n-1
		}
		all = append(all, f)
	}
	return all
}

// silenceOf returns a silent frame with the configuration of an audio frame, or nil if there is none.
func silenceOf(f *ingest.Frame) []byte {
	if f.Track.Codec == ingest.MP3 {
		return codec.MP3Silence(f.Units[0])
	}
	c, err := codec.ParseASC(f.Track.ASC)
	if err != nil {
		return nil
	}
	return c.Silence()
}
