package segmenter

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

func (w *writer) writeAudio(f *ingest.Frame) {
	if f.Track == w.audio {
		w.newAudio = nil
	} else if !w.adoptAudio(f.Track) {
		return
	}
	pts := f.PTS
	dur := audioFrameDuration(f.Track)
	if w.sawAudio {
		step := pts - w.audioPTS
		switch {
		case step < -backLimit, step > gapLimit && !(w.sawVideo && near(pts, w.videoDTS)),
			w.video == nil && w.member == nil && w.overrun(pts, pts, true):
			w.log.Info("the publisher's time stamps jump: a discontinuity", "seconds", duration(step).Seconds())
			w.breakLine()
		case step <= 0:
			pts = w.audioPTS + 1
			w.stats.DTSRepaired.Add(1)
		}
	}
	if w.video != nil && w.cur == nil && !w.soundAlone(pts) {
		w.stats.DroppedBeforeVideo.Add(1)
		return
	}
	if w.apart(pts, f.Arrival) {
		w.stats.DroppedBeforeVideo.Add(1)
		return
	}
	switch {
	case w.cur == nil:
		if !w.begin(pts, pts, dur, f.Arrival, true) {
			w.stats.DroppedBeforeKey.Add(1)
			return
		}
	case w.closing != nil:
		if pts < w.cur.boundary {
			w.audioPTS, w.audioDur, w.sawAudio = pts, dur, true
			w.mux.Audio(w.closing.buf, pts, f.Units[0])
			if w.tee != nil {
				w.tee.frame(pts, f)
			}
			w.closing.frames++
			w.stats.Frames.Add(1)
			if pts+2*dur > w.cur.boundary {
				w.finishClosing()
			}
			return
		}
		w.finishClosing()
	case w.video == nil && w.member != nil:
		w.rungCut(pts, pts, dur, f.Arrival, true, true)
	case w.video == nil:
		if e := pts - w.cur.start; e >= w.cadence.segment || w.cadence.overdue(e, dur*3/2) || w.cadence.target == 0 && e >= firstMin {
			if w.clock.drifted(f.Arrival, pts) {
				w.breakLine()
				w.begin(pts, pts, dur, f.Arrival, true)
				break
			}
			w.cut(pts, pts, f.Arrival, true)
		}
	case pts-w.videoDTS > videoSilent && w.cadence.overdue(pts+w.delay-w.cur.start, dur):
		// The picture stands still, the sound goes on: so does the playlist. That it does was seen late, maybe too late for
		// the target duration: then the cut lies a little back, and some sound before it.
		at := min(pts+w.delay, w.cur.start+w.cadence.longest())
		w.forced()
		w.cut(at, at-w.delay, f.Arrival, false)
	}
	w.audioPTS, w.audioDur, w.sawAudio = pts, dur, true
	w.mux.Audio(w.cur.buf, pts, f.Units[0])
	if w.tee != nil {
		w.tee.frame(pts, f)
	}
	w.cur.frames++
	w.stats.Frames.Add(1)
}

// apart tells whether an audio frame is far from the video in media time, by more than the time that passed since: its clock
// jumped alone, or was another one from the beginning. Where it leads, the playlist must not follow.
func (w *writer) apart(pts int64, arrival time.Time) bool {
	if !w.sawVideo || w.cur == nil || near(pts, w.videoDTS) {
		return false
	}
	off := pts - w.videoDTS - ticks(arrival.Sub(w.videoArrival))
	return off > apartLimit || off < -apartLimit
}

// soundAlone decides on an audio frame that finds no open segment, where there should be video: it is dropped, unless no
// video that a segment could begin with has come for so long that none can be expected any more. One that still comes
// begins with a discontinuity.
func (w *writer) soundAlone(pts int64) bool {
	if !w.isKeyless {
		w.isKeyless, w.keyless = true, pts
	}
	if w.member != nil || pts-w.keyless < w.cadence.limit+Clock {
		return false
	}
	w.video = nil
	return true
}

// adoptAudio takes a new audio configuration over; false where the frame has to be dropped until the next keyframe, at
// which the change is a discontinuity.
func (w *writer) adoptAudio(t *ingest.Track) bool {
	if !configured(t) {
		w.stats.DroppedUnconfigured.Add(1)
		return false
	}
	switch {
	case w.audio != nil && sameConfiguration(w.audio, t):
		w.audio = t
		return true
	case w.cur == nil:
		w.audio = t
		return true
	case w.video == nil:
		w.breakLine()
		w.audio = t
		return true
	}
	w.newAudio = t
	w.stats.DroppedUnconfigured.Add(1)
	return false
}

// audioFrameDuration is that of one frame: 1024 samples of the core coder for AAC, 1152 or 576 for MP3.
func audioFrameDuration(t *ingest.Track) int64 {
	rate := int64(max(t.SampleRate, 8000))
	switch {
	case t.Codec == ingest.AAC:
		return 1024 * Clock / rate
	case rate < 32000:
		return 576 * Clock / rate
	}
	return 1152 * Clock / rate
}

func (w *writer) audioIsLate(boundary int64) bool {
	if w.audio == nil || !w.sawAudio || w.video == nil {
		return false
	}
	missing := boundary - (w.audioPTS + w.audioDur)
	return missing > w.audioDur && missing < Clock
}
