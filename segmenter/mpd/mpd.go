// Package mpd renders DASH manifests (ISO/IEC 23009-1): plain values in, bytes out. It knows what this server publishes, segment
// time lines with numbers over the objects of HLS, keeps no state, does no I/O, and refuses to know where the values come from.
package mpd

import "time"

// MPD is a manifest.
type MPD struct {
	// Start is the instant that the time line of a manifest that grows is counted from, availabilityStartTime. The zero value says
	// that nothing will be added: the manifest is static.
	Start    time.Time
	Duration time.Duration // of a static one

	Published time.Time
	Update    time.Duration // minimumUpdatePeriod
	Window    time.Duration // timeShiftBufferDepth; 0: all that there is
	Delay     time.Duration // suggestedPresentationDelay; 0: none
	Segment   time.Duration // maxSegmentDuration
	Clock     string        // URL of the time, relative to the manifest
	Latency   Latency       // the zero value: nothing is said
	Periods   []Period
}

// Latency is how far behind live players should be, in a ServiceDescription. They play a little faster or slower to get there.
type Latency struct{ Min, Target, Max time.Duration }

// Period is what lies between two discontinuities.
type Period struct {
	ID     string
	Start  time.Duration // on the manifest's time line
	Events []Event       // in the order of their times
	Sets   []Set
}

// Set is representations that players may switch between.
type Set struct {
	Audio           bool   // else video
	Language        string // RFC 5646; empty: not said
	Inband          string // scheme of the events in its segments; empty: there are none
	Representations []Representation
}

// Representation is one track.
type Representation struct {
	ID        string
	Codecs    string
	Bandwidth int // bits per second

	Width, Height int     // of video, pixels; 0: not known
	FrameRate     float64 // of video, pictures per second; 0: not known
	Rate          int     // of audio, Hz
	Channels      int     // of audio

	Init, Media string // URLs relative to the manifest; in Media, $Number%09d$ stands for the number, $SubNumber$ for that of a part
	First       uint64 // number of the first segment
	Offset      int64  // media time at the period's start, in ticks
	Runs        []Run  // in the order of their numbers

	Early   time.Duration // availabilityTimeOffset; 0: none
	Cadence int           // of segments that are had in parts: each part whose number is a multiple of it can be begun with; 0: they are had whole
}

// Timescale is the unit of the time lines, ticks a second.
const Timescale = 90000

// Run is segments of the same duration, each of which begins where the one before ends.
type Run struct {
	Time     int64 // of the first, ticks
	Duration int64 // ticks
	Count    int
	Parts    int // of each, of equal length (S@k); 0: they are had whole
}

// Add appends a segment to runs, or lengthens the last of them.
func Add(runs []Run, at, duration int64, parts int) []Run {
	if n := len(runs); n > 0 {
		r := &runs[n-1]
		if r.Duration == duration && r.Parts == parts && r.Time+r.Duration*int64(r.Count) == at {
			r.Count++
			return runs
		}
	}
	return append(runs, Run{at, duration, 1, parts})
}
