package control

import (
	"context"
	"iter"
	"log/slog"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/hooks"
	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
)

// Server gives the API access to the server itself.
type Server struct {
	InForce  func() configs.Config
	ReloadBy func(ctx context.Context) (changes []configs.Change, ended int, err error)
	RetryNow func()
	LogLevel *slog.LevelVar
}

// Config implements api.Server.
func (s Server) Config() map[string]any { return s.InForce().Tree() }

// Reload implements api.Server.
func (s Server) Reload(ctx context.Context) (api.Reloaded, error) {
	changes, ended, err := s.ReloadBy(ctx)
	out := api.Reloaded{Changes: []api.Change{}, Ended: ended}
	for _, c := range changes {
		out.Changes = append(out.Changes, api.Change{Setting: c.Name, Effect: c.Effect.String()})
	}
	return out, err
}

// Retry implements api.Server.
func (s Server) Retry() { s.RetryNow() }

// SetLogLevel implements api.Server.
func (s Server) SetLogLevel(level slog.Level) (was slog.Level) {
	was = s.LogLevel.Level()
	s.LogLevel.Set(level)
	return was
}

// Hooks gives the API access to events and webhooks.
type Hooks struct{ *hooks.Hooks }

// Try implements api.Hooks.
func (h Hooks) Try(ctx context.Context, index int) (api.Tried, error) {
	t, err := h.Hooks.Try(ctx, index)
	if err != nil {
		return api.Tried{}, api.Fail(api.NotFound, "%v: GET /v1/config lists webhooks", err)
	}
	out := api.Tried{Host: t.Host, ID: t.ID, Taken: t.Err == nil, Took: t.Took.Seconds()}
	if t.Err != nil {
		out.Error = t.Err.Error()
	}
	return out, nil
}

// Subscribe implements api.Hooks.
func (h Hooks) Subscribe(ctx context.Context, after string) iter.Seq2[api.Event, int] {
	feed := h.Hooks.Subscribe(ctx, after) // it begins now
	return func(yield func(api.Event, int) bool) {
		for e, lost := range feed {
			if !yield(api.Event{ID: e.ID, Type: e.Type, Body: e.Body}, lost) {
				return
			}
		}
	}
}
