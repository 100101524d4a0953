package main

import (
	"cmp"
	"log/slog"
	"slices"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/transcode"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// transcodeOptions are the ladders that an external ffmpeg makes, in front of the registry.
func transcodeOptions(c configs.Config, to ingest.Publisher, memory *ingest.Memory, log *slog.Logger) transcode.Options {
	return transcode.Options{Publisher: to, Apps: transcodeApps(c), Memory: memory, Log: log.With("part", "transcode")}
}

// transcodeApps are the rungs of each app that has such a ladder.
func transcodeApps(c configs.Config) map[string][]transcode.Rung {
	apps := map[string][]transcode.Rung{}
	for name, app := range c.Apps {
		for _, r := range app.Ladder {
			apps[name] = append(apps[name], transcode.Rung{Name: r.Name, Height: r.Height, Bitrate: int(r.Bitrate)})
		}
	}
	return apps
}

// groups are an app's ladders: those the configuration names, or in an app with a ladder by ffmpeg, one for each stream.
func groups(app configs.App) map[string][]string {
	if len(app.Ladder) == 0 {
		return app.Groups
	}
	rungs := slices.Clone(app.Ladder)
	slices.SortStableFunc(rungs, func(a, b configs.Rung) int { return cmp.Compare(b.Bitrate, a.Bitrate) })
	best := []string{transcode.Stream(segmenter.Wildcard, transcode.SourceName)}
	for _, r := range rungs {
		best = append(best, transcode.Stream(segmenter.Wildcard, r.Name))
	}
	return map[string][]string{segmenter.Wildcard: best}
}

func (s *server) transcodeMetrics(m meters) {
	l := s.rungs.Stats()
	m.gauge("ladder_publishers", "Publishers with a ladder by ffmpeg.", nil, of(&l.Publishers))
	m.gauge("ladder_waiting", "Of them, those without a process because as many run as may.", nil, of(&l.Waiting))
	m.gauge("ladder_processes", "ffmpeg processes running.", nil, of(&l.Processes))
	m.counter("ladder_starts_total", "ffmpeg processes started.", nil, of(&l.Starts))
	m.counter("ladder_failures_total", "ffmpeg processes that could not be started, ended or stalled.", nil, of(&l.Restarts))
	m.counter("ladder_gops_dropped_total", "Groups of pictures that ffmpeg was too slow for.", nil, of(&l.DroppedGOPs))
	m.counter("ladder_gops_starved_total", "Groups of pictures that did not reach ffmpeg because the server was short of memory: raise memory.", nil, of(&l.StarvedGOPs))
	m.counter("ladder_frames_dropped_total", "Frames that no ffmpeg took.", nil, of(&l.DroppedFrames))
	m.counter("ladder_frames_total", "Frames handed on as rungs, audio included.", nil, of(&l.FramesOut))
}
