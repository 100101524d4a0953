package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hlsorigin/hlsorigin/origin/admin"
)

// StreamPath names a stream in a path. It is exported for huma, which fills in no other embedded struct.
type StreamPath struct {
	App    string `path:"app" doc:"The app."`
	Stream string `path:"stream" doc:"The stream, or the ladder."`
}

// defaultReason is what an encoder shows where the operator gave no reason.
const defaultReason = "disconnected by an operator of the server"

type why struct {
	StreamPath
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"200" doc:"What the encoder shows. Default: that an operator did it."`
	}
}

func (w *why) reason() string {
	if w.Body == nil || w.Body.Reason == "" {
		return defaultReason
	}
	return w.Body.Reason
}

type cueOrder struct {
	StreamPath
	Body struct {
		Duration float64 `json:"duration_seconds" minimum:"1" maximum:"86400" doc:"Planned. The break ends with the first segment that begins then or later."`
	}
}

type cued struct {
	Body struct {
		ID       string `json:"id" doc:"ID of the EXT-X-DATERANGE."`
		Sequence uint64 `json:"sequence" doc:"Of the segment that the break begins with."`
	}
}

type streamList struct {
	Body struct {
		Streams []admin.Stream `json:"streams" nullable:"false" doc:"By app and name."`
	}
}

type streamShown struct{ Body admin.Stream }

type disconnected struct {
	Body struct {
		Publishers int `json:"publishers" doc:"How many were sent away; of a ladder, the rungs count."`
	}
}

type ended struct {
	Body struct {
		Recording string `json:"recording" doc:"The id of the recording that is final now."`
	}
}

// all are the streams by app and name.
func (a *API) all() []admin.Stream {
	if a.o.Streams == nil {
		return []admin.Stream{}
	}
	return byName(slices.Concat(a.o.Streams.Streams(), a.o.Streams.Ladders()))
}

// byName are streams in the order in which they are shown, with lists that are never nil.
func byName(list []admin.Stream) []admin.Stream {
	list = slices.Clone(list)
	for i := range list {
		if list[i].Tracks == nil {
			list[i].Tracks = []admin.Track{}
		}
	}
	slices.SortFunc(list, func(x, y admin.Stream) int { return cmp.Or(cmp.Compare(x.App, y.App), cmp.Compare(x.Name, y.Name)) })
	return slices.Grow(list, 1) // never nil
}

// streams registers what is asked about streams.
func (a *API) streams() {
	const path = "/v1/streams/{app}/{stream}"
	huma.Register(a.api, op(http.MethodGet, "/v1/streams", "list-streams", "streams", "List the streams", "What is on the air, and what ended within `hls.ended_ttl`. A ladder is among them beside its rungs, with the state of each."),
		func(context.Context, *struct{}) (*streamList, error) {
			out := &streamList{}
			out.Body.Streams = a.all()
			return out, nil
		})
	huma.Register(a.api, op(http.MethodGet, path, "get-stream", "streams", "Show a stream", "", http.StatusNotFound),
		func(ctx context.Context, in *StreamPath) (*streamShown, error) {
			for _, s := range a.all() {
				if s.App == in.App && s.Name == in.Stream {
					return &streamShown{s}, nil
				}
			}
			return nil, a.absent(ctx, in, noStream(in))
		})
	huma.Register(a.api, op(http.MethodDelete, path, "disconnect-publisher", "streams", "Disconnect the publisher",
		"The encoder is told the reason. Its recording goes on if it is back within `hls.reconnect_grace`: to keep it out, take its key away. Of a ladder, the publishers of all rungs are sent away.",
		http.StatusNotFound, http.StatusNotImplemented),
		func(ctx context.Context, in *why) (*disconnected, error) {
			if a.o.Streams == nil {
				return nil, missing("this server has no streams")
			}
			out := &disconnected{}
			if out.Body.Publishers = a.o.Streams.Disconnect(in.App, in.Stream, in.reason()); out.Body.Publishers == 0 {
				return nil, a.absent(ctx, &in.StreamPath, Fail(NotFound, "nobody publishes %s/%s now: GET /v1/streams lists what is on the air", in.App, in.Stream))
			}
			return out, nil
		})
	huma.Register(a.api, op(http.MethodPost, path+"/cue", "cue", "streams", "Begin an ad break",
		"It begins with the next segment: EXT-X-DATERANGE with SCTE35-OUT and PLANNED-DURATION, and with SCTE35-IN and DURATION where it ends, in every playlist of the recording and, of a ladder, in every rung alike. One at a time.",
		http.StatusNotFound, http.StatusConflict, http.StatusNotImplemented),
		func(ctx context.Context, in *cueOrder) (*cued, error) {
			if a.o.Streams == nil {
				return nil, missing("this server has no streams")
			}
			out := &cued{}
			var err error
			if out.Body.ID, out.Body.Sequence, err = a.o.Streams.Cue(in.App, in.Stream, time.Duration(in.Body.Duration*float64(time.Second))); err != nil {
				return nil, a.absent(ctx, &in.StreamPath, err)
			}
			return out, nil
		})
	huma.Register(a.api, op(http.MethodPost, path+"/end", "end-recording", "streams", "End the recording",
		"Its playlists become final at once, and its publisher is told the reason and disconnected: if the encoder comes back, another recording begins. A ladder ends as a whole.",
		http.StatusNotFound, http.StatusConflict, http.StatusNotImplemented),
		func(ctx context.Context, in *why) (*ended, error) {
			if a.o.Streams == nil {
				return nil, missing("this server has no streams")
			}
			out := &ended{}
			var err error
			switch out.Body.Recording, err = a.o.Streams.End(in.App, in.Stream, in.reason()); {
			case err != nil:
				return nil, answered(err)
			case out.Body.Recording == "":
				return nil, a.absent(ctx, &in.StreamPath, Fail(NotFound, "no recording of %s/%s is going on: GET /v1/streams lists what is on the air", in.App, in.Stream))
			}
			return out, nil
		})
}

// absent is the answer where what is asked for may be another server's.
func (a *API) absent(ctx context.Context, in *StreamPath, err error) error {
	var f *Failure
	if a.o.Elsewhere == nil || !errors.As(err, &f) || f.Kind != NotFound {
		return answered(err)
	}
	if at := a.o.Elsewhere(ctx, in.App, in.Stream); at != "" {
		err = Fail(NotFound, "%s has %s/%s: ask there", at, in.App, in.Stream)
	}
	return answered(err)
}

func noStream(in *StreamPath) error {
	return Fail(NotFound, "there is no stream %s/%s now: GET /v1/streams lists those that there are", in.App, in.Stream)
}
