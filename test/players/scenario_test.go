package players

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// rung is one quality of the ladder. The pictures are smaller than the names say: the switching is what is tested.
type rung struct {
	stream string
	encoding
}

// rungs are the ladder's, best first. Their bit rates are below what players assume of an unknown network, so that all begin with the best.
var rungs = []rung{
	{"show_1080p", encoding{320, 180, 220, "aac", 48000}},
	{"show_720p", encoding{256, 144, 120, "aac", 48000}},
	{"show_480p", encoding{192, 108, 60, "aac", 48000}},
}

// ladder is the configuration for a ladder of them.
const ladder = "apps: {live: {groups: {show: [show_1080p, show_720p, show_480p]}}}\n"

// single is what is published without a ladder.
var single = encoding{320, 180, 220, "aac", 48000}

// plan is when things happen in a show.
type plan struct {
	event  time.Duration // when it goes wrong, unless it is wrong from the start
	length time.Duration // of the show
	order  []int         // of the rungs, if they return one after another
}

// film is as long as any show. The event happens when all players have begun, which may take a while on a busy machine.
const film = patience + calm + fullTail

// unknown returns the plan of a show whose event is not known yet.
func unknown(order []int) plan { return plan{2 * film, film, order} }

// at returns the plan of a show with its event at a time, and that much after it.
func at(event, tail time.Duration, order []int) plan { return plan{event, event + tail, order} }

func (p plan) whole() span { return span{0, p.length} }

// scenario is one kind of show that goes wrong.
type scenario struct {
	name   string
	entry  string        // the stream that is watched
	config string        // in addition to the settings
	away   time.Duration // how long there is nothing to play: of everything, of one track, or of what is being watched
	quick  bool          // part of each run, not only of `make soak`
	kept   bool          // in each run also from the archive
	bucket bool          // and, if from the archive, also from the bucket without a server
	show   func(t *testing.T, p plan) []connection
	act    func(t *testing.T, s *server) // done at the event
}

// restart is how long a killed publisher is away.
const restart = 3 * time.Second

// absence is how long one track, or one rung, is away.
const absence = 6 * time.Second

// lateness is how much later than the other one track is sent.
const lateness = 5 * time.Second

// behind is how much later than the others a rung is sent.
const behind = 3 * time.Second

// one makes a show of a single encoder that is always there.
func one(e encoding, d func(t *testing.T, p plan) delivery) func(*testing.T, plan) []connection {
	return func(t *testing.T, p plan) []connection {
		x := d(t, p)
		x.span = p.whole()
		return []connection{encode(t, e, film).connect("cam", x)}
	}
}

// changed makes a show whose audio changes at the event.
func changed(from, to encoding) func(*testing.T, plan) []connection {
	return one(from, func(t *testing.T, p plan) delivery { return delivery{sound: encode(t, to, film), soundsAt: p.event} })
}

// ladderShow makes a show of all rungs; pieces returns how each is delivered.
func ladderShow(pieces func(p plan, rung int) []delivery) func(*testing.T, plan) []connection {
	return func(t *testing.T, p plan) (all []connection) {
		for i, r := range rungs {
			for _, d := range pieces(p, i) {
				all = append(all, encode(t, r.encoding, film).connect(r.stream, d))
			}
		}
		return all
	}
}

// always is a rung to which nothing happens.
func always(p plan) []delivery { return []delivery{{span: p.whole()}} }

// away returns the two connections of an encoder that is killed at the event and returns after a time, at a keyframe.
func away(p plan, d time.Duration, anew bool) []delivery {
	return []delivery{{span: span{0, p.event}, cut: true}, {span: span{p.event + d, p.length}, anew: anew}}
}

var scenarios = []scenario{
	{name: "steady", entry: "cam", show: one(single, func(*testing.T, plan) delivery { return delivery{} })},
	{name: "publisher back, time anew", entry: "cam", away: restart, quick: true, kept: true, show: func(t *testing.T, p plan) (all []connection) {
		for _, d := range away(p, restart, true) {
			all = append(all, encode(t, single, film).connect("cam", d))
		}
		return all
	}},
	{name: "publisher back, time going on", entry: "cam", away: restart, show: func(t *testing.T, p plan) (all []connection) {
		for _, d := range away(p, restart, false) {
			all = append(all, encode(t, single, film).connect("cam", d))
		}
		return all
	}},
	{name: "audio late", entry: "cam", show: one(single, func(*testing.T, plan) delivery { return delivery{audio: lateness} })},
	{name: "video late", entry: "cam", show: one(single, func(*testing.T, plan) delivery { return delivery{video: lateness} })},
	{name: "audio 44.1 to 48 kHz", entry: "cam", show: changed(encoding{320, 180, 220, "aac", 44100}, single)},
	{name: "audio AAC to MP3", entry: "cam", show: changed(encoding{320, 180, 220, "aac", 44100}, encoding{320, 180, 220, "mp3", 44100})},
	{name: "audio away", entry: "cam", away: absence, show: one(single, func(_ *testing.T, p plan) delivery {
		return delivery{noAudio: span{p.event, p.event + absence}}
	})},
	{name: "video away", entry: "cam", away: absence, show: one(single, func(_ *testing.T, p plan) delivery {
		return delivery{noVideo: span{p.event, p.event + absence}}
	})},
	{name: "steady ladder", entry: "show", config: ladder, show: ladderShow(func(p plan, _ int) []delivery { return always(p) })},
	{name: "metadata", entry: "show", config: ladder, kept: true, act: sendMetadata, show: ladderShow(func(p plan, _ int) []delivery { return always(p) })},
	{name: "rung back", entry: "show", config: ladder + "storage: {url: file://bucket}\n", away: absence, bucket: true, show: ladderShow(func(p plan, i int) []delivery {
		if i > 0 {
			return always(p)
		}
		return away(p, absence, false)
	})},
	{name: "rung behind", entry: "show", config: ladder, quick: true, show: ladderShow(func(p plan, i int) []delivery {
		if i > 0 {
			return always(p)
		}
		return []delivery{{span: p.whole(), video: behind, audio: behind}}
	})},
	{name: "all rungs back in random order", entry: "show", config: ladder, away: restart + 2*gop, show: func(t *testing.T, p plan) []connection {
		return ladderShow(func(p plan, i int) []delivery { return away(p, restart+time.Duration(p.order[i])*gop, false) })(t, p)
	}},
}

// What is sent before the event does not depend on when the event will be: a show can be revised while it runs.
func TestShowsAgreeUntilTheEvent(t *testing.T) {
	rig.Need(t, "ffmpeg")
	order := []int{2, 0, 1}
	for _, sc := range scenarios {
		a, b := sc.show(t, unknown(order)), sc.show(t, at(20*time.Second, shortTail, order))
		for _, y := range b {
			var x connection
			for _, c := range a {
				if c.stream == y.stream {
					x = c
					break
				}
			}
			for i, tag := range y.tags {
				if tag.at >= 20*time.Second {
					break
				}
				if other := x.tags[i]; other.at != tag.at || other.tag.Type != tag.tag.Type || other.tag.Timestamp != tag.tag.Timestamp || &other.tag.Data[0] != &tag.tag.Data[0] {
					t.Fatalf("%s: tag %d of %s is %v %+v, and was %v", sc.name, i, y.stream, tag.at, tag.tag.Timestamp, other.at)
				}
			}
		}
	}
}
