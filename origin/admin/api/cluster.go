package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Cluster is the servers that share a bucket, of which this is one.
type Cluster interface {
	// Nodes asks all of them who they are; not ok where this server belongs to no cluster.
	Nodes(ctx context.Context) (list []Node, ok bool)
	// Drain turns publishers away for good: new ones at once, present ones after keep; nil: as it is set.
	Drain(keep *time.Duration) Drained
}

// Node is a server of the cluster.
type Node struct {
	Node      string     `json:"node" doc:"Its name."`
	Address   string     `json:"address" doc:"Where the others reach it."`
	Version   string     `json:"version"`
	Self      bool       `json:"self" doc:"It is the server that answers."`
	Reachable bool       `json:"reachable" doc:"It answers at its address."`
	Problem   string     `json:"problem" doc:"Why it does not; empty: it does."`
	Ahead     float64    `json:"clock_ahead_seconds" doc:"By how much its clock is ahead of that of the server that answers."`
	Streams   int        `json:"streams" doc:"That are published to it."`
	Standbys  int        `json:"standbys" doc:"Publishers that stand by there, because another server has their stream."`
	Silent    int        `json:"standbys_silent" doc:"Of them, those from whose encoders nothing comes."`
	Draining  bool       `json:"draining" doc:"It takes no new publishers."`
	Started   *time.Time `json:"started,omitempty" doc:"Missing where it does not answer."`
}

// Drained is how far a drain is.
type Drained struct {
	Publishers int       `json:"publishers" doc:"That are there still."`
	Until      time.Time `json:"until" doc:"When they are sent away."`
}

type drain struct {
	Body *struct {
		Keep string `json:"keep,omitempty" doc:"How long publishers that are there are kept, 0s to 24h: 30s, 10m. Missing: cluster.drain."`
	}
}

type (
	nodesShown struct {
		Body struct {
			Nodes []Node `json:"nodes" nullable:"false" doc:"By name."`
		}
	}
	drained struct{ Body Drained }
)

// maxKeep bounds how long a drain keeps publishers.
const maxKeep = 24 * time.Hour

// cluster registers what is asked of the servers that share the bucket.
func (a *API) cluster() {
	huma.Register(a.api, op(http.MethodGet, "/v1/nodes", "list-nodes", "server", "List the servers of the cluster", "Each is asked who it is, unless that was done a moment ago.", http.StatusNotImplemented),
		func(ctx context.Context, _ *struct{}) (*nodesShown, error) {
			const none = "this server belongs to no cluster: docs/cluster.md says how to make one"
			if a.o.Cluster == nil {
				return nil, missing(none)
			}
			list, ok := a.o.Cluster.Nodes(ctx)
			if !ok {
				return nil, missing(none)
			}
			out := &nodesShown{}
			out.Body.Nodes = append([]Node{}, list...)
			return out, nil
		})
	huma.Register(a.api, op(http.MethodPost, "/v1/drain", "drain", "server", "Drain this server",
		"`/readyz` says no, new publishers are refused, and those that are there are sent away when their time is up. Viewers are served on. It lasts until the server is started again; the last call says how long publishers are kept.",
		http.StatusNotImplemented),
		func(_ context.Context, in *drain) (*drained, error) {
			if a.o.Cluster == nil {
				return nil, missing("this server cannot do that")
			}
			var keep *time.Duration
			if in.Body != nil && in.Body.Keep != "" {
				d, err := time.ParseDuration(in.Body.Keep)
				if err != nil || d < 0 || d > maxKeep {
					return nil, huma.NewError(http.StatusUnprocessableEntity, "keep is not a duration from 0s to "+maxKeep.String())
				}
				keep = &d
			}
			return &drained{a.o.Cluster.Drain(keep)}, nil
		})
}
