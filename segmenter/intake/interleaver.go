package intake

import (
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
)

// Bounds on what an interleaver holds: a frame waits for the other track for a second longer than that track was late at first.
const (
	skewFrom        = 1 * codec.Clock // tracks that are sent closer together need no help
	interleaveWait  = time.Second
	interleaveBytes = 32 << 20
	interleaveIdle  = 250 // frames in a row that waited for at most half of that: the tracks have come together
)

// Interleaver synchronises the tracks of an encoder that sends one of them seconds later than the other. As sent, audio and video of an
// instant would be in different segments, and the first segments would not have both. The early track waits, and the late one counts as
// having arrived when it should have.
type Interleaver struct {
	Memory *ingest.Memory // accounts for what is held; nil: no bound. Without room nothing waits.

	full   bool          // there was no room for the newest frame
	media  bool          // media time alone counts: see NewOrder
	alone  bool          // there is one track
	late   int           // the track that is sent late: 0 video, 1 audio
	skew   time.Duration // by this much
	queues [2][]waiting
	newest [2]position // of each track, waiting or not
	bytes  int
	idle   int
}

// waiting is a copy of a frame.
type waiting struct {
	frame ingest.Frame
	at    position
	came  time.Time
	size  int
}

// position is a place on a publisher's timelines: they may break, which tracks do one after the other.
type position struct {
	seen bool
	line int
	dts  int64
}

func (p position) before(q position) bool {
	return p.line < q.line || p.line == q.line && p.dts < q.dts
}

// kind returns the index of a frame's track.
func kind(f *ingest.Frame) int {
	if f.Track.Codec.IsVideo() {
		return 0
	}
	return 1
}

// NewInterleaver examines the first frames of a connection. It returns nil if they need no interleaver.
func NewInterleaver(frames []ingest.Frame) *Interleaver {
	var last [2]*ingest.Frame
	for i := range frames {
		last[kind(&frames[i])] = &frames[i]
	}
	if last[0] == nil || last[1] == nil {
		return nil
	}
	n := &Interleaver{late: 1}
	ahead := last[0].DTS - last[1].DTS - codec.Ticks(last[0].Arrival.Sub(last[1].Arrival))
	if ahead < 0 {
		n.late, ahead = 0, -ahead
	}
	if ahead < skewFrom || ahead > announcedTicks {
		return nil
	}
	n.skew = cut.Duration(ahead)
	return n
}

// orderWait is how far a track may go on, in ticks of its media, before it waits no longer for the other one: by it both tracks are awaited
// after a break, and a publisher's pictures that has lost its sound are late.
const orderWait = 2 * codec.Clock

// NewOrder returns an Interleaver that puts frames in the order of their decoding times, pictures first, for as long as a connection lasts. The
// order does not depend on when frames come, as long as no track is sent more than two seconds before the other. Arrivals stay as they are.
// alone says that there is one track.
func NewOrder(alone bool) *Interleaver { return &Interleaver{media: true, alone: alone} }

// Alone says that no other track comes any more, or that one does.
func (n *Interleaver) Alone(alone bool) { n.alone = alone }

// Late returns which track is sent late, "video" or "audio", and by how much.
func (n *Interleaver) Late() (track string, by time.Duration) {
	return [...]string{"video", "audio"}[n.late], n.skew
}

// Add copies a frame.
func (n *Interleaver) Add(f *ingest.Frame) {
	k := kind(f)
	at := position{seen: true, dts: f.DTS}
	if was := n.newest[k]; was.seen {
		if at.line = was.line; f.DTS < was.dts-cut.BackLimit || f.DTS > was.dts+cut.ApartLimit {
			at.line++
		}
	}
	n.newest[k] = at
	w := waiting{frame: *f, at: at, came: f.Arrival}
	if k == n.late && !n.media {
		w.frame.Arrival = f.Arrival.Add(-n.skew)
	}
	w.frame.Units = make([][]byte, len(f.Units))
	for i, u := range f.Units {
		w.frame.Units[i] = append([]byte(nil), u...)
		w.size += len(u)
	}
	if n.full = !n.Memory.Hold(int64(w.size)); n.full {
		w.size = 0
	}
	n.bytes += w.size
	n.queues[k] = append(n.queues[k], w)
}

// Next returns the next frame to write, or nil if what is held must wait. A frame need not wait if the other track has come as far, or has
// not come for too long.
func (n *Interleaver) Next(now time.Time) *ingest.Frame {
	k := n.first()
	if k < 0 {
		return nil
	}
	w, other := &n.queues[k][0], 1-k
	if n.media {
		if !n.ordered(k, w.at) && n.bytes < interleaveBytes && !n.full {
			return nil
		}
		return n.take(k)
	}
	wait := interleaveWait
	if k != n.late {
		wait += n.skew
	}
	reached := len(n.queues[other]) > 0 || n.newest[other].seen && !n.newest[other].before(w.at)
	waited := now.Sub(w.came)
	if !reached && waited < wait && n.bytes < interleaveBytes && !n.full {
		return nil
	}
	if n.idle++; waited > cut.Duration(skewFrom)/2 {
		n.idle = 0
	}
	return n.take(k)
}

// ordered reports whether nothing of the other track belongs before a place of a track, as far as its media time says.
func (n *Interleaver) ordered(k int, at position) bool {
	own, other := n.newest[k], n.newest[1-k]
	switch {
	case len(n.queues[1-k]) > 0:
		return true
	case own.line > at.line, own.dts-at.dts >= orderWait:
		return true
	case !other.seen:
		return n.alone
	case other.line < at.line:
		return false
	}
	return !other.before(at) || at.dts-other.dts >= orderWait
}

// first returns the track of the earliest held frame, video if there are two, or -1 if there is none.
func (n *Interleaver) first() int {
	v, a := n.queues[0], n.queues[1]
	switch {
	case len(v) == 0 && len(a) == 0:
		return -1
	case len(v) == 0, len(a) > 0 && a[0].at.before(v[0].at):
		return 1
	}
	return 0
}

func (n *Interleaver) take(k int) *ingest.Frame {
	w := n.queues[k][0]
	n.queues[k][0] = waiting{}
	if n.queues[k] = n.queues[k][1:]; len(n.queues[k]) == 0 {
		n.queues[k] = nil
	}
	n.bytes -= w.size
	n.Memory.Yield(int64(w.size))
	return &w.frame
}

// Rest returns what is held, one frame at each call, and nil at the end.
func (n *Interleaver) Rest() *ingest.Frame {
	if k := n.first(); k >= 0 {
		return n.take(k)
	}
	return nil
}

// Done reports whether the tracks have come together, so that no interleaver is needed any more.
func (n *Interleaver) Done() bool { return !n.media && n.idle >= interleaveIdle && n.first() < 0 }
