package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Event is something that happened.
type Event struct {
	ID   string
	Type string
	Body []byte // JSON on one line
}

// Limits of listening to events.
const (
	maxListeners = 16               // at once, pages among them; those who take other long answers have room beside them
	heartbeat    = 15 * time.Second // a comment, so that those in between keep the connection, and one that is gone is noticed
	slowest      = 10 * time.Second // a listener that takes nothing for so long is let go
)

type listening struct {
	After string `header:"Last-Event-ID" doc:"The id of the last event that was seen: those since come first, as far as they are known. Browsers send it by themselves."`
}

// events registers what happens, as it does.
func (a *API) events() {
	o := op(http.MethodGet, "/v1/events", "listen-to-events", "server", "Listen to events",
		"Server-sent events: `id`, `event` with the type, and `data` with the JSON that webhooks get, see hooks.md. `event: lost` says with `{\"lost\": n}` that n were left out because the reader was slow. "+
			"A comment comes every 15 seconds. Sixteen may listen or watch at once.", http.StatusNotImplemented, http.StatusServiceUnavailable)
	o.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
	huma.Register(a.api, o, func(ctx context.Context, in *listening) (*huma.StreamResponse, error) {
		if a.o.Hooks == nil {
			return nil, missing("this server has no events")
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
			a.listen(ctx, w, broadcast{
				after: in.After, hello: []byte(": events\n\n"), every: heartbeat, beat: func() []byte { return []byte(":\n\n") },
			})
		}}, nil
	})
}

// broadcast is what a listener is sent.
type broadcast struct {
	after string // the event after which it begins: see Hooks.Subscribe
	hello []byte // comes first
	every time.Duration
	beat  func() []byte // comes each time that so long has passed
	but   string        // a type of event that is left out
}

// listen sends it until ctx is done or the reader is gone.
func (a *API) listen(ctx context.Context, w http.ResponseWriter, b broadcast) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	control := http.NewResponseController(w)
	write := func(b []byte) bool {
		_ = control.SetWriteDeadline(a.o.Now().Add(slowest)) // where it cannot be set, the server's own holds
		_, err := w.Write(b)
		return err == nil && control.Flush() == nil
	}
	feed := a.o.Hooks.Subscribe(ctx, b.after)
	events := make(chan []byte)
	go func() {
		defer close(events)
		for e, lost := range feed {
			if e.Type == b.but && lost == 0 {
				continue
			}
			select {
			case events <- e.message(lost):
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { // it ends with ctx, and nobody is left behind
		cancel()
		for range events {
		}
	}()
	next := time.NewTimer(untilNext(a.o.Now(), b.every))
	defer next.Stop()
	if !write(b.hello) {
		return
	}
	for {
		select {
		case e, ok := <-events:
			if !ok || !write(e) {
				return
			}
		case <-next.C:
			if !write(b.beat()) {
				return
			}
			next.Reset(untilNext(a.o.Now(), b.every))
		}
	}
}

// message is an event as it is sent.
func (e *Event) message(lost int) []byte {
	var b bytes.Buffer
	if lost > 0 {
		fmt.Fprintf(&b, "event: lost\ndata: {\"lost\": %d}\n\n", lost)
	}
	if e.ID != "" {
		fmt.Fprintf(&b, "id: %s\n", e.ID)
	}
	fmt.Fprintf(&b, "event: %s\n", e.Type)
	for line := range bytes.Lines(e.Body) {
		fmt.Fprintf(&b, "data: %s\n", bytes.TrimRight(line, "\r\n"))
	}
	b.WriteByte('\n')
	return b.Bytes()
}
