package intake

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// How long a session waits for its second track before it begins with one, and for a keyframe before it begins without: media time, frames
// and bytes.
const (
	gatherTicks    = 1 * codec.Clock
	announcedTicks = 6 * codec.Clock // for a track that the encoder announced
	gatherFrames   = 2048
	gatherBytes    = 16 << 20
	earlyFrames    = 1024                   // of audio before the first picture
	burst          = 100 * time.Millisecond // of arrival: what an encoder held back comes all at once
)

// Gather holds a publisher's first frames until it is known which tracks there are, because the program map at the start of the first
// segment must name them, and until a picture has come with which a segment can begin. It keeps audio that was sent before that picture and
// is heard after it.
type Gather struct {
	Memory *ingest.Memory // accounts for what is held; nil: no bound. Without room nothing more is awaited.

	full         bool // there was no room
	done         bool
	video, audio *ingest.Track
	frames       []ingest.Frame // copies
	early        int            // those of them before the first picture
	begun        bool           // the first picture is among them
	bytes        int
	first        [2]int64 // DTS of the first frame of each kind
	span         int64
}

// Done reports whether the frames were taken: frames no longer need to be held.
func (g *Gather) Done() bool { return g.done }

// Tracks returns the tracks that came.
func (g *Gather) Tracks() cut.Tracks { return cut.Tracks{Video: g.video, Audio: g.audio} }

// Usable reports whether what is held can be written, although more was awaited. It is false after it was taken.
func (g *Gather) Usable() bool { return !g.done && (g.video == nil || g.begun) }

// Add copies a frame. A frame without content only announces its track. Add returns what it cannot use in dropped: a picture before the
// first keyframe, or the oldest audio if there is too much.
func (g *Gather) Add(f *ingest.Frame) (dropped *ingest.Frame) {
	kind, track := 0, &g.video
	video := f.Track.Codec.IsVideo()
	if !video {
		kind, track = 1, &g.audio
	}
	if *track == nil {
		g.first[kind] = f.DTS
	}
	*track = f.Track
	if !HasContent(f) {
		return nil
	}
	passed := f.DTS - g.first[kind]
	g.span = max(g.span, passed)
	switch {
	case video && !g.begun:
		if f.Track.Codec.Survey(f.Units).Access == codec.NoAccess && passed < cut.Keyless {
			return f
		}
		g.begun = true
	case !video && !g.begun && g.video != nil && passed >= cut.Keyless+codec.Clock:
		g.video = nil // none can be expected any more
	}
	if !video && !g.begun {
		if g.early++; g.early > earlyFrames {
			dropped = &ingest.Frame{Track: g.frames[0].Track}
			g.frames, g.early = g.frames[1:], g.early-1
		}
	}
	held := *f
	held.Units = make([][]byte, len(f.Units))
	n := 0
	for i, u := range f.Units {
		held.Units[i] = append([]byte(nil), u...)
		n += len(u)
	}
	if g.full = !g.Memory.Hold(int64(n)); !g.full {
		g.bytes += n
	}
	g.frames = append(g.frames, held)
	return dropped
}

// Ready reports whether the recording can begin.
func (g *Gather) Ready() bool {
	if !g.known() || g.video != nil && !g.begun {
		return false
	}
	n := len(g.frames)
	return g.full || n >= gatherFrames || g.bytes >= gatherBytes || n > 0 && g.frames[n-1].Arrival.Sub(g.frames[0].Arrival) >= burst
}

// Made returns when the first of the frames was made, judging by the least delayed frame of its track.
func Made(frames []ingest.Frame) time.Time {
	first := &frames[0]
	at := first.Arrival
	for i := range frames {
		f := &frames[i]
		if f.Track.Codec.IsVideo() != first.Track.Codec.IsVideo() {
			continue
		}
		if made := f.Arrival.Add(-cut.Duration(f.DTS - first.DTS)); made.Before(at) && f.DTS-first.DTS < cut.Keyless {
			at = made
		}
	}
	return at
}

// known reports whether all expected tracks have come.
func (g *Gather) known() bool {
	only := g.video
	if only == nil {
		only = g.audio
	}
	switch {
	case only == nil:
		return false
	case g.video != nil && g.audio != nil, only.Alone, g.full, len(g.frames) >= gatherFrames, g.bytes >= gatherBytes:
		return true
	case only.Both:
		return g.span >= announcedTicks
	}
	return g.span >= gatherTicks
}

// Drop ends the gathering without its frames.
func (g *Gather) Drop() {
	g.Memory.Yield(int64(g.bytes))
	g.done, g.bytes = true, 0
}

// Take returns what was gathered, in the order in which it can be written, beginning with the picture that begins the recording. What is
// heard before that is in dropped.
func (g *Gather) Take() (frames, dropped []ingest.Frame) {
	g.Drop()
	frames, g.frames = g.frames, nil
	if g.video == nil || !g.begun {
		return frames, nil
	}
	before := frames[:g.early]
	frames = append([]ingest.Frame{}, frames[g.early:]...)
	first := frames[0]
	kept := []ingest.Frame{first}
	for _, f := range before {
		if f.PTS >= first.DTS {
			kept = append(kept, f)
		} else {
			dropped = append(dropped, f)
		}
	}
	return silent(append(kept, frames[1:]...)), dropped
}

// HasContent reports whether a frame has any content.
func HasContent(f *ingest.Frame) bool {
	for _, u := range f.Units {
		if len(u) > 0 {
			return true
		}
	}
	return false
}
