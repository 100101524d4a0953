package segmenter

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Tolerances of a publisher's time line, ticks.
const (
	backLimit  = 1 * Clock  // a DTS that falls by more begins a new time line
	gapLimit   = 2 * Clock  // a DTS that jumps ahead by more does, too
	maxDelay   = 10 * Clock // a PTS further behind its DTS is nonsense: at most 16 pictures are reordered
	apartLimit = 10 * Clock // sound that is further from the picture than it arrived is of another time line
)

// What counts as silence of a track. It is judged by arrival: media time of the other track says nothing, for encoders may
// send one of them seconds early or late.
const (
	silentAfter = 500 * time.Millisecond  // no picture for so long, while sound came: the sound leads the cuts
	silentStep  = 250 * time.Millisecond  // the most that one arrival adds: a stalled uplink is silence of both
	absentAfter = 4500 * time.Millisecond // after so much silence a track's return is a discontinuity
)

// line repairs and maps the time of one publisher's frames. It knows nothing of segments.
type line struct {
	segment      int64 // the wanted duration of segments
	video, audio tempo
	keys         keys
	delay        int64 // composition offset of the newest random access point
	skew         int64 // how far sound is ahead of the picture by its time stamps, as a picture arrives
	repaired     int64 // time stamps that were changed
	jump         bool  // the newest break was a jump: see unit.resumes
}

// tempo is how one track goes on.
type tempo struct {
	seen    bool
	last    int64 // DTS of the newest frame
	dur     int64 // the usual distance between two
	shown   int64 // the latest PTS
	arrival time.Time
	quiet   time.Duration // time in which the other track arrived and this one did not
	mark    int64         // where the other track was when this one arrived last
}

// keys remembers where a decoder may begin.
type keys struct {
	seen           bool
	last, interval int64 // of IDR, BLA and CRA pictures
}

// admits reports whether a segment may begin with a picture that is shown at some instant. An H.264 recovery point counts
// only where IDR pictures do not come in time, or never: they are the better beginning.
func (k *keys) admits(a codec.Access, at, segment int64) bool {
	if a == codec.Recovery {
		return !k.seen || at-k.last+Clock/10 >= max(segment, k.interval*5/4)
	}
	return a > codec.Recovery
}

// note remembers a picture.
func (k *keys) note(a codec.Access, at int64) {
	if a <= codec.Recovery {
		return
	}
	if k.seen && at > k.last {
		k.interval = at - k.last
	}
	k.seen, k.last = true, at
}

// end is where the newest frame ends, in decoding time.
func (t *tempo) end() int64 { return t.last + t.dur }

// reset forgets the time line, after a break of it. How long frames usually last is still true.
func (l *line) reset(jump bool) {
	l.video = tempo{dur: l.video.dur}
	l.audio = tempo{dur: l.audio.dur}
	l.keys.seen = false
	l.jump = jump
}

// NewLine returns a line for segments of a wanted duration, ticks.
func NewLine(segment int64) line { return line{segment: segment} }

// near reports whether two instants are at the same place of one time line.
func near(a, b int64) bool { return a-b < gapLimit && b-a < gapLimit }

// survey looks at a frame and gives its unit, with the times that it brought. Place may change them.
func (l *line) survey(f *ingest.Frame) unit {
	u := unit{frame: f, video: f.Track.Codec.IsVideo(), pts: f.PTS, dts: f.DTS, key: true}
	if !u.video {
		u.dts, u.at, u.dur = u.pts, u.pts, audioFrameDuration(f.Track)
		return u
	}
	u.survey = f.Track.Codec.Survey(f.Units)
	if u.pts > u.dts+maxDelay {
		u.pts = u.dts
		l.repaired++
	}
	if u.dur = l.video.dur; u.dur <= 0 {
		u.dur = codec.FrameDuration(f.Track.FrameRate)
	}
	if u.at = u.dts + l.delay; u.survey.Access != codec.NoAccess {
		u.at = u.pts
	}
	return u
}

// TakeRepaired returns how many time stamps were changed since the last call.
func (l *line) TakeRepaired() int64 {
	n := l.repaired
	l.repaired = 0
	return n
}

// Step returns how far a unit is from the newest one of its track, ticks.
func (l *line) Step(u *unit) int64 { return u.dts - l.tempo(u).last }

// Skips reports whether a unit comes more than five times as late after the newest one of its track as is usual.
func (l *line) Skips(u *unit) bool { return l.Step(u) > 5*max(l.tempo(u).dur, 1) }

// Jumped reports whether the newest break of the time line was a jump, and no segment has begun since.
func (l *line) Jumped() bool { return l.jump }

// Settle says that a segment goes on behind the newest break.
func (l *line) Settle() { l.jump = false }

// RestartSound lets the sound begin anew where its next frame is: its clock jumped, and the picture's did not.
func (l *line) RestartSound() { l.audio.seen, l.jump = false, false }

// jumps reports whether a unit does not go on where its track was. A track that was silent for a while and comes back where
// the other has got to meanwhile did not jump.
func (l *line) jumps(u *unit) bool {
	t, other := &l.audio, l.video.last+l.skew
	there := l.video.seen
	if u.video {
		t, other, there = &l.video, l.audio.last-l.skew, l.audio.seen
	}
	if !t.seen {
		return false
	}
	step := u.dts - t.last
	return step < -backLimit || step > max(gapLimit, 5*t.dur) && !(there && near(u.dts, other))
}

// absent reports whether a unit's track comes back after it was away for seconds, while the other went on.
func (l *line) absent(u *unit) bool {
	t := l.tempo(u)
	return t.seen && t.away()
}

// away reports whether the track has been silent for seconds.
func (t *tempo) away() bool { return t.quiet >= max(absentAfter, 2*duration(t.dur)) }

func (l *line) tempo(u *unit) *tempo {
	if u.video {
		return &l.video
	}
	return &l.audio
}

// entry reports whether a segment may begin with a picture.
func (l *line) entry(u *unit) bool { return l.keys.admits(u.survey.Access, u.pts, l.segment) }

// place repairs the unit's times so that DTS rises and PTS is not before it, and notes where its track is now.
func (l *line) place(u *unit) {
	t := l.tempo(u)
	if t.seen && u.dts <= t.last {
		u.dts = t.last + 1
		l.repaired++
		if !u.video {
			u.pts = u.dts
		}
	}
	if u.pts < u.dts {
		u.pts = u.dts
		l.repaired++
	}
	u.at, u.boundary = u.pts, u.dts
	if u.video {
		u.access = u.survey.Access != codec.NoAccess
		if u.key = l.entry(u); u.access {
			l.delay = u.pts - u.dts
		}
		l.keys.note(u.survey.Access, u.pts)
		u.at = u.dts + l.delay
	}
	u.resumes = l.jump
	l.arrive(u, t)
}

// arrive notes when and where the unit's track is.
func (l *line) arrive(u *unit, t *tempo) {
	now, other := u.frame.Arrival, &l.video
	if u.video {
		other = &l.audio
	}
	newest := t.arrival
	if other.arrival.After(newest) {
		newest = other.arrival
	}
	if other.seen && !newest.IsZero() {
		other.quiet += min(max(now.Sub(newest), 0), max(silentStep, 2*duration(t.dur)))
		u.alone = other.away()
	}
	switch {
	case !u.video:
		if t.dur = u.dur; !t.seen {
			l.video.mark = u.pts
		}
	case t.seen:
		t.dur = u.dts - t.last
	default:
		t.dur = u.dur
	}
	first := !t.seen
	if first {
		t.shown = u.pts
	}
	t.seen, t.last, t.shown, t.arrival, t.quiet, t.mark = true, u.dts, max(t.shown, u.pts), now, 0, other.last
	if other.seen && (first || u.video && other.quiet < silentStep) {
		l.skew = l.audio.last - l.video.last
	}
	if u.video || !l.pictureSilent() {
		return
	}
	u.silent, u.boundary = true, max(l.video.last, l.reached(u.pts))
	u.at = u.boundary + l.delay
}

// reached is how far the media has come by sound alone, since the last picture came: as far as the sound went on since then,
// which is where the picture would be, and no further than its own time stamps.
func (l *line) reached(sound int64) int64 {
	return min(sound, l.video.last+max(sound-l.video.mark, 0))
}

// apart reports whether sound is far from the picture, by more than the time that passed since: its clock is another one.
func (l *line) apart(u *unit) bool {
	if !l.video.seen || near(u.pts, l.video.last) {
		return false
	}
	off := u.pts - l.video.last - ticks(u.frame.Arrival.Sub(l.video.arrival))
	return off > apartLimit || off < -apartLimit
}

// stray reports whether sound is of a time line that the picture is not on: it jumped before the picture, or comes from
// before the picture's jump.
func (l *line) stray(u *unit) bool {
	if u.video || !l.video.seen || l.pictureSilent() {
		return false
	}
	if !l.audio.seen {
		return l.jump && !near(u.pts-l.skew, l.video.last)
	}
	return l.jumps(u)
}

// pictureSilent reports whether sound has come for some time and no picture did. Pictures that usually come far apart
// are waited for longer.
func (l *line) pictureSilent() bool {
	v := &l.video
	if !v.seen {
		return false
	}
	return v.quiet > max(silentAfter, 2*duration(v.dur))
}

// end is the presentation time at which the newest of what was written ends; 0 where nothing was.
func (l *line) end() int64 {
	v := &l.video
	switch {
	case !v.seen:
		return l.audio.end()
	case l.audio.seen && l.pictureSilent():
		return max(v.shown+v.dur, l.reached(l.audio.end()))
	}
	return v.shown + v.dur
}

// audioFrameDuration is that of one frame, ticks.
func audioFrameDuration(t *ingest.Track) int64 {
	if t.Codec == ingest.AAC {
		return codec.AACSamples * Clock / int64(max(t.SampleRate, 8000))
	}
	return codec.MP3FrameDuration(t.SampleRate)
}
