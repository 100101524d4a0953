package cut

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Tolerances of a publisher's time line, ticks.
const (
	BackLimit  = 1 * codec.Clock  // a DTS that falls by more begins a new time line
	gapLimit   = 2 * codec.Clock  // a DTS that jumps ahead by more does, too
	maxDelay   = 10 * codec.Clock // a PTS further behind its DTS is nonsense: at most 16 pictures are reordered
	ApartLimit = 10 * codec.Clock // sound that is further from the picture than it arrived is of another time line
)

// What counts as silence of a track. It is judged by arrival: media time of the other track says nothing, for encoders may
// send one of them seconds early or late.
const (
	silentAfter = 500 * time.Millisecond  // no picture for so long, while sound came: the sound leads the cuts
	silentStep  = 250 * time.Millisecond  // the most that one arrival adds: a stalled uplink is silence of both
	absentAfter = 4500 * time.Millisecond // after so much silence a track's return is a discontinuity
)

// Line repairs and maps the time of one publisher's frames. It knows nothing of segments.
type Line struct {
	segment      int64 // the wanted duration of segments
	video, audio tempo
	keys         keys
	delay        int64 // composition offset of the newest random access point
	skew         int64 // how far sound is ahead of the picture by its time stamps, as a picture arrives
	repaired     int64 // time stamps that were changed
	jump         bool  // the newest break was a jump: see Unit.Resumes
}

// NewLine returns a line for segments of a wanted duration, ticks.
func NewLine(segment int64) Line { return Line{segment: segment} }

// Reset forgets the time line, after a break of it. How long frames usually last is still true.
func (l *Line) Reset(jump bool) {
	l.video = tempo{dur: l.video.dur}
	l.audio = tempo{dur: l.audio.dur}
	l.keys.seen = false
	l.jump = jump
}

// near reports whether two instants are at the same place of one time line.
func near(a, b int64) bool { return a-b < gapLimit && b-a < gapLimit }

// Survey looks at a frame and gives its unit, with the times that it brought. Place may change them.
func (l *Line) Survey(f *ingest.Frame) Unit {
	u := Unit{Frame: f, Video: f.Track.Codec.IsVideo(), PTS: f.PTS, DTS: f.DTS, Key: true}
	if !u.Video {
		u.DTS, u.At, u.Duration = u.PTS, u.PTS, FrameDuration(f.Track)
		return u
	}
	u.Survey = f.Track.Codec.Survey(f.Units)
	if u.PTS > u.DTS+maxDelay {
		u.PTS = u.DTS
		l.repaired++
	}
	if u.Duration = l.video.dur; u.Duration <= 0 {
		u.Duration = codec.FrameDuration(f.Track.FrameRate)
	}
	if u.At = u.DTS + l.delay; u.Survey.Access != codec.NoAccess {
		u.At = u.PTS
	}
	return u
}

// TakeRepaired returns how many time stamps were changed since the last call.
func (l *Line) TakeRepaired() int64 {
	n := l.repaired
	l.repaired = 0
	return n
}

// Step returns how far a unit is from the newest one of its track, ticks.
func (l *Line) Step(u *Unit) int64 { return u.DTS - l.tempo(u).last }

// Skips reports whether a unit comes more than five times as late after the newest one of its track as is usual.
func (l *Line) Skips(u *Unit) bool { return l.Step(u) > 5*max(l.tempo(u).dur, 1) }

// AfterJump reports whether the newest break of the time line was a jump, and no segment has begun since.
func (l *Line) AfterJump() bool { return l.jump }

// Settle says that a segment goes on behind the newest break.
func (l *Line) Settle() { l.jump = false }

// RestartSound lets the sound begin anew where its next frame is: its clock jumped, and the picture's did not.
func (l *Line) RestartSound() { l.audio.seen, l.jump = false, false }

// Jumps reports whether a unit does not go on where its track was. A track that was silent for a while and comes back where
// the other has got to meanwhile did not jump.
func (l *Line) Jumps(u *Unit) bool {
	t, other := &l.audio, l.video.last+l.skew
	there := l.video.seen
	if u.Video {
		t, other, there = &l.video, l.audio.last-l.skew, l.audio.seen
	}
	if !t.seen {
		return false
	}
	step := u.DTS - t.last
	return step < -BackLimit || step > max(gapLimit, 5*t.dur) && !(there && near(u.DTS, other))
}

// Absent reports whether a unit's track comes back after it was away for seconds, while the other went on.
func (l *Line) Absent(u *Unit) bool {
	t := l.tempo(u)
	return t.seen && t.away()
}

func (l *Line) tempo(u *Unit) *tempo {
	if u.Video {
		return &l.video
	}
	return &l.audio
}

// Admits reports whether a segment may begin with a picture.
func (l *Line) Admits(u *Unit) bool { return l.keys.admits(u.Survey.Access, u.PTS, l.segment) }

// Place repairs the unit's times so that DTS rises and PTS is not before it, and notes where its track is now.
func (l *Line) Place(u *Unit) {
	t := l.tempo(u)
	if t.seen && u.DTS <= t.last {
		u.DTS = t.last + 1
		l.repaired++
		if !u.Video {
			u.PTS = u.DTS
		}
	}
	if u.PTS < u.DTS {
		u.PTS = u.DTS
		l.repaired++
	}
	u.At, u.Boundary = u.PTS, u.DTS
	if u.Video {
		u.Access = u.Survey.Access != codec.NoAccess
		if u.Key = l.Admits(u); u.Access {
			l.delay = u.PTS - u.DTS
		}
		l.keys.note(u.Survey.Access, u.PTS)
		u.At = u.DTS + l.delay
	}
	u.Resumes = l.jump
	l.arrive(u, t)
}

// arrive notes when and where the unit's track is.
func (l *Line) arrive(u *Unit, t *tempo) {
	now, other := u.Frame.Arrival, &l.video
	if u.Video {
		other = &l.audio
	}
	newest := t.arrival
	if other.arrival.After(newest) {
		newest = other.arrival
	}
	if other.seen && !newest.IsZero() {
		other.quiet += min(max(now.Sub(newest), 0), max(silentStep, 2*Duration(t.dur)))
		u.Alone = other.away()
	}
	switch {
	case !u.Video:
		if t.dur = u.Duration; !t.seen {
			l.video.mark = u.PTS
		}
	case t.seen:
		t.dur = u.DTS - t.last
	default:
		t.dur = u.Duration
	}
	first := !t.seen
	if first {
		t.shown = u.PTS
	}
	t.seen, t.last, t.shown, t.arrival, t.quiet, t.mark = true, u.DTS, max(t.shown, u.PTS), now, 0, other.last
	if other.seen && (first || u.Video && other.quiet < silentStep) {
		l.skew = l.audio.last - l.video.last
	}
	if u.Video || !l.pictureSilent() {
		return
	}
	u.Silent, u.Boundary = true, max(l.video.last, l.reached(u.PTS))
	u.At = u.Boundary + l.delay
}

// reached is how far the media has come by sound alone, since the last picture came: as far as the sound went on since then,
// which is where the picture would be, and no further than its own time stamps.
func (l *Line) reached(sound int64) int64 {
	return min(sound, l.video.last+max(sound-l.video.mark, 0))
}

// Apart reports whether sound is far from the picture, by more than the time that passed since: its clock is another one.
func (l *Line) Apart(u *Unit) bool {
	if !l.video.seen || near(u.PTS, l.video.last) {
		return false
	}
	off := u.PTS - l.video.last - codec.Ticks(u.Frame.Arrival.Sub(l.video.arrival))
	return off > ApartLimit || off < -ApartLimit
}

// Stray reports whether sound is of a time line that the picture is not on: it jumped before the picture, or comes from
// before the picture's jump.
func (l *Line) Stray(u *Unit) bool {
	if u.Video || !l.video.seen || l.pictureSilent() {
		return false
	}
	if !l.audio.seen {
		return l.jump && !near(u.PTS-l.skew, l.video.last)
	}
	return l.Jumps(u)
}

// pictureSilent reports whether sound has come for some time and no picture did. Pictures that usually come far apart
// are waited for longer.
func (l *Line) pictureSilent() bool {
	v := &l.video
	if !v.seen {
		return false
	}
	return v.quiet > max(silentAfter, 2*Duration(v.dur))
}

// End returns the presentation time at which the newest of what was written ends; 0 where nothing was.
func (l *Line) End() int64 {
	v := &l.video
	switch {
	case !v.seen:
		return l.audio.end()
	case l.audio.seen && l.pictureSilent():
		return max(v.shown+v.dur, l.reached(l.audio.end()))
	}
	return v.shown + v.dur
}
