package segmenter

import "github.com/hlsorigin/hlsorigin/ingest"

// How long a session waits for its second track before it begins with one: in media time, frames and bytes.
const (
	gatherTicks    = 1 * Clock
	announcedTicks = 6 * Clock // for one that the encoder announced
	gatherFrames   = 2048
	gatherBytes    = 16 << 20
)

// gather holds a publisher's first frames until it is known which tracks there are, because the program map at the head
// of the first segment must name them.
type gather struct {
	done         bool
	video, audio *ingest.Track
	frames       []ingest.Frame
	bytes        int
	first        [2]int64 // DTS of the first frame of each kind
	span         int64
	keyless      int64
	isKeyless    bool
}

// add copies a frame. One without content only makes its track known.
func (g *gather) add(f *ingest.Frame) {
	kind := 0
	if f.Track.Codec.IsVideo() {
		if g.video == nil {
			g.first[0] = f.DTS
		}
		g.video = f.Track
	} else {
		kind = 1
		if g.audio == nil {
			g.first[1] = f.DTS
		}
		g.audio = f.Track
	}
	if !hasContent(f) {
		return
	}
	g.span = max(g.span, f.DTS-g.first[kind])
	held := *f
	held.Units = make([][]byte, len(f.Units))
	for i, u := range f.Units {
		held.Units[i] = append([]byte(nil), u...)
		g.bytes += len(u)
	}
	g.frames = append(g.frames, held)
}

func (g *gather) ready() bool {
	first := g.video
	if first == nil {
		first = g.audio
	}
	switch {
	case first == nil:
		return false
	case g.video != nil && g.audio != nil, first.Alone, len(g.frames) >= gatherFrames, g.bytes >= gatherBytes:
		return true
	case first.Both:
		return g.span >= announcedTicks
	}
	return g.span >= gatherTicks
}

// overdue tells whether so much came without a keyframe that none can be expected any more. Sound that has no picture at
// all beside it waits a little longer.
func (g *gather) overdue(f *ingest.Frame) bool {
	if !g.isKeyless {
		g.isKeyless, g.keyless = true, f.DTS
	}
	wait := int64(keylessSeconds) * Clock
	if !f.Track.Codec.IsVideo() {
		wait += Clock
	}
	return f.DTS-g.keyless >= wait
}

// keylessSeconds is how long a recording waits for its first keyframe before it begins without one.
const keylessSeconds = 12
