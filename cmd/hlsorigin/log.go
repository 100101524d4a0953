package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/loglimit"
	"github.com/hlsorigin/hlsorigin/configs"
)

// newLog is the log that the configuration asks for. Whatever comes in, it is bounded.
func newLog(c configs.Log, env environment) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // validated with the configuration
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(loglimit.New(slog.NewJSONHandler(env.err, o)))
	}
	return slog.New(loglimit.New(slog.NewTextHandler(env.err, o)))
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
