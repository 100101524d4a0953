package control

import (
	"context"
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/cluster"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/origin/remote"
)

// Cluster gives the API access to the servers that share the bucket.
type Cluster struct {
	*cluster.Cluster
	Keep func() time.Duration // how long a drain keeps publishers where nobody says
}

// Nodes implements api.Cluster.
func (c Cluster) Nodes(ctx context.Context) (list []api.Node, ok bool) {
	if !c.On() {
		return nil, false
	}
	return Nodes(c.Cluster.Nodes(ctx)), true
}

// Nodes returns servers as the API shows them.
func Nodes(known []cluster.Node) (list []api.Node) {
	for i := range known {
		n := &known[i]
		out := api.Node{
			Node: n.Node.Node, Address: n.Address, Version: n.Version, Self: n.Self, Reachable: n.Reachable, Problem: n.Problem,
			Ahead: n.Clock.Seconds(), Streams: n.Streams, Standbys: n.Standbys, Silent: n.Silent, Draining: n.Draining,
		}
		if !n.Started.IsZero() {
			started := n.Started.UTC()
			out.Started = &started
		}
		list = append(list, out)
	}
	return list
}

// Elsewhere returns what says which other server has a stream, as api.Options wants it. What the bucket does not say in time is not known.
func Elsewhere(claims remote.Owners, known func() []cluster.Node) func(ctx context.Context, app, stream string) string {
	return func(ctx context.Context, app, stream string) string {
		ctx, cancel := context.WithTimeout(ctx, elsewhereWait)
		defer cancel()
		owner, err := claims.Owner(ctx, app, stream)
		if err != nil || owner.Ended || owner.Address == "" {
			return ""
		}
		for _, n := range known() {
			if n.Address == owner.Address {
				return fmt.Sprintf("the server %s (%s)", n.Node.Node, n.Address)
			}
		}
		return fmt.Sprintf("another server (%s)", owner.Address)
	}
}

// elsewhereWait bounds how long the bucket is asked whose a stream is.
const elsewhereWait = 2 * time.Second

// Drain implements api.Cluster.
func (c Cluster) Drain(keep *time.Duration) api.Drained {
	if keep == nil {
		d := c.Keep()
		keep = &d
	}
	until := c.Cluster.Drain(*keep)
	return api.Drained{Publishers: c.Publishers(), Until: until.UTC()}
}
