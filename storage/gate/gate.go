// Package gate stands before those who publish to one of several servers that share a bucket: it admits a publisher where no other server has
// his stream, sends him to the one that has it, and, where that one is gone, lets this server go on with its recording. It refuses to decide by
// a clock or a heartbeat: the bucket says who has a stream, and that one, when asked, whether it is fed.
package gate

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/takeover"
)

// Peer asks other servers.
type Peer interface {
	// Fed reports whether the server at an address has a publisher of a stream who is not silent. An error means that it cannot be asked, or
	// does not answer.
	Fed(ctx context.Context, address, app, stream string) (fed bool, err error)
}

// Options of a Gate.
type Options struct {
	Registry *segmenter.Registry // where publishers go
	Mirror   *mirror.Mirror      // it runs before anybody publishes
	Store    storage.Store       // the bucket that the servers share
	Peer     Peer
	Twin     Twin // for publishers that stand by; nil: none does
	// Others are the other servers, as far as they are known. They are asked where a claim is damaged; nil: they are not.
	Others func() []claim.Server
	Log    *slog.Logger
	Now    func() time.Time
	// Warn is told of each publisher who is refused because nothing can be decided about him; it turns many calls into few log lines. Nil: each
	// is logged.
	Warn func(kind, who, msg string, args ...any)
	// Took is told of each recording that this server goes on with; it must not wait. It may be nil.
	Took func(Taken)
	// Loses is told of each recording that this server is about to let go of, because another server has it: until it returns, viewers are
	// answered as before. It must not wait, and may be nil.
	Loses func(segmenter.Key, segmenter.RecordingID)
	// ReadLimit bounds what the bucket is asked before a publisher is admitted; 5s. AskLimit bounds the question to the other server, and what the
	// bucket is asked about a recording that runs here; 1s.
	ReadLimit, AskLimit time.Duration
}

// Stats may be read at any time.
type Stats struct {
	Takeovers atomic.Int64 // recordings of other servers that this one went on with
	Refused   atomic.Int64 // publishers sent to the server that has their stream
	Unknown   atomic.Int64 // publishers refused because the bucket could not be asked
	Failed    atomic.Int64 // takeovers that failed

	Standing   atomic.Int64 // publishers that stand by now, those that look for their place among them
	Joined     atomic.Int64 // those that found it
	Same       atomic.Int64 // segments that were the same on both servers
	Different  atomic.Int64 // segments that were not, each of which ended a publisher that stood by
	Unlike     atomic.Int64 // publishers that were sent away because they feed something else than the other server's
	Promotions atomic.Int64 // of Takeovers, those by a publisher that stood by: nothing was lost
}

// Gate is an ingest.Publisher in front of the registry.
type Gate struct {
	o     Options
	stats Stats
	known known

	mu      sync.Mutex
	waiting map[segmenter.Key]*turn
	beside  map[*standby]bool
	coming  map[segmenter.Key]int  // publishers of a stream, or of the rungs of a ladder, about whom is being decided
	halves  map[segmenter.Key]bool // streams and ladders that were claimed, and not taken up yet: see half
}

// turn lets one publisher of a stream after another be decided about.
type turn struct {
	slot chan struct{} // capacity 1
	n    int           // those who have it, or wait
}

// New returns a Gate.
func New(o Options) *Gate {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Warn == nil {
		o.Warn = func(_, _, msg string, args ...any) { o.Log.Warn(msg, args...) }
	}
	if o.ReadLimit == 0 {
		o.ReadLimit = 5 * time.Second
	}
	if o.AskLimit == 0 {
		o.AskLimit = time.Second
	}
	return &Gate{o: o, waiting: map[segmenter.Key]*turn{}, beside: map[*standby]bool{}, coming: map[segmenter.Key]int{}, halves: map[segmenter.Key]bool{}, known: known{wanted: make(chan struct{}, 1)}}
}

// Stats returns the gate's counters.
func (g *Gate) Stats() *Stats { return &g.stats }

// Publish implements ingest.Publisher. A stream whose recording runs here, and is this server's as far as it knows, is admitted also where the
// bucket cannot be asked. What the server itself makes of an admitted stream needs no admission. Where another server is fed with a
// deterministic stream, who feeds it here as well stands by.
func (g *Gate) Publish(ctx context.Context, a ingest.Announce) (ingest.Session, error) {
	if a.Derived {
		return g.o.Registry.Publish(ctx, a)
	}
	key := segmenter.Key{App: a.App, Stream: a.Stream}
	w, rung := g.o.Registry.Whole(key)
	defer g.comes(key)()
	if rung {
		defer g.comes(w.Key)()
	}
	err := g.admit(ctx, key)
	var fed *elsewhere
	switch {
	case errors.As(err, &fed) && g.pairs(key):
		return g.standBy(a, fed.claim)
	case err != nil:
		return nil, err
	case a.Backup && g.pairs(key) && g.running(key) == nil:
		return g.standBy(a, claim.Claim{})
	}
	return g.o.Registry.Publish(ctx, a)
}

// comes notes that a publisher is being decided about, until the result is called.
func (g *Gate) comes(key segmenter.Key) (decided func()) {
	add := func(n int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.coming[key] += n; g.coming[key] == 0 {
			delete(g.coming, key)
		}
	}
	add(1)
	return func() { add(-1) }
}

// Coming reports whether a publisher of a stream, or of a rung of a ladder, is being decided about: to other servers he is there already.
func (g *Gate) Coming(key segmenter.Key) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.coming[key] > 0
}

// Taking reports whether this server is about to go on with a recording, or has claimed it and could not: then viewers have what the bucket has.
func (g *Gate) Taking(key segmenter.Key) bool {
	w, part := g.o.Registry.Whole(key)
	return g.Coming(key) || g.half(key) || part && (g.Coming(w.Key) || g.half(w.Key))
}

// tries is how often a claim may change while a publisher waits.
const tries = 3

func (g *Gate) admit(ctx context.Context, key segmenter.Key) error {
	if !segmenter.ValidName(key.App) || !segmenter.ValidStream(key.Stream) {
		return nil // the registry says why not
	}
	ctx, cancel := context.WithTimeout(ctx, g.o.ReadLimit)
	defer cancel()
	w, rung := g.o.Registry.Whole(key)
	turn := key
	if rung {
		turn = w.Key
	}
	leave, err := g.enter(ctx, turn)
	if err != nil {
		return g.unknown(key, err)
	}
	defer leave()
	if _, fed := g.o.Registry.Publisher(key); fed {
		return nil // the registry decides between the two
	}
	if rung {
		if err := g.admitLadder(ctx, key, w); err != nil {
			return err
		}
	}
	for range tries {
		own := g.ours(key) || rung && g.running(w.Key) != nil // what comes to a ladder that runs here is its own
		c, etag, err := g.read(ctx, key, own)
		switch {
		case claim.Damaged(err):
			return g.fedAnywhere(ctx, key, key) // it is written anew
		case err != nil && own:
			return nil
		case err != nil:
			return g.unknown(key, err)
		}
		err = g.decide(ctx, key, c, etag)
		if kind := storage.KindOf(err); kind != storage.Changed && kind != storage.Exists {
			return err
		}
	}
	return g.unknown(key, errors.New("which server has the stream changes as often as it is asked"))
}

// read reads the claim to a stream. Who comes back to a recording that runs here is not made to wait for a bucket that is away: if another
// server has it, this one finds out when it writes.
func (g *Gate) read(ctx context.Context, key segmenter.Key, own bool) (claim.Claim, string, error) {
	if own {
		limited, cancel := context.WithTimeout(ctx, g.o.AskLimit)
		defer cancel()
		ctx = limited
	}
	return claim.Read(ctx, g.o.Store, claim.Key(key.App, key.Stream))
}

// ours reports whether a stream's recording runs here, and is this server's as far as it knows.
func (g *Gate) ours(key segmenter.Key) bool {
	line := g.running(key)
	if line == nil {
		return false
	}
	_, held := g.o.Mirror.Holding(key, line.Recording())
	return held
}

// running is a stream's recording here that has not ended; nil: there is none.
func (g *Gate) running(key segmenter.Key) *segmenter.Timeline {
	if line := g.o.Registry.Timeline(key.App, key.Stream); line != nil && line.Snapshot().Whole().State != segmenter.Ended {
		return line
	}
	return nil
}

// decide admits a publisher by what the claim says; the error is a refusal, or says that the claim has changed.
func (g *Gate) decide(ctx context.Context, key segmenter.Key, c claim.Claim, etag string) error {
	line, own := g.running(key), c.Node == g.o.Mirror.Server().Node
	known, _ := g.o.Mirror.Holding(key, segmenter.RecordingID(c.Recording))
	if !own || c.State == claim.Ended || known {
		g.setHalf(key, false)
	}
	switch {
	case c.Epoch == 0, own && (c.State == claim.Ended || known), own && line != nil && string(line.Recording()) == c.Recording:
		return nil
	case c.State == claim.Ended:
		g.yield(key, c)
		return nil
	}
	why := "it is this server's own, which has lost it"
	if !own {
		asking, cancel := context.WithTimeout(ctx, g.o.AskLimit)
		fed, err := g.o.Peer.Fed(asking, c.Address, key.App, key.Stream)
		cancel()
		switch {
		case ctx.Err() != nil:
			return g.unknown(key, context.Cause(ctx))
		case err == nil && fed:
			if !g.pairs(key) {
				g.stats.Refused.Add(1)
			}
			return &elsewhere{ingest.Refuse(ingest.NameTaken, "%s is being published to the server %s (%s): publish it there, or stop that encoder", key, c.Node, c.Address), c}
		case err == nil:
			why = "it has no publisher, or a silent one"
		default:
			why = err.Error()
		}
	}
	if _, rung := g.o.Registry.Whole(key); rung {
		g.yield(key, c) // it comes to its ladder, which goes on without what was elsewhere of it
		return nil
	}
	err := g.takeOver(ctx, key, c, etag, why, nil)
	switch kind := storage.KindOf(err); {
	case errors.Is(err, takeover.ErrOver):
		g.yield(key, c)
		return nil
	case err == nil, kind == storage.Changed, kind == storage.Exists:
		return err
	}
	return g.failed(key, c, err)
}

// fedAnywhere refuses a publisher whose stream another server feeds, where the bucket does not say which that is: its claim was damaged. whole is
// the stream, or the ladder that it is a rung of.
func (g *Gate) fedAnywhere(ctx context.Context, key, whole segmenter.Key) error {
	if g.o.Others == nil || g.running(whole) != nil {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, g.o.AskLimit)
	defer cancel()
	others := g.o.Others()
	fed := make([]bool, len(others))
	var all sync.WaitGroup
	for i, o := range others {
		all.Go(func() {
			yes, err := g.o.Peer.Fed(asking, o.Address, whole.App, whole.Stream)
			fed[i] = err == nil && yes
		})
	}
	all.Wait()
	if i := slices.Index(fed, true); i >= 0 {
		g.stats.Refused.Add(1)
		return ingest.Refuse(ingest.NameTaken, "%s is being published to the server %s (%s): publish it there, or stop that encoder", whole, others[i].Node, others[i].Address)
	}
	return nil
}

// yield lets go of what runs here of a stream that another server has had since.
func (g *Gate) yield(key segmenter.Key, c claim.Claim) {
	line := g.running(key)
	if line == nil {
		return
	}
	if g.o.Loses != nil {
		g.o.Loses(key, line.Recording())
	}
	if id := g.o.Registry.Yield(key, Elsewhere(key, c.Node)); id != "" {
		g.o.Log.Info("a recording does not go on here: another server has had the stream since", "stream", key.String(), "recording", string(id), "node", c.Node, "its_recording", c.Recording)
	}
}

// Elsewhere is what a publisher is told whose stream another server has by now.
func Elsewhere(key segmenter.Key, node string) error {
	return ingest.Refuse(ingest.NameTaken, "the server %s has the stream %s: publish it there, or connect again", node, key)
}

// unknown refuses a publisher about whom nothing can be decided now.
func (g *Gate) unknown(key segmenter.Key, err error) error {
	g.stats.Unknown.Add(1)
	g.o.Warn("cluster-unknown", key.String(), "a publisher is refused: it cannot be found out which server has the stream", "stream", key.String(), "error", err)
	refusal := ingest.Refuse(ingest.Overloaded, "it cannot be found out now which server has %s, because the bucket does not answer: try again in a moment", key)
	refusal.Soon = true
	return refusal
}

// failed refuses a publisher whose stream's recording cannot be gone on with here now, whether for the bucket or for this server's disk.
func (g *Gate) failed(key segmenter.Key, c claim.Claim, err error) error {
	g.stats.Failed.Add(1)
	g.o.Warn("cluster-takeover", key.String(), "a publisher is refused: the recording that another server had cannot be gone on with here now; the error says whether the bucket is to blame or this server's disk",
		"stream", key.String(), "recording", c.Recording, "node", c.Node, "error", err)
	return ingest.Refuse(ingest.Overloaded, "what the server %s had of %s cannot be gone on with here now: try again in a moment, or publish it to another server", c.Node, key)
}

// enter waits for a stream's turn. leave gives it to the next.
func (g *Gate) enter(ctx context.Context, key segmenter.Key) (leave func(), err error) {
	g.mu.Lock()
	t := g.waiting[key]
	if t == nil {
		t = &turn{slot: make(chan struct{}, 1)}
		g.waiting[key] = t
	}
	t.n++
	g.mu.Unlock()
	left := func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if t.n--; t.n == 0 {
			delete(g.waiting, key)
		}
	}
	select {
	case t.slot <- struct{}{}:
		return func() {
			<-t.slot
			left()
		}, nil
	case <-ctx.Done():
		left()
		return nil, context.Cause(ctx)
	}
}
