package segmenter

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

func (w *writer) writeVideo(f *ingest.Frame) {
	idr := isIDR(f.Track.Codec, f.Units)
	key := idr || f.Key
	if f.Track != w.video && !w.adoptVideo(f.Track, key) {
		return
	}
	dts, pts := f.DTS, f.PTS
	if pts > dts+maxDelay {
		pts = dts
		w.stats.DTSRepaired.Add(1)
	}
	if w.sawVideo {
		step := dts - w.videoDTS
		usual := max(w.frameDur, 1)
		switch {
		case step < -backLimit, step > max(gapLimit, 5*usual) && !(w.sawAudio && near(dts, w.audioPTS)), w.overrun(dts, pts, idr) && (w.member == nil || step > 5*usual):
			w.log.Info("the publisher's time stamps jump: a discontinuity", "seconds", duration(step).Seconds())
			w.breakLine()
		case step <= 0:
			dts = w.videoDTS + 1
			w.stats.DTSRepaired.Add(1)
		}
	}
	if pts < dts {
		pts = dts
		w.stats.DTSRepaired.Add(1)
	}
	if w.cur == nil && !key && !w.startKeyless(dts) {
		return
	}
	frame := w.frameDur
	if frame <= 0 {
		frame = usualFrame(f.Track)
	}
	if w.sawVideo {
		w.frameDur = dts - w.videoDTS
	}
	if idr {
		w.delay = pts - dts
		if w.cadence.announced == 0 && w.target == 0 {
			w.cadence.announce(announcedInterval(f.Units, f.Track.FrameRate))
		}
	}
	at := dts + w.delay
	if key {
		w.cadence.key(at)
	}
	if key && w.newAudio != nil && w.cur != nil {
		w.breakLine()
	}
	switch {
	case w.cur == nil:
		if !w.begin(at, dts, frame, f.Arrival, idr) {
			w.stats.DroppedBeforeKey.Add(1)
			return
		}
	case w.member != nil:
		w.rungCut(at, dts, frame, f.Arrival, idr, key)
	case key && w.cadence.atKey(at-w.cur.start):
		if w.clock.drifted(f.Arrival, at) {
			w.log.Info("media time fell behind the wall clock: PROGRAM-DATE-TIME is corrected",
				"seconds", f.Arrival.Sub(w.clock.at(at)).Seconds())
			w.breakLine()
			w.begin(at, dts, frame, f.Arrival, idr)
			break
		}
		w.cut(at, dts, f.Arrival, idr)
	case w.cadence.overdue(at-w.cur.start, w.frameDur+min(w.frameDur/2, unevenness)):
		w.forced()
		w.cut(at, dts, f.Arrival, idr)
	}
	w.videoDTS, w.videoArrival, w.sawVideo = dts, f.Arrival, true
	w.mux.Video(w.cur.buf, mpegts.VideoUnit{PTS: pts, DTS: dts, Units: f.Units, IDR: idr, ParameterSets: w.sets})
	w.cur.frames++
	for _, u := range f.Units {
		w.cur.videoBytes += int64(len(u))
	}
	w.stats.Frames.Add(1)
}

// overrun tells whether a frame comes so late after the one before that no cut can keep the target duration any more.
func (w *writer) overrun(dts, pts int64, idr bool) bool {
	if w.cur == nil {
		return false
	}
	delay := w.delay
	if idr {
		delay = pts - dts
	}
	return w.cadence.overdue(max(dts-w.cur.boundary, dts+delay-w.cur.start), 0)
}

// near tells whether two tracks are at the same place of one time line. A track that was silent for a while and comes
// back where the other has got to meanwhile did not jump.
func near(a, b int64) bool { return a-b < gapLimit && b-a < gapLimit }

// startKeyless decides on a video frame that finds no open segment and is no keyframe: it is dropped, unless the
// encoder has sent none for so long that it seems to use gradual refresh.
func (w *writer) startKeyless(dts int64) bool {
	if !w.isKeyless {
		w.isKeyless, w.keyless = true, dts
	}
	if w.member == nil && dts-w.keyless >= w.cadence.limit {
		w.forced()
		return true
	}
	w.stats.DroppedBeforeKey.Add(1)
	w.videoDTS, w.sawVideo = dts, true
	return false
}

// forced counts a cut without a keyframe, and says once per recording what to do.
func (w *writer) forced() {
	w.stats.ForcedCuts.Add(1)
	if !w.warnedForced {
		w.warnedForced = true
		w.log.Warn("no keyframe came in time, the segment is cut without one: set the encoder's keyframe interval to 2 s, or hls.target_duration to its interval",
			"target_duration", w.cadence.target)
	}
}

// adoptVideo takes a new video configuration over; false where the frame has to be dropped meanwhile.
func (w *writer) adoptVideo(t *ingest.Track, key bool) bool {
	if !configured(t) {
		w.stats.DroppedUnconfigured.Add(1)
		return false
	}
	if w.video != nil && sameConfiguration(w.video, t) {
		w.video, w.sets = t, parameterSets(t)
		return true
	}
	if !key {
		w.stats.DroppedBeforeKey.Add(1)
		return false
	}
	if w.cur != nil {
		w.breakLine()
	}
	w.video, w.sets = t, parameterSets(t)
	w.cadence.announce(t.KeyframeInterval)
	return true
}

// rungCut cuts where the ladder's grid says so.
func (w *writer) rungCut(at, dts, frame int64, arrival time.Time, idr, key bool) {
	if key {
		from := w.cur.start
		if w.video == nil && at-from < w.cadence.segment {
			from = at // sound can be cut anywhere: let the pictures of the others say what the grid is
		}
		if number, wall, ok := w.member.cut(at, from, frame, arrival); ok && number > w.cur.number {
			w.clock.anchor(wall, wall, at)
			w.cutTo(number, at, dts, arrival, idr)
			return
		}
	}
	if w.member.missed(at, w.cur.start, frame) {
		// It stands outside now and goes on by itself, from this frame, without the audio variant.
		if w.tee != nil {
			w.tee.holdBack(at)
			w.tee.stall()
			w.tee = nil
		}
		w.member = nil
		w.forced()
		w.cut(at, dts, arrival, idr)
	}
}

// usualFrame is the distance between frames where two have not been seen yet.
func usualFrame(t *ingest.Track) int64 {
	if t.FrameRate >= 1 {
		return int64(Clock / t.FrameRate)
	}
	return Clock / 25
}
