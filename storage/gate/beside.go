package gate

import (
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// How far one is that stands by.
const (
	StandbyWaits = "waiting" // no other server has the stream yet
	StandbySeeks = "seeking" // where what comes here is what that one is fed
	StandbySteps = "in step" // it makes the same
	StandbyQuiet = "silent"  // nothing comes here: it protects from nothing
)

// Beside describes a publisher that stands by.
type Beside struct {
	Key       segmenter.Key
	State     string // StandbyWaits, StandbySeeks, StandbySteps or StandbyQuiet
	Node      string // of the server that has the stream; "": none is known
	Recording segmenter.RecordingID
	Joined    uint64 // the number with which it began
	Same      uint64 // the number before which all since then are the same on both
	Protocol  string
	Remote    string
	Since     time.Time
	LastFrame time.Time // or when the publisher came, before there is one: silent since then
}

// Standbys returns those that stand by, by stream.
func (g *Gate) Standbys() (all []Beside) {
	g.mu.Lock()
	list := make([]*standby, 0, len(g.beside))
	for b := range g.beside {
		list = append(list, b)
	}
	g.mu.Unlock()
	for _, b := range list {
		all = append(all, b.describe())
	}
	slices.SortFunc(all, func(a, b Beside) int {
		return strings.Compare(a.Key.String()+a.Remote, b.Key.String()+b.Remote)
	})
	return all
}

// Dismiss sends those away that stand by: this server is drained.
func (g *Gate) Dismiss() {
	g.mu.Lock()
	var list []*standby
	for b := range g.beside {
		if !b.replaced {
			b.replaced, list = true, append(list, b)
		}
	}
	g.mu.Unlock()
	for _, b := range list {
		b.cancel()
		b.fail(b.drained())
	}
}

// drained is what one is told whose server is drained. Where its stream is, its encoder publishes already.
func (b *standby) drained() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owner.Address == "" {
		return ingest.Refuse(ingest.Overloaded, "this server is being drained: publish to another")
	}
	return ingest.Refuse(ingest.Overloaded, "this server is being drained: publish to another; %s is being published to the server %s (%s)", b.key, b.owner.Node, b.owner.Address)
}

func (b *standby) describe() Beside {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := Beside{Key: b.key, State: StandbyWaits, Node: b.owner.Node, Protocol: b.a.Protocol, Remote: b.a.Remote, Since: b.since, LastFrame: time.Unix(0, b.newest.Load())}
	if b.owner.Address != "" {
		d.State, d.Recording = StandbySeeks, segmenter.RecordingID(b.said.Recording)
	}
	if from, same, ok := b.by.Place(); ok {
		d.State, d.Joined, d.Same = StandbySteps, from, same
	}
	if b.quiet(b.g.o.Now()) {
		d.State = StandbyQuiet
	}
	return d
}

// quiet reports whether nothing has come from the publisher for a while.
func (b *standby) quiet(now time.Time) bool { return now.Sub(time.Unix(0, b.newest.Load())) >= silent }
