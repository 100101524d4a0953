package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Reloaded is what a reload did.
type Reloaded struct {
	Changes []Change `json:"changes" nullable:"false" doc:"Settings that are not what they were."`
	Ended   int      `json:"ended" doc:"Publishers whose right was taken away."`
}

// Change is a setting that is not what it was.
type Change struct {
	Setting string `json:"setting" doc:"apps.live.keys"`
	Effect  string `json:"effect" doc:"at once, at the next publish, at the next start"`
}

// Tried is how a test event went.
type Tried struct {
	Host  string  `json:"host" doc:"Of the webhook."`
	ID    string  `json:"id" doc:"Of the event."`
	Taken bool    `json:"taken"`
	Error string  `json:"error" doc:"Why it was not taken."`
	Took  float64 `json:"took_seconds"`
}

// maxSync bounds how long the barrier waits.
const maxSync = 5 * time.Minute

type timeout struct {
	Timeout string `query:"timeout" default:"30s" doc:"How long to wait, to 5m: 30s, 2m."`
}

type levelSet struct {
	Body struct {
		Level string `json:"level" enum:"debug,info,warn,error"`
	}
}

type hookNumber struct {
	N int `path:"n" minimum:"0" doc:"Its place in webhooks; the first is 0."`
}

type (
	config struct {
		Body map[string]any
	}
	reloaded struct{ Body Reloaded }
	retried  struct {
		Body struct {
			Retried bool `json:"retried"`
		}
	}
	synced struct {
		Body struct {
			Synced bool    `json:"synced"`
			Took   float64 `json:"took_seconds"`
		}
	}
	level struct {
		Body struct {
			Level string `json:"level"`
			Was   string `json:"was"`
		}
	}
	tried struct{ Body Tried }
)

// server registers what is asked of the server itself.
func (a *API) server() {
	const none = "this server cannot do that"
	huma.Register(a.api, op(http.MethodGet, "/v1/config", "get-config", "server", "Show the configuration in force", "As in the file, with all defaults. Secrets are hidden.", http.StatusNotImplemented),
		func(context.Context, *struct{}) (*config, error) {
			if a.o.Server == nil {
				return nil, missing(none)
			}
			return &config{a.o.Server.Config()}, nil
		})
	huma.Register(a.api, op(http.MethodPost, "/v1/reload", "reload", "server", "Read the configuration again",
		"As SIGHUP does. All of what changed is put in force, or nothing: then the answer says what to correct. No show notices.", http.StatusConflict, http.StatusNotImplemented),
		func(ctx context.Context, _ *struct{}) (*reloaded, error) {
			if a.o.Server == nil {
				return nil, missing(none)
			}
			r, err := a.o.Server.Reload(ctx)
			if err != nil {
				return nil, answered(Fail(Conflict, "the configuration was not reloaded, all stays as it was: %v", err))
			}
			if r.Changes == nil {
				r.Changes = []Change{}
			}
			return &reloaded{r}, nil
		})
	huma.Register(a.api, op(http.MethodPost, "/v1/uploads/retry", "retry-uploads", "server", "Try uploads now",
		"What waits for its next attempt, for a bucket or a webhook, is tried at once.", http.StatusNotImplemented),
		func(context.Context, *struct{}) (*retried, error) {
			if a.o.Server == nil {
				return nil, missing(none)
			}
			a.o.Server.Retry()
			out := &retried{}
			out.Body.Retried = true
			return out, nil
		})
	huma.Register(a.api, op(http.MethodGet, "/v1/sync", "sync", "server", "Wait for the bucket",
		"Returns when all that was published up to the call is in the bucket. In time or not: 503 says how far behind it is.", http.StatusNotImplemented, http.StatusServiceUnavailable), a.sync)
	huma.Register(a.api, op(http.MethodPut, "/v1/log-level", "set-log-level", "server", "Change how much is logged", "Until the next reload or start: then `log.level` counts again.", http.StatusNotImplemented),
		func(_ context.Context, in *levelSet) (*level, error) {
			if a.o.Server == nil {
				return nil, missing(none)
			}
			var l slog.Level
			if err := l.UnmarshalText([]byte(in.Body.Level)); err != nil {
				return nil, huma.NewError(http.StatusUnprocessableEntity, err.Error())
			}
			out := &level{}
			out.Body.Level, out.Body.Was = levelName(l), levelName(a.o.Server.SetLogLevel(l))
			return out, nil
		})
	huma.Register(a.api, op(http.MethodPost, "/v1/hooks/{n}/test", "test-hook", "server", "Send a webhook a test event", "Once, past its queue; the answer says what it answered.",
		http.StatusNotFound, http.StatusNotImplemented, http.StatusServiceUnavailable),
		func(ctx context.Context, in *hookNumber) (*tried, error) {
			if a.o.Hooks == nil {
				return nil, missing(none)
			}
			done, ok := a.begin(ctx)
			if !ok {
				return nil, busy()
			}
			defer done()
			ctx, cancel := context.WithTimeout(ctx, maxTry)
			defer cancel()
			t, err := a.o.Hooks.Try(ctx, in.N)
			if err != nil {
				return nil, answered(err)
			}
			return &tried{t}, nil
		})
}

// maxTry bounds one test event.
const maxTry = 15 * time.Second

// sync waits for the bucket.
func (a *API) sync(ctx context.Context, in *timeout) (*synced, error) {
	if a.o.Sync == nil {
		return nil, missing("there is no bucket to wait for")
	}
	wait, err := time.ParseDuration(in.Timeout)
	if err != nil || wait < 0 || wait > maxSync {
		return nil, huma.NewError(http.StatusUnprocessableEntity, "timeout is not a duration from 0s to "+maxSync.String())
	}
	done, ok := a.begin(ctx)
	if !ok {
		return nil, busy()
	}
	defer done()
	began := a.o.Now()
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := a.o.Sync.Sync(ctx); err != nil {
		return nil, answered(Fail(Unavailable, "%v", err))
	}
	out := &synced{}
	out.Body.Synced, out.Body.Took = true, a.o.Now().Sub(began).Seconds()
	return out, nil
}

// levelName is a level as the configuration has it.
func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warn"
	}
	return "error"
}
