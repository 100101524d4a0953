package intake

import (
	"bytes"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// Lobby holds sound that waits for a picture, with which it takes effect: a new configuration, or time stamps that jumped
// before those of the picture.
type Lobby struct {
	frames   []ingest.Frame // copies
	bytes    int
	pictures []cut.Unit    // of a rung that jumped before the others; their frames are copies
	track    *ingest.Track // the configuration that waits; nil: only time stamps went astray
	returned bool          // a track came back after it was away for seconds
}

// HasSound reports whether any sound waits.
func (b *Lobby) HasSound() bool { return len(b.frames) > 0 }

// Track returns the configuration that the sound waits to introduce; nil: none.
func (b *Lobby) Track() *ingest.Track { return b.track }

// Return says that a track came back after it was away: a keyframe is to begin a new time line. Resume says that it did.
func (b *Lobby) Return() { b.returned = true }

// Resume says that the time line was begun for which Return asked.
func (b *Lobby) Resume() { b.returned = false }

// Bounds of what waits: a change that lasts is believed after so many frames and takes effect with the next picture, at a
// keyframe before that; where no picture comes, or none that a ladder may cut at, the rest is dropped and counted.
const (
	changeAfter = 3
	strayFor    = 1 * codec.Clock
	lobbyFrames = 512
	lobbyBytes  = 512 << 10
	lobbyUnits  = 16
)

// Add copies a frame, which introduces a track, or, where that is nil, went astray; false where there is no room, or strays have waited for too long.
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

// AddPicture copies a picture that has no place yet; false where too many wait.
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

// Picture returns the first picture that waits; nil: none does.
func (b *Lobby) Picture() *cut.Unit {
	if len(b.pictures) == 0 {
		return nil
	}
	return &b.pictures[0]
}

// NextPicture lets go of the first picture.
func (b *Lobby) NextPicture() {
	if b.pictures = b.pictures[1:]; len(b.pictures) == 0 {
		b.pictures = nil
	}
}

// ForgetPictures lets go of all pictures.
func (b *Lobby) ForgetPictures() { b.pictures = nil }

// span is the time that what waits covers, ticks.
func (b *Lobby) span() int64 {
	if len(b.frames) == 0 {
		return 0
	}
	d := b.frames[len(b.frames)-1].PTS - b.frames[0].PTS
	return max(d, -d)
}

// Due reports whether what waits takes effect with a picture, which may be a keyframe.
func (b *Lobby) Due(key bool) bool {
	return b.track != nil && (key || len(b.frames) >= changeAfter) || b.returned && key
}

// Take hands over the sound that waits.
func (b *Lobby) Take() []ingest.Frame {
	f := b.frames
	b.frames, b.bytes, b.track = nil, 0, nil
	return f
}
