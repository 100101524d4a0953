package transcode

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// muxDelay is what the transport stream muxer adds to every time stamp, in ticks.
const muxDelay = 10 * ingest.Clock

// rung is one rendition on its way back: pictures from the process, audio from the source. It outlives processes. It belongs to the
// goroutine that reads the current process's pipe, or between processes to the supervisor.
type rung struct {
	Rung
	announce  ingest.Announce
	publisher ingest.Publisher
	audio     *audioLine
	stats     *Stats
	log       *slog.Logger

	lower atomic.Bool // the source's picture is; it is left out

	session ingest.Session // nil: not published
	refused bool           // and that was logged
	retry   time.Time      // when to ask again
	place   int            // in audio
	last    int64          // DTS of the newest picture
	usual   int64          // ticks between the two newest

	shift  int64         // from the process's time line to the source's, ticks
	source *ingest.Track // what the process was fed with
	theirs *ingest.Track // of the process's newest frame
	ours   *ingest.Track // the same as published by the rung
}

// publishAgain is how long a rung waits after it was refused, or its session was ended from the other side.
const publishAgain = time.Second

// begin prepares for the output of a new process.
func (r *rung) begin(first *packet) {
	r.shift = first.dts - muxDelay
	r.source, r.theirs = first.track, nil
}

// WriteFrame takes a picture from the process, as flv.Sink. Its error never ends the process: a rung that cannot be published is tried
// again.
func (r *rung) WriteFrame(f *ingest.Frame) error {
	if !f.Track.Codec.IsVideo() {
		return nil
	}
	if r.theirs != f.Track {
		r.theirs, r.ours = f.Track, r.track(f.Track)
	}
	f.Track = r.ours
	f.PTS += r.shift
	f.DTS += r.shift
	if r.session != nil && f.Key && hole(f.DTS-r.last, r.usual) {
		r.close(errHole) // start over: audio from after the hole must not be written before it
	}
	if r.session == nil && (!f.Key || !r.open(f)) {
		return nil
	}
	if r.last < f.DTS {
		r.last, r.usual = f.DTS, f.DTS-r.last
	}
	r.writeAudio(f.PTS, f.Arrival)
	r.write(f)
	return nil
}

// track adds to a picture's configuration what the process could not know.
func (r *rung) track(t *ingest.Track) *ingest.Track {
	c := *t
	c.Bitrate, c.KeyframeInterval, c.Alone = r.Bitrate, r.source.KeyframeInterval, r.source.Alone
	if c.FrameRate == 0 {
		c.FrameRate = r.source.FrameRate
	}
	return &c
}

// open publishes the rung, from a keyframe on.
func (r *rung) open(f *ingest.Frame) bool {
	if f.Arrival.Before(r.retry) {
		return false
	}
	s, err := r.publisher.Publish(context.Background(), r.announce)
	if err != nil {
		r.retry = f.Arrival.Add(publishAgain)
		if !r.refused {
			r.refused = true
			r.stats.Refused.Add(1)
			r.log.Warn("a rung cannot be published; it is tried again", "rung", r.announce.Stream, "error", err)
		}
		return false
	}
	r.session, r.refused = s, false
	r.last, r.usual = f.DTS, 0
	for ok := true; ok; { // earlier audio does not belong to this session
		_, r.place, ok = r.audio.next(r.place, f.PTS-1)
	}
	return true
}

// writeAudio writes the audio up to a time.
func (r *rung) writeAudio(until int64, arrival time.Time) {
	for r.session != nil {
		p, after, ok := r.audio.next(r.place, until)
		if r.place = after; !ok {
			return
		}
		r.write(&ingest.Frame{Track: p.track, PTS: p.pts, DTS: p.dts, Key: p.key, Units: p.units, Arrival: arrival})
	}
}

func (r *rung) write(f *ingest.Frame) {
	if r.session == nil {
		return
	}
	if err := r.session.WriteFrame(f); err != nil {
		r.log.Warn("a rung was ended from the other side; it is published again", "rung", r.announce.Stream, "error", err)
		r.retry = f.Arrival.Add(publishAgain)
		r.close(err)
		return
	}
	r.stats.FramesOut.Add(1)
}

// finish writes the remaining audio and ends the rung.
func (r *rung) finish(cause error, now time.Time) {
	r.writeAudio(math.MaxInt64, now)
	r.close(cause)
}

func (r *rung) close(cause error) {
	if r.session != nil {
		r.session.Close(cause)
		r.session = nil
	}
}
