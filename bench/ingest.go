//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/bench/load"
	"github.com/hlsorigin/hlsorigin/bench/publish"
	"github.com/hlsorigin/hlsorigin/bench/report"
	"github.com/hlsorigin/hlsorigin/bench/stat"
	"github.com/hlsorigin/hlsorigin/bench/system"
)

const (
	ingestTable = "Ingest: 1080p30, 6 Mb/s with B-frames, AAC, segments of 2 s, window of 20 s"
	memoryTable = "Memory while that goes on"
	mebi        = 1 << 20
)

func streamName(i int) string { return "s" + strconv.Itoa(i) }

// fleet starts n publishers to a server.
func (r *runner) fleet(ctx context.Context, running *system.Running, n int, q publish.Quality, key func(i, n int, sent time.Time)) (*publish.Fleet, error) {
	clip, err := r.clip(ctx, q)
	if err != nil {
		return nil, err
	}
	f := publish.Start(ctx, publish.Options{Clip: clip, Key: key, URL: func(i int) string { return running.IngestURL(streamName(i)) }})
	if err := f.Grow(ctx, n); err != nil {
		f.Stop()
		return nil, fmt.Errorf("%w\n%s", err, running.Log())
	}
	return f, nil
}

// ingest measures the cost of n publishers.
func (r *runner) ingest(ctx context.Context, s contestant, n int) error {
	running, err := r.start(ctx, s)
	if err != nil {
		return err
	}
	defer running.Stop()
	f, err := r.fleet(ctx, running, n, publish.Studio, nil)
	if err != nil {
		return err
	}
	defer f.Stop()
	if err := pause(ctx, r.warm); err != nil {
		return err
	}
	profiled := r.profile(ctx, running, "ingest-"+strconv.Itoa(n), r.seconds)
	late, before, begin := f.Late.Snapshot(), running.Usage(), time.Now()
	if err := pause(ctx, r.seconds); err != nil {
		return err
	}
	after, length := running.Usage(), time.Since(begin)
	profiled()
	if err := f.Err(); err != nil {
		return fmt.Errorf("%d publishers were dropped: %w", f.Lost.Load(), err)
	}
	per := func(id, title string, v float64) {
		r.results.Add(report.Metric{ID: fmt.Sprintf("ingest.%d.%s", n, id), Title: fmt.Sprintf(title, n), Table: ingestTable}, s.Name, v)
	}
	per("cpu", "CPU ms per stream-second, %d publishers", (after.CPU-before.CPU).Seconds()*1000/length.Seconds()/float64(n))
	r.watchLoad(f, late, s.Name, fmt.Sprintf("ingest of %d", n))
	memory := func(id, title string, v float64) {
		r.results.Add(report.Metric{ID: fmt.Sprintf("ingest.%d.%s", n, id), Title: fmt.Sprintf(title, n), Table: memoryTable}, s.Name, v)
	}
	if s.Playlist == "" {
		return nil
	}
	window, err := windowBytes(ctx, running.PlaylistURL(streamName(0)))
	if err != nil {
		return err
	}
	beyond := after.Memory
	if s.WindowInMemory {
		beyond -= window * int64(n)
	}
	memory("memory", "resident MiB, %d publishers", float64(after.Memory)/mebi)
	memory("beyond", "beyond the window, MiB per stream, %d publishers", float64(beyond)/mebi/float64(n))
	r.results.Add(report.Metric{ID: fmt.Sprintf("ingest.%d.files", n), Title: fmt.Sprintf("files on tmpfs, MiB, %d publishers", n), Table: memoryTable, Only: true}, s.Name, float64(running.Disk())/mebi)
	return nil
}

// watchLoad adds a note if the publishers themselves were late: then the machine was overloaded, and the figures say little.
func (r *runner) watchLoad(f *publish.Fleet, before *stat.Counts, name, title string) {
	if p99 := f.Late.Snapshot().Since(before).Quantile(0.99); p99 > 50*time.Millisecond {
		r.results.Note("%s, %s, round %d: the publishers were late, p99 %v", name, title, r.round, p99.Round(time.Millisecond))
	}
}

// windowBytes adds up the segments that a stream lists, and half of one for the segment being written.
func windowBytes(ctx context.Context, url string) (sum int64, err error) {
	var count int64
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	t, p, err := load.Resolve(ctx, url, 1, 100*time.Millisecond)
	if err != nil {
		return 0, err
	}
	c := load.NewClient(t, 5*time.Second)
	defer c.Close()
	for _, s := range p.Segments {
		path, err := t.Beside(s.URI)
		if err != nil {
			return 0, err
		}
		// The oldest may have been removed meanwhile.
		if a, err := c.Get(path); err == nil && a.Status == http.StatusOK {
			sum += int64(len(a.Body))
			count++
		}
	}
	return sum + sum/max(2*count, 1), nil
}
