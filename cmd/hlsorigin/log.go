package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/loglimit"
	"github.com/hlsorigin/hlsorigin/configs"
)

// logSettings are what a reload may change of a log.
type logSettings struct {
	level slog.LevelVar
	json  atomic.Bool
}

// newLog is the log that the configuration asks for, as long as the settings say nothing else. Whatever comes in, it is bounded.
func newLog(c configs.Log, env environment) (*slog.Logger, *logSettings) {
	s := &logSettings{}
	s.set(c)
	o := &slog.HandlerOptions{Level: &s.level}
	both := eitherHandler{s: s, text: slog.NewTextHandler(env.err, o), json: slog.NewJSONHandler(env.err, o)}
	return slog.New(loglimit.New(both)), s
}

func (s *logSettings) set(c configs.Log) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // validated with the configuration
	s.level.Set(level)
	s.json.Store(c.Format == "json")
}

// eitherHandler writes text or JSON, as the settings say at the time.
type eitherHandler struct {
	s          *logSettings
	text, json slog.Handler
}

func (h eitherHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.text.Enabled(ctx, level)
}

func (h eitherHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.s.json.Load() {
		return h.json.Handle(ctx, r)
	}
	return h.text.Handle(ctx, r)
}

func (h eitherHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return eitherHandler{h.s, h.text.WithAttrs(attrs), h.json.WithAttrs(attrs)}
}

func (h eitherHandler) WithGroup(name string) slog.Handler {
	return eitherHandler{h.s, h.text.WithGroup(name), h.json.WithGroup(name)}
}

// expireLog says of the episodes in the log that are over at now how many lines they would have had.
func (s *server) expireLog(now time.Time) {
	s.episodes.Expire(now)
	if h, ok := s.log.Handler().(*loglimit.Handler); ok {
		h.Expire(now)
	}
}

// flushLog says it of all that go on.
func (s *server) flushLog(context.Context) error {
	now := time.Now()
	s.episodes.Expire(now.Add(time.Hour))
	if h, ok := s.log.Handler().(*loglimit.Handler); ok {
		h.Flush(now)
	}
	return nil
}
