package httpput

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// out is a stream that is published: it passes on segments, one behind the other. Guarded by show.mu.
type out struct {
	s    *Server
	show *show
	app  string
	name string
	line *line // who feeds it
	log  *slog.Logger

	session ingest.Session
	pending chan opened // it is being published; nil: it is not
	ledger  *ingest.Ledger
	gone    atomic.Pointer[error] // why the session was ended from the other side

	norm    *normalise.Stream
	frames  []ingest.Frame // of the segment in hand
	framed  string         // why segments are passed on frame by frame; empty: as they come
	foreign bool           // it was logged that there are tracks that are not carried

	counters map[uint16]span // of the newest segment; nil: there is none to go on from
	raw      int64           // DTS of the newest unit as it came, modulo 2^33
	last     int64           // the same, unwrapped
	timed    bool            // there is one
	arrived  time.Time       // of the newest frame, as it is told to the session
	latest   time.Time       // when the newest segment came
	ended    time.Time       // when a sender ended the stream; zero: none has
	until    time.Time       // where it ends, as its sender says; zero: it does not say
}

// opened is what became of publishing.
type opened struct {
	session ingest.Session
	err     error
}

// open publishes the stream. errLater says that it is not known yet whether it may be.
func (o *out) open(in *input) error {
	if o.pending == nil {
		if err := in.mayFeed(o.name); err != nil {
			return err
		}
		o.restart()
		o.gone.Store(nil)
		o.ledger = ingest.NewLedger(&o.s.Stats.Frames)
		a := ingest.Announce{
			App: o.app, Stream: o.name, Protocol: "http", Remote: in.remote, Identity: in.grant.Identity, Right: in.grant.Right, Granted: in.grant.Stream, Ledger: o.ledger,
			Cancel: func(cause error) {
				o.gone.CompareAndSwap(nil, &cause)
				o.s.revoke(o.app, o.show.stream)
			},
		}
		pending := make(chan opened, 1)
		o.pending = pending
		o.s.opening.Go(func() {
			session, err := o.s.o.Publisher.Publish(context.Background(), a)
			pending <- opened{session, err}
		})
	}
	done, ok := o.published()
	if !ok {
		return errLater
	}
	if o.pending = nil; done.err != nil {
		return done.err
	}
	o.session, o.framed, o.foreign = done.session, "", false
	o.s.Stats.Publishers.Add(1)
	o.log.Info("publisher connected", "remote", in.host)
	return nil
}

// published waits for the Publisher as long as that may be waited for; false: it has not answered.
func (o *out) published() (opened, bool) {
	select {
	case done := <-o.pending:
		return done, true
	default:
	}
	enough := time.NewTimer(time.Until(o.show.until))
	defer enough.Stop()
	select {
	case done := <-o.pending:
		return done, true
	case <-enough.C:
		return opened{}, false
	}
}

// close ends the session, also one that is only coming.
func (o *out) close(cause error) {
	if pending := o.pending; pending != nil {
		o.pending = nil
		o.s.opening.Go(func() {
			if done := <-pending; done.err == nil {
				done.session.Close(cause)
			}
		})
	}
	if o.session == nil {
		return
	}
	session := o.session
	o.session = nil
	o.s.Stats.Publishers.Add(-1)
	o.log.Info("publisher left", "cause", cause)
	session.Close(cause)
}

// cancelled is why the session was ended from the other side; nil: it was not.
func (o *out) cancelled() error {
	if p := o.gone.Load(); p != nil {
		return *p
	}
	return nil
}

// restart breaks the time line: the next segment goes on from none.
func (o *out) restart() {
	o.norm, o.counters, o.timed = nil, nil, false
}

// lose passes on that a segment will never come.
func (o *out) lose(e *entry, now time.Time) error {
	o.s.Stats.Lost.Add(1)
	o.counters = nil
	if o.framed != "" {
		return nil // the time line has a hole there, which the session sees
	}
	err := o.session.WriteFrame(&ingest.Frame{Arrival: now, Whole: &ingest.Whole{Lost: true, Duration: e.duration, Discontinuity: e.discontinuity, Longest: e.longest}})
	if _, ok := ingest.IsNotWhole(err); ok {
		return nil
	}
	return err
}

// feed passes a segment on. broken says that it does not go on from the one before. The error ends the session.
func (o *out) feed(e *entry, f *file, broken bool) error {
	g, now := f.segment, f.at
	if broken || e.discontinuity {
		o.restart()
	}
	if len(g.layout.foreign) > 0 && !o.foreign {
		o.foreign = true
		o.log.Warn("the sender's segments have tracks that are not described to players: H.264, H.265, AAC and MP3 are", "stream_types", g.layout.foreign)
	}
	why := g.layout.unfit(o.counters)
	o.counters = g.layout.counters
	if err := o.take(e, g, now); err != nil {
		return err
	}
	if len(o.frames) == 0 {
		o.log.Warn("a segment has nothing that can be used", "file", e.file)
		return o.lose(e, now)
	}
	if o.latest = now; !e.wall.IsZero() {
		o.until = e.wall.Add(time.Duration(e.duration) * time.Second / ingest.Clock)
	}
	if o.framed == "" {
		if why == "" {
			a := o.frames[0]
			err := o.session.WriteFrame(&ingest.Frame{Track: a.Track, PTS: a.PTS, DTS: a.DTS, Key: true, Arrival: now, Whole: &ingest.Whole{
				Packets: g.packets, Frames: o.frames, Duration: e.duration, Longest: e.longest, Discontinuity: broken || e.discontinuity, Wall: e.wall, Ranges: e.ranges,
			}})
			reason, not := ingest.IsNotWhole(err)
			if !not {
				if err == nil {
					o.s.Stats.Whole.Add(1)
				}
				return err
			}
			why = reason
		}
		o.framed = why
		o.log.Warn("the sender's segments are not passed on as they come, but cut and packed anew", "reason", why)
	}
	o.s.Stats.Remuxed.Add(1)
	for i := range o.frames {
		if err := o.session.WriteFrame(&o.frames[i]); err != nil {
			return err
		}
	}
	return nil
}

// jump is how far time stamps may be from where they should go on, ticks, before nothing is carried over.
const jump = ingest.Clock

// take makes frames of a segment, on a time line that goes on.
func (o *out) take(e *entry, g *segment, now time.Time) error {
	if d := mpegts.Distance(o.raw, g.units[0].dts); o.timed && (d < -jump || d > jump) {
		o.norm = nil
	}
	if o.norm == nil {
		o.norm = normalise.New(o, normalise.Options{Ledger: o.ledger, Log: o.log, Memory: o.s.o.Memory, Placed: true, Retained: true, Direct: true})
		o.norm.Hint(normalise.Hints{HasVideo: g.video != 0, HasAudio: g.audio != 0})
	}
	o.frames = o.frames[:0]
	first := g.units[0].dts
	length := mpegts.Distance(first, g.units[len(g.units)-1].dts)
	begin := now.Add(-ticks(length))
	if at := e.wall; !at.IsZero() && at.Before(begin) && now.Sub(at) < 30*time.Second {
		begin = at
	}
	var units [][]byte
	for i := range g.units {
		u := &g.units[i]
		dts := o.unwrap(u.dts)
		at := begin.Add(ticks(mpegts.Distance(first, u.dts)))
		if at.Before(o.arrived) {
			at = o.arrived
		}
		o.arrived = at
		pts := dts + mpegts.Distance(u.dts, u.pts)
		var err error
		if u.video {
			b := g.bytes(u)
			units = units[:0]
			if start := codec.NextStartCode(b, 0); start >= 0 {
				units = slices.AppendSeq(units, codec.AnnexB(b[start:]))
			}
			err = o.norm.Video(&normalise.Video{Codec: codecOf(g.video), Units: slices.Clone(units), PTS: pts, DTS: dts, Key: u.random, Arrival: at})
		} else {
			err = o.norm.Audio(&normalise.Audio{Codec: codecOf(g.audio), Data: g.bytes(u), PTS: pts, Arrival: at})
		}
		if err != nil {
			return err
		}
	}
	return o.norm.Flush()
}

// unwrap makes a time stamp one that does not overflow.
func (o *out) unwrap(raw int64) int64 {
	if !o.timed {
		o.timed, o.raw, o.last = true, raw, max(o.last+ingest.Clock, raw)
		return o.last
	}
	o.last += mpegts.Distance(o.raw, raw)
	o.raw = raw
	return o.last
}

// WriteFrame implements normalise.Sink: it gathers the frames of the segment in hand.
func (o *out) WriteFrame(f *ingest.Frame) error {
	c := *f
	c.Units = slices.Clone(f.Units)
	o.frames = append(o.frames, c)
	return nil
}

func codecOf(t mpegts.StreamType) ingest.Codec {
	switch t {
	case mpegts.H264:
		return ingest.H264
	case mpegts.H265:
		return ingest.H265
	case mpegts.AAC:
		return ingest.AAC
	}
	return ingest.MP3
}

func ticks(t int64) time.Duration { return time.Duration(t) * time.Second / ingest.Clock }

// later reports whether a stream that could not be published is to be tried again, with what was held for it.
func later(err error) bool {
	var r *ingest.Refusal
	return errors.As(err, &r) && r.Soon
}
