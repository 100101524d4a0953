// Package overview gathers for the command what an operator sees at a glance: streams, ladders, buckets, where segments are, and
// what is wrong, with what to do about it. It keeps nothing, answers from what is known, and refuses to change or to wait for
// anything.
package overview

import (
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/vitals"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
)

// Overview implements api.Overviews.
type Overview struct {
	Now      func() time.Time
	Streams  api.Streams
	Checks   admin.Readiness
	Registry *segmenter.Registry
	Mirror   *mirror.Mirror
	Viewers  func() int64      // connections open now
	Nodes    func() []api.Node // servers of the cluster; may be nil
}

// Overview implements api.Overviews.
func (o Overview) Overview() api.Overview {
	now := o.Now()
	out := api.Overview{At: now.UTC(), Ready: true, Viewers: o.Viewers(), Streams: o.Streams.Streams(), Ladders: o.Streams.Ladders()}
	for _, b := range o.Mirror.Behind() {
		s := api.Store{Name: b.Target, Segments: b.Segments, Bytes: b.Bytes, Oldest: instant(b.Oldest), Sent: b.Sent, InFlight: b.InFlight, Failing: instant(b.Failing), Error: b.Error, Act: b.Act}
		out.Stores = append(out.Stores, s)
	}
	if o.Nodes != nil {
		out.Nodes = o.Nodes()
	}
	checks := o.Checks.Checks()
	for _, c := range checks {
		out.Ready = out.Ready && (c.Reason == "" || !c.Blocks)
	}
	out.Warnings = warnings(&out, checks)
	return out
}

// instant is a time that may be missing.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// shownSegments is how many segments a Detail has at the most.
const shownSegments = 120

// before is how many segments before the live playlist are shown: whether the bucket has those is what an operator wants to know.
const before = 12

// Detail implements api.Overviews.
func (o Overview) Detail(app, stream string) (api.Detail, bool) {
	t := o.Registry.Timeline(app, stream)
	if t == nil {
		return api.Detail{}, false
	}
	s := t.Snapshot()
	d := api.Detail{App: app, Name: stream, Recording: string(s.Recording), First: s.Base + uint64(s.First), Input: History(t.Vitals())}
	all := s.Whole()
	i := max(s.First-before, len(all.Rows)-shownSegments, 0)
	stores := len(o.Mirror.Uploaders()) > 0
	places, earlier, known := o.Mirror.Places(s.Key, s.Recording, s.Base+uint64(i))
	d.Earlier = api.Earlier{Unsent: earlier.Segments, Bytes: earlier.Bytes}
	at := map[uint64]*mirror.Place{}
	for p := range places {
		at[places[p].Sequence] = &places[p]
	}
	for n := i; n < len(all.Rows); n++ {
		e := &all.Rows[n]
		g := api.Segment{
			Sequence: e.Sequence, Start: e.Start.UTC(), Duration: cut.Duration(e.Duration).Seconds(), Bytes: e.Size,
			Listed: n >= s.First && n < len(s.Rows), Memory: inMemory(all, e.Sequence), Lost: e.Gap, Discontinuity: e.Discontinuity, Keyless: !e.Independent && !e.Gap,
		}
		switch p := at[e.Sequence]; {
		case p != nil:
			g.Spool, g.Sending, g.Stored, g.Lost = p.Spool, p.Sending, p.Stored, g.Lost || p.Lost
		case stores && !known && s.State == segmenter.Ended:
			g.Stored = !e.Gap // the mirror forgets what is complete
		}
		d.Segments = append(d.Segments, g)
	}
	return d, true
}

// inMemory reports whether the bytes of a segment are in memory.
func inMemory(s *segmenter.Snapshot, sequence uint64) bool {
	g := s.Segment(sequence)
	if g == nil || !g.Retain() {
		return false
	}
	g.Release()
	return true
}

// History is what vitals remember; empty where there are none.
func History(v *vitals.Vitals) (list []api.Input) {
	for _, s := range v.Seconds(nil) {
		list = append(list, Input(s))
	}
	return list
}

// Input is a second as operators read it.
func Input(s vitals.Second) api.Input {
	return api.Input{
		At: s.Begin.Unix(), Bitrate: int(s.Bytes * 8), Pictures: int(s.Frames[vitals.Video]), Sounds: int(s.Frames[vitals.Audio]),
		KeyframeInterval: seconds(s.KeyframeInterval), Skew: seconds(s.Skew), Jitter: seconds(s.Jitter), Behind: seconds(s.Behind),
	}
}

// seconds is a time in seconds, to the millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
