package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/democlip"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/part"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/systemd"
	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/rtmpclient"
	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// demoStream is what the demo publishes as.
const demoStream = "demo"

// runDemo serves as the configuration says, publishes a clip to itself over RTMP, and tells what becomes of it.
func runDemo(cfg configs.Config, env environment) error {
	app, err := demoApp(cfg)
	if err != nil {
		return err
	}
	cfg = withLowLatency(cfg, app)
	cfg.Log.Level = "warn" // the screen is for what the demo has to say
	cfg.Shutdown.Hold = false
	log, logs := newLog(cfg.Log, env)
	s, err := interruptible(env.signals, func(ctx context.Context) (*server, error) {
		return begun(ctx, cfg, log, reloadSource{logs: logs}, systemd.Manager{}, admin.Demo{App: app, Stream: demoStream, Round: int(democlip.Duration.Seconds())})
	})
	if err != nil {
		return unlessStopped(err, log)
	}
	a := s.sockets.addresses()
	demoScreen(env.out, cfg, a, app)
	if env.started != nil {
		env.started(a)
	}
	publisher := part.Run("demo publisher", s.failed, func(ctx context.Context) error {
		clip, err := rtmpclient.ParseFLV(democlip.FLV())
		if err != nil {
			return err
		}
		return comesBack(ctx, func(ctx context.Context) error {
			return rtmpclient.Publish(ctx, fmt.Sprintf("rtmp://127.0.0.1:%d/%s/%s", port(a.rtmp), app, demoStream), clip.Loop(0))
		})
	})
	reporter := part.Run("demo report", s.failed, func(ctx context.Context) error {
		return s.report(ctx, env.out, segmenter.Key{App: app, Stream: demoStream})
	})
	err = s.wait(env.signals, env.retry)
	ctx, cancel := context.WithTimeout(context.Background(), quickStop)
	defer cancel()
	// The server's end has cut the publisher off; that is no news.
	_ = part.StopAll(ctx, publisher, reporter)
	demoEnds(env.out, cfg, s.archive.behind)
	return err
}

// demoEnds says what has become of the recording. Who presses Ctrl-C twice does not wait for the bucket.
func demoEnds(out io.Writer, cfg configs.Config, behind bool) {
	if behind {
		fmt.Fprintf(out, "\nThe recording has ended. What %s does not have of it yet is in %s: the next start sends it.\n", cfg.Storage.URL, cfg.Spool.Dir)
		return
	}
	fmt.Fprintf(out, "\nThe recording has ended: its playlists have ENDLIST and are final in %s.\n", cfg.Storage.URL)
}

// comesBack publishes until ctx is done. Sent away after a while, as by an operator who tries that, it is back like any encoder, when the clip's
// clock and that of the recording, which may go on, are the same again. Sent away at once it was not let in.
func comesBack(ctx context.Context, publish func(context.Context) error) error {
	for first := time.Now(); ; {
		began := time.Now()
		err := publish(ctx)
		var sent *rtmpclient.StatusError
		if !errors.As(err, &sent) || time.Since(began) < time.Second {
			return err
		}
		if !sleep(ctx, democlip.Duration-time.Since(first)%democlip.Duration) {
			return nil
		}
	}
}

// demoApp is the first app that this machine may publish to without a key.
func demoApp(cfg configs.Config) (name string, err error) {
	for n, app := range cfg.Apps {
		if guarded := len(app.Keys) > 0 || len(app.Auth.Allow) > 0 || len(app.Auth.JWT.Accepted()) > 0 || app.Auth.Callback.URL != ""; !guarded && (name == "" || n < name) {
			name = n
		}
	}
	switch {
	case name == "":
		return "", errors.New("the demo publishes without a key, and every app of the configuration asks for one: run it without -config")
	case cfg.RTMP.Listen == "" || cfg.HTTP.Listen == "":
		return "", errors.New("the demo needs rtmp.listen and http.listen")
	}
	return name, nil
}

// withLowLatency is a configuration by which an app has low-latency playlists beside the ordinary ones, which stay as they are. Where
// segments are too short for the parts that are set, parts are half of a segment.
func withLowLatency(cfg configs.Config, app string) configs.Config {
	a, yes := cfg.Apps[app], true
	a.HLS.LowLatency = &yes
	if h := a.HLS.Over(cfg.HLS); 2*h.PartDuration > h.SegmentDuration {
		half := h.SegmentDuration / 2
		a.HLS.PartDuration = &half
	}
	cfg.Apps = maps.Clone(cfg.Apps)
	cfg.Apps[app] = a
	return cfg
}

func demoScreen(w io.Writer, cfg configs.Config, a addresses, app string) {
	fmt.Fprintf(w, `
  hlsorigin %s, demo: a clip is published over RTMP, served as HLS and archived, all on this machine.

  Watch    http://127.0.0.1:%d/%s/streams/%s.m3u8   in VLC, Safari, ffplay, any HLS player
           http://127.0.0.1:%d/%s/streams/%s_ll.m3u8   the same with low latency, for players that know it
`, versionString(), port(a.http), app, demoStream, port(a.http), app, demoStream)
	if a.admin != nil {
		fmt.Fprintf(w, "           http://%s/   in a browser: both side by side, and what is on the air\n", dialable(a.admin))
	}
	fmt.Fprintf(w, `
  Publish  in OBS, Settings, Stream, Service "Custom":
             Server      rtmp://127.0.0.1:%d/%s
             Stream Key  cam
           or  ffmpeg -re -i FILE -c copy -f flv rtmp://127.0.0.1:%d/%s/cam
           then watch http://127.0.0.1:%d/%s/streams/cam.m3u8
`, port(a.rtmp), app, port(a.rtmp), app, port(a.http), app)
	where := cfg.Storage.URL
	if at, err := cfg.Storage.Location(); err == nil && at.Dir != "" {
		where = filepath.Join(at.Dir, app, "streams")
	}
	fmt.Fprintf(w, `
  Archive  %s   every segment, and a playlist of the whole recording
  Stop     Ctrl-C: the recording ends and its playlists become final

  time      segment     lasts       size   live     in the bucket
`, where)
}

// dialable is an address as a browser on this machine can use it.
func dialable(a net.Addr) string {
	host, p, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, p)
}

// Pace of the report: how often the bucket is asked for a segment, and how long.
const (
	reportPoll = 20 * time.Millisecond
	reportWait = 10 * time.Second
)

// report prints a line for each segment: when it was listed, and when the bucket had it.
func (s *server) report(ctx context.Context, w io.Writer, key segmenter.Key) error {
	var next uint64
	var last *segmenter.Timeline
	for {
		t := s.registry.Timeline(key.App, key.Stream)
		if t == nil || t == last && t.Snapshot().State == segmenter.Ended {
			if !sleep(ctx, reportPoll) {
				return nil
			}
			continue
		}
		if t != last {
			last, next = t, 0
		}
		snap := t.Snapshot()
		listed := time.Now()
		for ; next < snap.Next(); next++ {
			s.reportSegment(ctx, w, snap, &snap.Rows[next-snap.Base], listed)
		}
		select {
		case <-snap.Changed():
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *server) reportSegment(ctx context.Context, w io.Writer, snap *segmenter.Snapshot, e *segmenter.Row, listed time.Time) {
	after := "no bucket is configured"
	if len(s.archive.stores) > 0 {
		after = "not yet"
		name := segmenter.Name{Kind: segmenter.KindSegment, App: snap.App, Stream: snap.Stream, Recording: snap.Recording, Sequence: e.Sequence}
		for time.Since(listed) < reportWait {
			if _, err := s.archive.stores[0].Stat(ctx, name.String()); err == nil {
				after = fmt.Sprintf("after %d ms", time.Since(listed).Milliseconds())
				break
			}
			if !sleep(ctx, reportPoll) {
				break
			}
		}
	}
	fmt.Fprintf(w, "  %s  %s  %4.1f s  %6d kB   yes      %s\n", listed.Format("15:04:05"), segmenter.SegmentFile(e.Sequence)[:9],
		float64(e.Duration)/segmenter.Clock, e.Size/1000, after)
}

// sleep waits; false where ctx ended it.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
