package rtsp

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

const (
	// timelineStart is where a publisher's timeline begins: far enough from 0 that no decoding time is negative.
	timelineStart = 10 * ingest.Clock
	// maxSkew is the most by which sender reports may contradict the times of arrival and still be believed.
	maxSkew = 10 * ingest.Clock
	// stepSkew is the error between the tracks that is corrected at once.
	stepSkew = ingest.Clock / 10
	// deadband is the error that is ignored: encoders round, and read the clock at slightly different moments.
	deadband = ingest.Clock / 100
	// slewShare is the rate at which smaller errors are corrected, as a part of passing time: 1 ms in a second.
	slewShare = 1000
)

// alignment maps the timeline of one track to that of the publisher.
type alignment struct {
	base int64 // added to the track's own ticks
	set  bool

	reported      bool   // there is a sender report
	reportSSRC    uint32 // whose it is
	reportRTP     uint32
	reportNTP     int64 // 90 kHz ticks
	reportPending bool  // it came before the first packet, so its place on the track's timeline is not known yet
	distance      int64 // NTP minus the track's own ticks

	slew       int64 // still to be corrected; either sign
	slewFrom   int64 // own ticks up to which it has been corrected
	slewActive bool

	lastOut     int64     // newest decoding time passed on
	lastArrival time.Time // its arrival
}

// aligner puts the two tracks of a publisher on one timeline.
//
// The RTP timestamps of two tracks are unrelated. Sender reports tie each track to the encoder's wall clock, and with a report for each
// track the frames are placed exactly. Some encoders send the first reports late or never: then each track is placed by its least delayed
// frame, which is right within the difference of the encoder's delays, and corrected when the reports arrive. An error over 100 ms is
// corrected in one step: the track that is early moves forward in time. It never moves backwards, so no decoding time is repeated and the
// other track is not affected. A smaller error is corrected gradually on audio timestamps, 1 ms per second; this also keeps tracks together
// whose clocks drift apart.
type aligner struct {
	tracks []*track // at most one video and one audio track
	stats  *Stats
}

// report records a sender report.
func (a *aligner) report(t *track, ssrc uint32, ntp uint64, ts uint32) {
	if ntp == 0 { // the encoder has no clock; RFC 3550 allows it to say so
		a.stats.SenderReportsIgnored.Add(1)
		return
	}
	al := &t.align
	al.reported, al.reportPending = true, !t.clock.started
	al.reportSSRC, al.reportRTP, al.reportNTP = ssrc, ts, ntp90(ntp)
	if t.clock.started {
		a.placeReport(t)
	}
	a.stats.SenderReports.Add(1)
	a.correct()
}

// placeReport computes the distance between the wall clock and the track's own ticks.
func (a *aligner) placeReport(t *track) {
	t.align.reportPending = false
	t.align.distance = t.align.reportNTP - t.clock.at(t.align.reportRTP)
}

// placed reports whether a track's sender report can be used.
func (t *track) placed() bool { return t.align.reported && !t.align.reportPending }

// ready reports whether every track has begun and is tied to the wall clock.
func (a *aligner) ready() bool {
	for _, t := range a.tracks {
		if !t.clock.started || !t.placed() {
			return false
		}
	}
	return true
}

// awaits reports whether a track without a place may still get one from a report to come: the other track has its report.
func (a *aligner) awaits(t *track) bool {
	for _, other := range a.tracks {
		if other != t && other.placed() {
			return !t.placed()
		}
	}
	return false
}

// begin sets the bases of the tracks that have begun, from the frames held so far. The timeline begins with the first of them.
func (a *aligner) begin(held []heldFrame) {
	if len(held) == 0 {
		return
	}
	start := held[0].arrival
	for _, h := range held {
		// The least delayed frame shows best when the track's clock began.
		base := ticks90(h.arrival.Sub(start)) - h.pts
		if al := &h.track.align; !al.set || base < al.base {
			al.set, al.base = true, base
		}
	}
	a.moveToReports(func(early *track, by int64) { early.align.base += by })
	first := held[0].dts + held[0].track.align.base
	for _, h := range held {
		first = min(first, h.dts+h.track.align.base)
	}
	for _, t := range a.tracks {
		t.align.base += timelineStart - first
	}
}

// join sets the base of a track whose first frame comes after begin.
func (a *aligner) join(t *track, pts int64, arrival time.Time) {
	if t.align.set {
		return
	}
	t.align.set, t.align.base = true, timelineStart-pts
	for _, other := range a.tracks {
		if other != t && other.align.set {
			t.align.base = other.align.lastOut + ticks90(arrival.Sub(other.align.lastArrival)) - pts
			if skew, ok := a.skew(); ok {
				// Nothing of this track has been passed on: it may move either way.
				if t.stream.codec().IsVideo() {
					skew = -skew
				}
				t.align.base += skew
			}
		}
	}
}

// skew returns how early audio is on the timeline: what must be added to its base. ok is false without a report for each track, or if they
// cannot be true.
func (a *aligner) skew() (skew int64, ok bool) {
	var video, audio *track
	for _, t := range a.tracks {
		if t.stream.codec().IsVideo() {
			video = t
		} else {
			audio = t
		}
	}
	if video == nil || audio == nil || !video.placed() || !audio.placed() || !video.align.set || !audio.align.set {
		return 0, false
	}
	skew = (audio.align.distance - video.align.distance) - (audio.align.base - video.align.base)
	if skew > maxSkew || skew < -maxSkew {
		a.stats.SenderReportsIgnored.Add(1)
		return 0, false
	}
	return skew, true
}

// moveToReports calls move with the track that is early, and by how much.
func (a *aligner) moveToReports(move func(early *track, by int64)) {
	skew, ok := a.skew()
	if !ok {
		return
	}
	for _, t := range a.tracks {
		switch video := t.stream.codec().IsVideo(); {
		case !video && skew > 0:
			move(t, skew)
		case video && skew < 0:
			move(t, -skew)
		}
	}
}

// correct compares the timeline with the newest reports, and steps, slews, or does nothing.
func (a *aligner) correct() {
	skew, ok := a.skew()
	if !ok {
		return
	}
	step := skew > stepSkew || skew < -stepSkew
	for _, t := range a.tracks {
		if t.stream.codec().IsVideo() {
			continue
		}
		t.align.slewActive = !step && (skew > deadband || skew < -deadband)
		t.align.slew, t.align.slewFrom = skew, t.clock.at(t.clock.prev)
	}
	if step {
		a.moveToReports(func(early *track, by int64) {
			early.align.base += by
			a.stats.Steps.Add(1)
		})
	}
}

// place maps a track's own ticks to the timeline and applies a part of the correction.
func (al *alignment) place(own int64) int64 {
	if al.slewActive {
		most := (own - al.slewFrom) / slewShare
		if most > 0 {
			d := min(max(al.slew, -most), most)
			al.base += d
			al.slew -= d
			al.slewFrom += most * slewShare
			al.slewActive = al.slew != 0
		}
	}
	return own + al.base
}
