package attack

import (
	"context"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// friendly matches lines about streams whose publishers have keys.
var friendly = regexp.MustCompile(`"stream":"(live/)?(show|new|newer)"`)

// TestShowUnderAttack attacks every port with connections of twelve kinds each, wrong credentials and storms of requests: the show loses no
// frame, newcomers get in at any moment, the log stays small.
func TestShowUnderAttack(t *testing.T) {
	crowd := max(36, int(1000*rig.Scale())) // on each port
	siege := rig.Scaled(3*time.Minute, 24*time.Second)
	f, calm := build(t, crowd*3/4, siege+12*time.Second), build(t, 1000, siege+12*time.Second)
	v, stopWatching := rig.Watch(t, f.URL("live/streams/show.m3u8"))
	ffmpeg := rig.Launch(t, "ffmpeg", "-v", "error", "-i", f.URL("live/streams/show.m3u8"), "-c", "copy", "-f", "null", "-")
	rig.Eventually(t, 20*time.Second, "there is a segment", func() bool { return v.Count() > 0 })
	v.Mu.Lock()
	segment := path.Join("/live/streams/show", v.Recording, v.Order[0])
	v.Mu.Unlock()

	ctx, cancel := context.WithTimeout(t.Context(), siege)
	defer cancel()
	enemy := f.besieged(t, crowd, siege, segment)

	var m mob
	newcomers := &arrivals{at: f, elsewhere: calm}
	newcomers.come(ctx, t, &m, "publisher over RTMP", time.Second, inTurn("rtmp", "rtmps", publishRTMP, newKey))
	newcomers.come(ctx, t, &m, "publisher over RTSP", time.Second, inTurn("rtsp", "rtsps", publishRTSP, newerKey))
	newcomers.come(ctx, t, &m, "viewer", time.Second, func(f *fortress) error { return view("http://"+f.HTTP, nil) })
	newcomers.come(ctx, t, &m, "viewer over TLS", 1500*time.Millisecond, func(f *fortress) error { return view("https://"+f.ports["https"].address, f.trust.Clone()) })
	newcomers.come(ctx, t, &m, "health", time.Second, func(f *fortress) error { return healthy(f.HTTP) })
	newcomers.come(ctx, t, &m, "admin's health", time.Second, func(f *fortress) error { return healthy(f.Admin) })

	half := time.After(siege / 2)
	<-half
	before := len(f.Log.String())
	<-ctx.Done()
	log := f.Log.String()
	m.all.Wait()
	if err := enemy.Wait(patience + 30*time.Second); err != nil {
		t.Errorf("the attackers: %v\n%s", err, enemy.Out)
	}
	t.Logf("%s; %v", strings.TrimSpace(enemy.Out.String()), newcomers)
	hostile := 0 // lines about legitimate publishers are few, and would be there without an attack
	for line := range strings.Lines(log[before:]) {
		if !friendly.MatchString(line) {
			hostile += len(line)
		}
	}
	hourly := float64(hostile) / (siege / 2).Hours()
	t.Logf("%d bytes of log, %d of them in the second half, %d for hostile clients: %.0f an hour", len(log), len(log)-before, hostile, hourly)
	if hourly > 1<<20 || len(log) > 128<<10 {
		t.Errorf("the log is\n%s", log[:min(len(log), 64<<10)])
	}
	f.whole(t)
	stopWatching()
	v.Good()
	if limit := time.Duration(v.Target)*1500*time.Millisecond + time.Second + newcomers.lag(); v.Cadence > limit {
		t.Errorf("a viewer waited %v for a segment", v.Cadence)
	}
	if err := ffmpeg.Wait(30 * time.Second); err != nil {
		t.Errorf("ffmpeg as a viewer: %v\n%s", err, ffmpeg.Out)
	}
	if n := f.Metric("hlsorigin_connections_displaced_total"); n == 0 {
		t.Error("no table was full: the attack is none")
	}
}
