package main

import (
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// appOptions are the settings of every app: hls with the app's own values over it.
func appOptions(c configs.Config) map[string]segmenter.AppOptions {
	apps := make(map[string]segmenter.AppOptions, len(c.Apps))
	for name, app := range c.Apps {
		o := app.HLS
		pick := func(own *configs.Duration, general configs.Duration) time.Duration {
			if own != nil {
				return time.Duration(*own)
			}
			return time.Duration(general)
		}
		apps[name] = segmenter.AppOptions{
			SegmentDuration:   pick(o.SegmentDuration, c.HLS.SegmentDuration),
			Window:            pick(o.Window, c.HLS.Window),
			TargetDuration:    pick(o.TargetDuration, c.HLS.TargetDuration),
			MaxTargetDuration: pick(o.MaxTargetDuration, c.HLS.MaxTargetDuration),
			ReconnectGrace:    pick(o.ReconnectGrace, c.HLS.ReconnectGrace),
			EndGrace:          pick(o.EndGrace, c.HLS.EndGrace),
			RestartGrace:      pick(o.RestartGrace, c.HLS.RestartGrace),
			EndedTTL:          pick(o.EndedTTL, c.HLS.EndedTTL),
			TakeoverAfter:     pick(o.TakeoverAfter, c.HLS.TakeoverAfter),
			PDTMaxDrift:       pick(o.PDTMaxDrift, c.HLS.PDTMaxDrift),
		}
	}
	return apps
}

// newLog is the log that the configuration asks for.
func newLog(c configs.Log, env environment) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // validated with the configuration
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(env.err, o))
	}
	return slog.New(slog.NewTextHandler(env.err, o))
}
