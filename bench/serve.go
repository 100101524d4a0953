//go:build linux

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/bench/load"
	"github.com/hlsorigin/hlsorigin/bench/publish"
	"github.com/hlsorigin/hlsorigin/bench/report"
	"github.com/hlsorigin/hlsorigin/bench/system"
)

const (
	playlistTable = "Serving playlists: the live media playlist, one stream on air"
	segmentTable  = "Serving segments: the newest one, 2 s of 6 Mb/s"
)

// serve measures the cost of requests, on kept-alive connections that send the next one as soon as they are answered.
func (r *runner) serve(ctx context.Context, s contestant, connections []int) error {
	running, err := r.start(ctx, s)
	if err != nil {
		return err
	}
	defer running.Stop()
	if s.Ingest != "" {
		f, err := r.fleet(ctx, running, 1, publish.Studio, nil)
		if err != nil {
			return err
		}
		defer f.Stop()
	}
	wait, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	t, _, err := load.Resolve(wait, running.PlaylistURL(streamName(0)), 5, 250*time.Millisecond)
	if err != nil {
		return err
	}
	idle, err := r.idle(ctx, running)
	if err != nil {
		return err
	}
	for _, n := range connections {
		for _, kind := range []string{"playlist", "gzip", "segment"} {
			if err := r.hammer(ctx, running, t, kind, n, idle); err != nil {
				return fmt.Errorf("%s at %d connections: %w", kind, n, err)
			}
		}
	}
	return nil
}

// idle returns the share of a core that the live stream costs by itself; it is not part of the requests' cost.
func (r *runner) idle(ctx context.Context, running *system.Running) (float64, error) {
	before, begin := running.Usage(), time.Now()
	err := pause(ctx, 2*time.Second)
	return (running.Usage().CPU - before.CPU).Seconds() / time.Since(begin).Seconds(), err
}

func (r *runner) hammer(ctx context.Context, running *system.Running, t load.Target, kind string, n int, idle float64) error {
	if kind == "segment" {
		_, p, err := load.Resolve(ctx, running.PlaylistURL(streamName(0)), 1, 100*time.Millisecond)
		if err != nil {
			return err
		}
		if t.Path, err = t.Beside(p.Segments[len(p.Segments)-1].URI); err != nil {
			return err
		}
	}
	h, err := load.StartHammer(t, kind == "gzip", n, runtime.NumCPU())
	if err != nil {
		return err
	}
	if err := pause(ctx, min(r.seconds/4, time.Second)); err != nil {
		return errors.Join(err, h.Stop())
	}
	length := min(r.seconds, 5*time.Second) // a segment does not stay forever
	profiled := r.profile(ctx, running, fmt.Sprintf("%s-%d", kind, n), length)
	m0, before, begin := h.Read(), running.Usage(), time.Now()
	err = pause(ctx, length)
	m, after := h.Read().Since(m0), running.Usage()
	took := time.Since(begin)
	profiled()
	if err := errors.Join(err, h.Stop()); err != nil {
		return err
	}
	if m.Requests == 0 || m.Failed > 0 {
		return fmt.Errorf("%d answers, %d failed", m.Requests, m.Failed)
	}
	cpu := max((after.CPU-before.CPU).Seconds()-idle*took.Seconds(), 0)
	add := func(id, title, table string, only bool, v float64) {
		r.results.Add(report.Metric{ID: fmt.Sprintf("%s.%d.%s", kind, n, id), Title: fmt.Sprintf(title, n), Table: table, Only: only}, running.Name, v)
	}
	ms := func(q float64) float64 { return m.Took.Quantile(q).Seconds() * 1000 }
	if kind == "segment" {
		add("cpu", "CPU s per GB, %d connections", segmentTable, false, cpu/float64(m.Bytes)*1e9)
		add("rate", "GB/s, %d connections", segmentTable, false, float64(m.Bytes)/1e9/took.Seconds())
		add("p99", "ms to the last byte p99, %d connections", segmentTable, false, ms(0.99))
		return nil
	}
	title := kind + ": "
	if kind == "gzip" && m.Zipped*2 < m.Requests {
		r.results.Note("%s does not compress playlists", running.Name)
	}
	add("cpu", title+"CPU µs per request, %d connections", playlistTable, false, cpu/float64(m.Requests)*1e6)
	add("rate", title+"requests per second, %d connections", playlistTable, false, float64(m.Requests)/took.Seconds())
	add("p50", title+"ms p50, %d connections", playlistTable, false, ms(0.5))
	add("p99", title+"ms p99, %d connections", playlistTable, false, ms(0.99))
	add("size", title+"bytes of body, %d connections", playlistTable, true, float64(m.Bytes/m.Requests))
	return nil
}

// lay writes a stream as files for a server that only serves: a playlist of ten segments, a compressed copy of it, and segments of 2 s at 6
// Mb/s.
func lay(dir string) error {
	dir = filepath.Join(dir, "hls", streamName(0))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text := "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n#EXT-X-INDEPENDENT-SEGMENTS\n"
	for i := range 10 {
		text += fmt.Sprintf("#EXTINF:2.000,\n%09d.ts\n", i)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := strings.NewReader(text).WriteTo(z); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	segment := make([]byte, 1_600_000/188*188)
	noise := rand.NewChaCha8([32]byte{})
	_, _ = noise.Read(segment)
	for i := 0; i < len(segment); i += 188 {
		segment[i] = 0x47
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "index.m3u8"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(dir, "index.m3u8.gz"), zipped.Bytes(), 0o644),
		os.WriteFile(filepath.Join(dir, "000000009.ts"), segment, 0o644))
}
