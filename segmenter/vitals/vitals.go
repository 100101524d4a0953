// Package vitals measures how a stream is sent: at which rate, how evenly, with keyframes how far apart, with sound how far from the
// picture, and what of it is lost. All of it follows from the frames and the times at which they came. It refuses to look at a clock, to
// judge what it finds, and to know whose frames they are.
package vitals

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// Vitals measures one stream, over all publishers that it has one after another. The zero value is ready. It is safe for concurrent use; a
// nil Vitals takes everything and measures nothing.
type Vitals struct {
	requests atomic.Int64

	mu                sync.Mutex
	r                 Reading                  // but Lost and Requests
	lost              [ingest.NumReasons]int64 // of publishers before the present one
	ledger            *ingest.Ledger           // of the present one; nil: it has none
	jitter, intervals []time.Duration          // bounds

	// Of the present publisher.
	newest [2]newest // video, audio
	key    newest    // the newest keyframe
	skewed bool      // r.Skew is of it
	listed time.Time // when its newest segment was; zero: it has none

	seconds seconds
}

// newest is a track's newest frame.
type newest struct {
	dts int64
	at  time.Time
	is  bool
}

// The tracks, as indices.
const (
	Video = iota
	Audio
)

// Reading is what was measured. Counters never fall.
type Reading struct {
	Frames, Bytes [2]int64 // that came, by track
	Keyframes     int64    // pictures of them that the encoder marked as such

	KeyframeInterval time.Duration // between the two newest keyframes, in media time; 0: there were no two
	// Skew is by how much sound is sent ahead of the picture, in media time, smoothed; below zero where it is sent later. It says nothing of
	// whether they belong together.
	Skew time.Duration

	// Jitter is by how much the time between two frames of a track differs from that between their decoding times (the D of RFC 3550
	// 6.4.1), by JitterBounds: of the pictures, or where there are none, of the sound.
	Jitter Histogram
	// Intervals are the times between two segments of one publisher being listed, by IntervalBounds.
	Intervals Histogram

	Lost     [ingest.NumReasons]int64 // frames that went no further, by reason, as far as the publisher's protocol accounts for them
	Requests int64                    // for the live media playlist
}

// Add counts what o has counted. Of what is no counter the worst is kept.
func (r *Reading) Add(o *Reading) {
	for i := range r.Frames {
		r.Frames[i] += o.Frames[i]
		r.Bytes[i] += o.Bytes[i]
	}
	r.Keyframes += o.Keyframes
	r.KeyframeInterval = max(r.KeyframeInterval, o.KeyframeInterval)
	if o.Skew.Abs() > r.Skew.Abs() {
		r.Skew = o.Skew
	}
	r.Jitter.Add(&o.Jitter)
	r.Intervals.Add(&o.Intervals)
	for i, n := range o.Lost {
		r.Lost[i] += n
	}
	r.Requests += o.Requests
}

// Begin notes that a publisher begins, with its ledger, which may be nil.
func (v *Vitals) Begin(l *ingest.Ledger) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.jitter == nil {
		v.jitter, v.intervals = JitterBounds(), IntervalBounds()
	}
	drops(v.ledger, &v.lost)
	v.ledger = l
	v.newest, v.key, v.skewed, v.listed = [2]newest{}, newest{}, false, time.Time{}
	v.seconds.first = newest{}
}

// drops adds what a ledger has lost to lost.
func drops(l *ingest.Ledger, lost *[ingest.NumReasons]int64) {
	if l == nil {
		return
	}
	for r := range lost {
		lost[r] += l.Video.Dropped[r].Load() + l.Audio.Dropped[r].Load()
	}
}

// longest is the longest step of time stamps that is one: beyond it the time line broke off.
const longest = 30 * ingest.Clock

// Frame measures a frame that came. It neither keeps nor changes it.
func (v *Vitals) Frame(f *ingest.Frame) {
	if v == nil {
		return
	}
	size := 0
	for _, u := range f.Units {
		size += len(u)
	}
	track := Audio
	if f.Track.Codec.IsVideo() {
		track = Video
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.r.Frames[track]++
	v.r.Bytes[track] += int64(size)
	last := v.newest[track]
	v.newest[track] = newest{f.DTS, f.Arrival, true}
	v.seconds.count(f.Arrival, track, size)
	if track == Video || !v.newest[Video].is {
		v.seconds.follow(v.newest[track], last)
	}
	if step := f.DTS - last.dts; last.is && step > 0 && step <= longest && (track == Video || !v.newest[Video].is) {
		v.r.Jitter.count(v.jitter, (f.Arrival.Sub(last.at) - codec.Duration(step)).Abs())
	}
	if track == Audio {
		return
	}
	if f.Key {
		v.r.Keyframes++
		if step := f.DTS - v.key.dts; v.key.is && step > 0 && step <= longest {
			v.r.KeyframeInterval = codec.Duration(step)
		}
		v.key = v.newest[Video]
	}
	v.skew()
	v.seconds.now.KeyframeInterval, v.seconds.now.Skew = v.r.KeyframeInterval, v.r.Skew
}

// skewWeight is the part that one picture has in the skew.
const skewWeight = 16

// skew compares the newest picture with the newest sound, as if both had come at once.
func (v *Vitals) skew() {
	video, audio := v.newest[Video], v.newest[Audio]
	ahead := audio.dts - video.dts
	if !audio.is || ahead > longest || ahead < -longest {
		return
	}
	now := codec.Duration(ahead) + video.at.Sub(audio.at)
	if !v.skewed {
		v.r.Skew, v.skewed = now, true
		return
	}
	v.r.Skew += (now - v.r.Skew) / skewWeight
}

// Listed measures that a segment was listed, at the time at which its publisher was last heard of.
func (v *Vitals) Listed(at time.Time) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if d := at.Sub(v.listed); !v.listed.IsZero() && d >= 0 {
		v.r.Intervals.count(v.intervals, d)
	}
	v.listed = at
}

// Request counts a request for the stream's live media playlist.
func (v *Vitals) Request() {
	if v != nil {
		v.requests.Add(1)
	}
}

// Read returns what has been measured so far.
func (v *Vitals) Read() Reading {
	v.mu.Lock()
	r := v.r
	r.Lost = v.lost
	drops(v.ledger, &r.Lost)
	v.mu.Unlock()
	r.Requests = v.requests.Load()
	return r
}
