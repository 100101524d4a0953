package cluster

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/peer"
	"github.com/hlsorigin/hlsorigin/storage/roster"
)

// Limits of looking at other servers.
const (
	listTimeout  = 5 * time.Second
	maxAsking    = 128             // that are asked at a time: of servers that are gone for good, the store may name hundreds
	maxClockSkew = 2 * time.Second // more is said in the log
	freshFor     = 2 * time.Second // what was found is shown again for so long
	listEvery    = time.Minute     // the store is asked which servers there are; sooner if somebody asks for them
	// forgetAfter is when a server that does not answer, and has not started since, is not shown any more.
	forgetAfter = 7 * 24 * time.Hour
)

// Node is a server of the cluster, as this one sees it.
type Node struct {
	peer.Node               // of one that does not answer, what the store says
	Self      bool          // it is this server
	Reachable bool          // it answers at its address
	Problem   string        // why it does not
	Clock     time.Duration // how far its clock is ahead of this server's
}

// table is what is known of the servers of the cluster.
type table struct {
	looking sync.Mutex     // one look at a time
	at      time.Time      // of the last; guarded by looking
	entries []roster.Entry // as the store had them; guarded by looking
	listed  time.Time      // when that was; guarded by looking
	nodes   atomic.Pointer[[]Node]
	skewed  map[string]bool // whose clock was said to be wrong; guarded by looking
	away    map[string]bool // who was said to be away; guarded by looking
	silent  bool            // that the store does not answer was said; guarded by looking
}

// Known are the servers as they were at the last look, at most some seconds ago.
func (c *Cluster) Known() []Node {
	if all := c.table.nodes.Load(); all != nil {
		return *all
	}
	return nil
}

// Nodes looks at all servers of the cluster, unless that was done just now.
func (c *Cluster) Nodes(ctx context.Context) []Node {
	if c.On() {
		c.refresh(ctx, freshFor)
	}
	return c.Known()
}

// refresh asks all servers that the store knows who they are, and the store if what it said is older than list.
func (c *Cluster) refresh(ctx context.Context, list time.Duration) {
	t := &c.table
	t.looking.Lock()
	defer t.looking.Unlock()
	if now := c.o.Now(); t.nodes.Load() != nil && now.Sub(t.at) < freshFor && !now.Before(t.at) {
		return
	}
	if now := c.o.Now(); t.listed.IsZero() || now.Sub(t.listed) >= list || now.Before(t.listed) {
		c.list(ctx)
	}
	entries := slices.Clone(t.entries)
	self := c.self()
	found := false
	for i := range entries {
		found = found || entries[i].Node == self.Node
	}
	if !found {
		entries = append(entries, roster.Entry{Node: self.Node, Address: self.Address, Version: self.Version, Instance: self.Instance, Written: c.o.Now()})
	}
	asked := make([]Node, len(entries))
	turn := make(chan struct{}, maxAsking)
	var all sync.WaitGroup
	for i := range entries {
		all.Go(func() {
			turn <- struct{}{}
			asked[i] = c.ask(ctx, &entries[i])
			<-turn
		})
	}
	all.Wait()
	if ctx.Err() != nil { // who did not answer may only not have had the time
		return
	}
	nodes := make([]Node, 0, len(asked))
	for i := range asked {
		if n := &asked[i]; n.Self || n.Reachable || entries[i].Written.IsZero() || c.o.Now().Sub(entries[i].Written) < forgetAfter {
			nodes = append(nodes, *n)
		}
	}
	t.at = c.o.Now()
	t.tell(nodes, c.o.Log)
	t.nodes.Store(&nodes)
}

// list asks the store which servers there are. table.looking is held.
func (c *Cluster) list(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	t := &c.table
	entries, err := roster.List(limited, c.o.Store)
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		t.entries, t.listed = entries, c.o.Now()
	case !t.silent:
		c.o.Log.Warn("the bucket does not say which servers there are: those that were known are asked", "error", err)
	}
	t.silent = err != nil
}

// ask asks a server who it is.
func (c *Cluster) ask(ctx context.Context, e *roster.Entry) Node {
	self := e.Node == c.Name()
	known := Node{Node: peer.Node{Node: e.Node, Address: e.Address, Version: e.Version, Instance: e.Instance}, Self: self}
	if self {
		known.Node = c.self()
	}
	began := c.o.Now()
	n, err := c.client.Node(ctx, known.Address)
	took := c.o.Now().Sub(began)
	switch {
	case err != nil:
		known.Problem = err.Error()
	case n.Node != e.Node:
		known.Problem = "at its address the server " + n.Node + " answers"
	case self && n.Instance != c.instance:
		known.Problem = "another server of the same name answers at its address: give each a name of its own"
	default:
		known.Node, known.Reachable = n, true
		known.Clock = n.Clock.Sub(began.Add(took / 2)).Round(time.Millisecond)
	}
	return known
}

// tell logs what is new about servers: once when it begins.
func (t *table) tell(nodes []Node, log *slog.Logger) {
	skewed, away := map[string]bool{}, map[string]bool{}
	for i := range nodes {
		n := &nodes[i]
		name := n.Node.Node
		switch {
		case !n.Reachable:
			if away[name] = true; !t.away[name] {
				msg := "another server of the cluster is not reached"
				if n.Self {
					msg = "this server is not reached at its cluster.address, so the others will not reach it either, and take its streams over: correct the address, or what is between"
				}
				log.Warn(msg, "node", name, "address", n.Address, "why", n.Problem)
			}
		case t.away[name]:
			log.Info("a server of the cluster is reached again", "node", name, "address", n.Address)
		}
		if n.Clock.Abs() > maxClockSkew {
			if skewed[name] = true; !t.skewed[name] {
				log.Warn("the clock of another server of the cluster is not this one's: put both right, else recordings that move between them have wrong times", "node", name, "ahead", n.Clock.String())
			}
		}
	}
	t.skewed, t.away = skewed, away
}
