package intake

import (
	"bytes"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// Lobby holds audio that waits for the picture with which it takes effect: a new configuration, or timestamps that jumped before those of
// the video.
type Lobby struct {
	frames   []ingest.Frame // copies
	bytes    int
	pictures []cut.Unit    // of a rung that jumped before the others; their frames are copies
	track    *ingest.Track // the waiting configuration; nil: only timestamps went astray
	returned bool          // a track returned after it was away for seconds
}

// HasSound reports whether any audio is waiting.
func (b *Lobby) HasSound() bool { return len(b.frames) > 0 }

// Track returns the configuration that the audio waits to introduce, or nil.
func (b *Lobby) Track() *ingest.Track { return b.track }

// Return records that a track has returned after it was away: a keyframe must begin a new timeline. Resume records that one did.
func (b *Lobby) Return() { b.returned = true }

// Resume records that the timeline requested by Return has begun.
func (b *Lobby) Resume() { b.returned = false }

// Bounds on what waits. A lasting change is believed after this many frames and takes effect with the next picture; before that, only at a
// keyframe. If no picture comes, or none at which a ladder may cut, the rest is dropped and counted.
const (
	changeAfter = 3
	strayFor    = 1 * codec.Clock
	lobbyFrames = 512
	lobbyBytes  = 512 << 10
	lobbyUnits  = 16
)

// Add copies a frame that introduces a track, or, if track is nil, went astray. It returns false if there is no room, or strays have waited
// for too long.
func (b *Lobby) Add(u *cut.Unit, t *ingest.Track) bool {
	if b.track != t && len(b.frames) > 0 {
		return false
	}
	if len(b.frames) >= lobbyFrames || b.bytes > lobbyBytes || t == nil && b.span() >= strayFor {
		return false
	}
	f := *u.Frame
	f.Units = [][]byte{bytes.Clone(u.Frame.Units[0])}
	b.frames, b.bytes, b.track = append(b.frames, f), b.bytes+len(f.Units[0]), t
	return true
}

// AddPicture copies a picture that has no place yet. It returns false if too many wait.
func (b *Lobby) AddPicture(u *cut.Unit) bool {
	if len(b.pictures) >= lobbyUnits {
		return false
	}
	held, f := *u, *u.Frame
	f.Units = make([][]byte, len(u.Frame.Units))
	for i, n := range u.Frame.Units {
		f.Units[i] = bytes.Clone(n)
	}
	held.Frame = &f
	b.pictures = append(b.pictures, held)
	return true
}

// Picture returns the first waiting picture, or nil.
func (b *Lobby) Picture() *cut.Unit {
	if len(b.pictures) == 0 {
		return nil
	}
	return &b.pictures[0]
}

// NextPicture removes the first picture.
func (b *Lobby) NextPicture() {
	if b.pictures = b.pictures[1:]; len(b.pictures) == 0 {
		b.pictures = nil
	}
}

// ForgetPictures removes all pictures.
func (b *Lobby) ForgetPictures() { b.pictures = nil }

// span returns the time that the waiting frames cover, in ticks.
func (b *Lobby) span() int64 {
	if len(b.frames) == 0 {
		return 0
	}
	d := b.frames[len(b.frames)-1].PTS - b.frames[0].PTS
	return max(d, -d)
}

// Due reports whether what waits takes effect with a picture; key reports whether that is a keyframe.
func (b *Lobby) Due(key bool) bool {
	return b.track != nil && (key || len(b.frames) >= changeAfter) || b.returned && key
}

// Take returns the waiting audio.
func (b *Lobby) Take() []ingest.Frame {
	f := b.frames
	b.frames, b.bytes, b.track = nil, 0, nil
	return f
}
