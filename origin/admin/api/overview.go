package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hlsorigin/hlsorigin/origin/admin"
)

// Overviews tells how the server is. It answers at once, from what is known.
type Overviews interface {
	Overview() Overview
	// Detail is more about one stream; false where it is not known.
	Detail(app, stream string) (Detail, bool)
}

// Overview is what an operator sees at a glance.
type Overview struct {
	At       time.Time      `json:"at" doc:"When it was made, by the server's clock."`
	Ready    bool           `json:"ready" doc:"The server should get viewers."`
	Viewers  int64          `json:"viewers" doc:"Connections of viewers open now."`
	Streams  []admin.Stream `json:"streams" nullable:"false" doc:"By app and name."`
	Ladders  []admin.Stream `json:"ladders" nullable:"false" doc:"By app and name, with their rungs."`
	Stores   []Store        `json:"stores" nullable:"false" doc:"Where recordings go."`
	Warnings []Warning      `json:"warnings" nullable:"false" doc:"What is wrong, the gravest first."`
	Nodes    []Node         `json:"nodes,omitempty" nullable:"false" doc:"Servers of the cluster, as they were some seconds ago; missing where there is none."`
}

// Store is a bucket, and how far behind it is.
type Store struct {
	Name     string     `json:"name" doc:"bucket or replica."`
	Segments int64      `json:"segments" doc:"That it has not confirmed."`
	Bytes    int64      `json:"bytes" doc:"Of those."`
	Oldest   *time.Time `json:"oldest,omitempty" doc:"When the oldest of them began; missing where there is none."`
	Sent     int64      `json:"sent_bytes" doc:"Since the server started."`
	InFlight int64      `json:"in_flight" doc:"Requests on their way."`
	Failing  *time.Time `json:"failing,omitempty" doc:"Since when it takes nothing; missing where it does."`
	Error    string     `json:"error" doc:"What it says; empty: nothing is wrong."`
	Act      bool       `json:"act" doc:"Repeating does not help: somebody has to do something."`
}

// Warning is something that is wrong, with what to do.
type Warning struct {
	Grave   bool   `json:"grave" doc:"Viewers or the archive lose something; else they may."`
	Subject string `json:"subject" doc:"The stream as app/name, the store, the directory, or the part of the server."`
	Kind    string `json:"kind" doc:"A word for programs, as keyframes, audio, skew, clock, uplink, frames, rung, bucket, uploads, object, disk, lost, aside, spool, listeners, node, drain. A subject has one of a kind."`
	Text    string `json:"text" doc:"What was found."`
	Do      string `json:"do" doc:"What to do about it."`
}

// Detail is more about one stream.
type Detail struct {
	App       string    `json:"app"`
	Name      string    `json:"name"`
	Recording string    `json:"recording"`
	First     uint64    `json:"first" doc:"Number of the first segment in the live playlist."`
	Segments  []Segment `json:"segments" nullable:"false" doc:"The newest, oldest first: the live playlist, and some before it."`
	Earlier   Earlier   `json:"earlier" doc:"Those before them."`
	Input     []Input   `json:"input" nullable:"false" doc:"Of the last two minutes, a row for each second in which something came."`
}

// Input is what came in one second.
type Input = admin.Input

// Segment is a segment and where its bytes are. What is false is left out.
type Segment struct {
	Sequence      uint64    `json:"sequence"`
	Start         time.Time `json:"start"`
	Duration      float64   `json:"duration" doc:"Seconds."`
	Bytes         int64     `json:"bytes"`
	Listed        bool      `json:"listed,omitempty" doc:"In the live playlist."`
	Memory        bool      `json:"memory,omitempty" doc:"In memory."`
	Spool         bool      `json:"spool,omitempty" doc:"In the spool on disk."`
	Sending       bool      `json:"sending,omitempty" doc:"On its way to a store."`
	Stored        bool      `json:"stored,omitempty" doc:"In every store."`
	Lost          bool      `json:"lost,omitempty" doc:"A gap, or some store will never have it."`
	Discontinuity bool      `json:"discontinuity,omitempty" doc:"Another time line begins with it."`
	Keyless       bool      `json:"keyless,omitempty" doc:"It does not begin with a keyframe, or not with one that needs nothing before it."`
}

// Earlier are the segments before those of a Detail.
type Earlier struct {
	Unsent int   `json:"unsent" doc:"Of them, not in every store."`
	Bytes  int64 `json:"bytes" doc:"Of those."`
}

type (
	overviewShown struct{ Body Overview }
	detailShown   struct{ Body Detail }
)

// overviews registers what is shown at a glance.
func (a *API) overviews() {
	huma.Register(a.api, op(http.MethodGet, "/v1/overview", "get-overview", "streams", "Show how all is", "Streams, ladders, buckets, and warnings with what to do.", http.StatusNotImplemented),
		func(context.Context, *struct{}) (*overviewShown, error) {
			if a.o.Overviews == nil {
				return nil, missing(noOverview)
			}
			return &overviewShown{a.overview()}, nil
		})
	huma.Register(a.api, op(http.MethodGet, "/v1/streams/{app}/{stream}/detail", "get-stream-detail", "streams", "Show how a stream comes in and where its segments are",
		"Bit rate, frame rate, keyframe interval, skew and jitter of the last two minutes, and the newest segments with where each of them is: memory, spool, bucket.",
		http.StatusNotFound, http.StatusNotImplemented),
		func(ctx context.Context, in *StreamPath) (*detailShown, error) {
			if a.o.Overviews == nil {
				return nil, missing(noOverview)
			}
			d, ok := a.o.Overviews.Detail(in.App, in.Stream)
			if !ok {
				return nil, a.absent(ctx, in, noStream(in))
			}
			return &detailShown{d.full()}, nil
		})
}

const noOverview = "this server has no overview"

// overview is the newest, with lists that are never nil.
func (a *API) overview() Overview {
	o := a.o.Overviews.Overview()
	o.Streams, o.Ladders = byName(o.Streams), byName(o.Ladders)
	o.Stores, o.Warnings = append([]Store{}, o.Stores...), append([]Warning{}, o.Warnings...)
	return o
}

// full is a detail with lists that are never nil.
func (d Detail) full() Detail {
	d.Segments, d.Input = append([]Segment{}, d.Segments...), append([]Input{}, d.Input...)
	return d
}
