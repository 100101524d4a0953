package cut

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Tolerances of a publisher's timeline, in ticks.
const (
	BackLimit  = 1 * codec.Clock  // a DTS that falls by more begins a new timeline
	gapLimit   = 2 * codec.Clock  // so does a DTS that jumps ahead by more
	maxDelay   = 10 * codec.Clock // a PTS further after its DTS is nonsense: at most 16 pictures are reordered
	ApartLimit = 10 * codec.Clock // audio that is further from the video than its arrival belongs to another timeline
)

// What counts as silence of a track. It is judged by arrival: the media time of the other track means nothing, because encoders may send
// one of them seconds early or late.
const (
	silentAfter = 500 * time.Millisecond  // no picture for this long, while audio came: the audio leads the cuts
	silentStep  = 250 * time.Millisecond  // the most that one arrival adds: a stalled uplink silences both
	absentAfter = 4500 * time.Millisecond // after this much silence a track's return is a discontinuity
)

// Line repairs and maps the times of one publisher's frames. It knows nothing about segments.
type Line struct {
	segment      int64 // the wanted duration of segments
	video, audio tempo
	keys         keys
	delay        int64 // composition offset of the newest random access point
	skew         int64 // how far audio is ahead of video by its timestamps, as a picture arrives
	repaired     int64 // timestamps that were changed
	jump         bool  // the newest break was a jump: see Unit.Resumes
}

// NewLine returns a Line for segments of a wanted duration in ticks.
func NewLine(segment int64) Line { return Line{segment: segment} }

// Reset forgets the timeline after a break, but keeps the usual frame durations.
func (l *Line) Reset(jump bool) {
	l.video = tempo{dur: l.video.dur}
	l.audio = tempo{dur: l.audio.dur}
	l.keys.seen = false
	l.jump = jump
}

// near reports whether two instants are at the same place of one timeline.
func near(a, b int64) bool { return a-b < gapLimit && b-a < gapLimit }

// Survey examines a frame and returns its unit, with the frame's own times. Place may change them.
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

// TakeRepaired returns how many timestamps were changed since the last call.
func (l *Line) TakeRepaired() int64 {
	n := l.repaired
	l.repaired = 0
	return n
}

// Step returns the distance of a unit from the newest one of its track, in ticks.
func (l *Line) Step(u *Unit) int64 { return u.DTS - l.tempo(u).last }

// Skips reports whether a unit comes more than five times later after the newest one of its track than usual.
func (l *Line) Skips(u *Unit) bool { return l.Step(u) > 5*max(l.tempo(u).dur, 1) }

// AfterJump reports whether the newest break of the timeline was a jump, and no segment has begun since.
func (l *Line) AfterJump() bool { return l.jump }

// Settle records that a segment continues after the newest break.
func (l *Line) Settle() { l.jump = false }

// RestartSound lets the sound begin anew where its next frame is: its clock jumped, and the picture's did not.
func (l *Line) RestartSound() { l.audio.seen, l.jump = false, false }

// Jumps reports whether a unit does not continue its track. A track that was silent for a while and returns at the other track's current
// position did not jump.
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

// Absent reports whether a unit's track returns after seconds of absence, while the other went on.
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

// Place repairs the unit's times so that DTS rises and PTS is not before it, and records its track's position.
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

// arrive records the arrival and position of the unit's track.
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

// reached returns how far the media has come by audio alone, since the last picture: as far as the audio advanced since then, which is
// where the picture would be, but no further than the audio's own timestamps.
func (l *Line) reached(sound int64) int64 {
	return min(sound, l.video.last+max(sound-l.video.mark, 0))
}

// Apart reports whether audio is further from the video than the time passed since: it has a different clock.
func (l *Line) Apart(u *Unit) bool {
	if !l.video.seen || near(u.PTS, l.video.last) {
		return false
	}
	off := u.PTS - l.video.last - codec.Ticks(u.Frame.Arrival.Sub(l.video.arrival))
	return off > ApartLimit || off < -ApartLimit
}

// Stray reports whether audio is on another timeline than the video: it jumped before the video, or is from before the video's jump.
func (l *Line) Stray(u *Unit) bool {
	if u.Video || !l.video.seen || l.pictureSilent() {
		return false
	}
	if !l.audio.seen {
		return l.jump && !near(u.PTS-l.skew, l.video.last)
	}
	return l.Jumps(u)
}

// pictureSilent reports whether audio has come for some time and no picture did. Pictures that usually come far apart are awaited for
// longer.
func (l *Line) pictureSilent() bool {
	v := &l.video
	if !v.seen {
		return false
	}
	return v.quiet > max(silentAfter, 2*Duration(v.dur))
}

// End returns the presentation time at which the newest of what was written ends, or 0 if nothing was.
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
