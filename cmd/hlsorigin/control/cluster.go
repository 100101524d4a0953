package control

import (
	"context"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/cluster"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
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

// Drain implements api.Cluster.
func (c Cluster) Drain(keep *time.Duration) api.Drained {
	if keep == nil {
		d := c.Keep()
		keep = &d
	}
	until := c.Cluster.Drain(*keep)
	return api.Drained{Publishers: c.Publishers(), Until: until.UTC()}
}
