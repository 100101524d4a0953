//go:build linux

package main

import (
	"fmt"

	"github.com/hlsorigin/hlsorigin/bench/publish"
	"github.com/hlsorigin/hlsorigin/bench/report"
)

// uploads maps the suffix of a system that uploads to the name of the same system without uploads.
var uploads = []struct{ suffix, over string }{{"+S3", "http"}, {"+S3 over TLS", "https"}}

// derive adds what follows from the figures of a round: whether cost grows faster than the number of streams, and what uploading adds.
func (r *runner) derive() {
	// What a stream brings each second, without the overhead of a transport stream.
	perSecond := float64(publish.Studio.Kilobit+publish.Studio.Audio) * 1000 / 8
	for _, n := range r.streams {
		for _, s := range r.results.Systems {
			for _, u := range uploads {
				without, with := r.results.Samples["ingest."+n+".cpu"][s], r.results.Samples["ingest."+n+".cpu"][s+u.suffix]
				for i := range min(len(without), len(with)) {
					r.results.Add(report.Metric{ID: "ingest." + n + ".upload." + u.over, Title: "CPU s per GB uploaded over " + u.over + ", beside the ingest, " + n + " publishers", Table: ingestTable, Only: true},
						s+u.suffix, (with[i]-without[i])/1000/perSecond*1e9)
				}
			}
		}
	}
	for _, s := range r.results.Systems {
		few, many := r.results.Samples["ingest.20.cpu"][s], r.results.Samples["ingest.200.cpu"][s]
		for i := range min(len(few), len(many)) {
			if few[i] > 0 {
				r.results.Add(report.Metric{ID: "ingest.linear", Title: "CPU per stream at 200, of that at 20", Table: ingestTable, Only: true}, s, many[i]/few[i])
			}
		}
	}
}

// plots returns the plots whose figures exist.
func (r *runner) plots() map[string]report.Plot {
	all := map[string]report.Plot{
		"ingest":   {Title: "Ingest: CPU ms per stream-second (less is better)"},
		"playlist": {Title: "Playlist: CPU µs per request (less is better)"},
		"segment":  {Title: "Segment: CPU s per GB (less is better)"},
		"latency":  {Title: "Last keyframe sent → segment listed and fetched, ms (less is better)"},
	}
	add := func(plot, metric, label string) {
		if len(r.results.Samples[metric]) > 0 {
			p := all[plot]
			p.Metrics, p.Labels = append(p.Metrics, metric), append(p.Labels, label)
			all[plot] = p
		}
	}
	for _, n := range r.streams {
		label := n + " publishers"
		if n == "1" {
			label = "1 publisher"
		}
		add("ingest", "ingest."+n+".cpu", label)
	}
	for _, n := range r.connections {
		add("playlist", "playlist."+n+".cpu", fmt.Sprintf("plain, %s connections", n))
		add("playlist", "gzip."+n+".cpu", fmt.Sprintf("gzip, %s connections", n))
		add("segment", "segment."+n+".cpu", n+" connections")
	}
	add("latency", "latency.p50", "p50")
	add("latency", "latency.p99", "p99")
	for name, p := range all {
		if len(p.Metrics) == 0 {
			delete(all, name)
		}
	}
	return all
}
