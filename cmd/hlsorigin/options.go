package main

import (
	"log/slog"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/loglimit"
	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// appOptions are the settings of every app: hls with the app's own values over it.
func appOptions(c configs.Config) map[string]segmenter.AppOptions {
	apps := make(map[string]segmenter.AppOptions, len(c.Apps))
	for name, app := range c.Apps {
		h := app.HLS.Over(c.HLS)
		apps[name] = segmenter.AppOptions{
			SegmentDuration: h.SegmentDuration.Std(), Window: h.Window.Std(),
			TargetDuration: h.TargetDuration.Std(), MaxTargetDuration: h.MaxTargetDuration.Std(),
			ReconnectGrace: h.ReconnectGrace.Std(), EndGrace: h.EndGrace.Std(), RestartGrace: h.RestartGrace.Std(),
			EndedTTL: h.EndedTTL.Std(), TakeoverAfter: h.TakeoverAfter.Std(), PDTMaxDrift: h.PDTMaxDrift.Std(), ArchiveSplit: c.HLS.ArchiveSplit.Std(),
			Groups: groups(app), Audio: app.Audio,
		}
	}
	return apps
}

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
