package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// watching is what a page wants to see.
type watching struct {
	App    string `query:"app" doc:"With stream: its detail comes each second, too."`
	Stream string `query:"stream" doc:"A stream of that app."`
	After  string `header:"Last-Event-ID" doc:"The id of the last event that was seen: those since come first. Without, all that are still known."`
}

// AllEvents asks Hooks.Subscribe for all events that are still known.
const AllEvents = "*"

// watch registers what pages show.
func (a *API) watch() {
	o := op(http.MethodGet, "/v1/watch", "watch", "server", "Watch the server",
		"Server-sent events for a page: `event: overview` each second with an Overview, `event: detail` with the Detail of one stream, and what happens as /v1/events has it, but for segment.uploaded. "+
			"What is shown is made once for all who watch. Sixteen may listen or watch at once.", http.StatusNotImplemented, http.StatusServiceUnavailable)
	o.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	huma.Register(a.api, o, func(ctx context.Context, in *watching) (*huma.StreamResponse, error) {
		if a.o.Overviews == nil || a.o.Hooks == nil {
			return nil, missing(noOverview)
		}
		leave, ok := a.attend(ctx)
		if !ok {
			return nil, busy()
		}
		return &huma.StreamResponse{Body: func(out huma.Context) {
			defer leave()
			_, w := humago.Unwrap(out)
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			if in.After == "" {
				in.After = AllEvents
			}
			beat := func() []byte { return a.shown(in) }
			a.listen(ctx, w, broadcast{after: in.After, hello: beat(), every: boardEvery, beat: beat, but: "segment.uploaded"})
		}}, nil
	})
}

// shown is what a page is sent each second.
func (a *API) shown(in *watching) []byte {
	all := a.board.get("", a.o.Now, func() []byte { return message("overview", a.overview()) })
	if in.App == "" || in.Stream == "" {
		return all
	}
	one := a.board.get(in.App+"/"+in.Stream, a.o.Now, func() []byte {
		d, ok := a.o.Overviews.Detail(in.App, in.Stream)
		if !ok {
			return nil // it is over, as the overview says
		}
		return message("detail", d.full())
	})
	return append(bytes.Clone(all), one...)
}

// message is a value as an event.
func message(typ string, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		return nil // of plain fields it never fails
	}
	return (&Event{Type: typ, Body: body}).message(0)
}

// attend takes one of the places of those who listen; leave gives it back. Not ok where all are taken.
func (a *API) attend(ctx context.Context) (leave func(), ok bool) {
	select {
	case a.listeners <- struct{}{}:
	default:
		return nil, false
	}
	done, ok := a.begin(ctx)
	if !ok {
		<-a.listeners
		return nil, false
	}
	return func() { done(); <-a.listeners }, true
}

// untilNext is how long it is to the next whole multiple of a time: all who wait for it ask together.
func untilNext(now time.Time, every time.Duration) time.Duration {
	return now.Truncate(every).Add(every).Sub(now)
}
