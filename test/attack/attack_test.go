package attack

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// friendly are lines about streams whose publishers have keys.
var friendly = regexp.MustCompile(`"stream":"(live/)?(show|new|newer)"`)

// TestShowUnderAttack besieges every port with connections of twelve kinds each, wrong credentials and storms of requests: the
// show loses no frame, newcomers get in at any moment, the log stays small.
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
	var m mob
	kinds := map[string][]kind{"rtmp": rtmpKinds(), "rtsp": rtspKinds(), "http": httpKinds(segment), "admin": httpKinds("/metrics")}
	for name, of := range map[string]string{"rtmps": "rtmp", "rtsps": "rtsp", "https": "http"} {
		kinds[name] = append(slices.Clone(kinds[of]), helloStall)
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		m.besiege(ctx, f.ports[name], kinds[name], crowd, 15*time.Second)
	}
	f.guess(ctx, t, &m)
	f.storm(ctx, &m)

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
	t.Logf("%d connections, %d of them failed; %v", m.dialed.Load(), m.failed.Load(), newcomers)
	hostile := 0 // lines about those who have a right to publish are few, and would be there without an attack
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

// guess tries wrong credentials over both protocols, from an address of its own.
func (f *fortress) guess(ctx context.Context, t *testing.T, m *mob) {
	const from = "PROXY TCP4 203.0.113.66 127.0.0.1 4000 1935\r\n"
	rtmp, rtsp := rig.Tunnel(t, f.RTMP, from), rig.Tunnel(t, f.RTSP, from)
	const guessers = 8
	interval := time.Duration(float64(guessers*time.Second) / max(50, 500*rig.Scale()))
	m.every(ctx, interval, guessers, func() { _ = publishRTMP(port{address: rtmp}, fmt.Sprint("guess", rand.Uint32())) })
	m.every(ctx, interval, guessers, func() {
		c, err := net.Dial("tcp", rtsp)
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, "ANNOUNCE rtsp://x/live/show?key=guess%d RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 9\r\n\r\nv=0\r\nm=x\r\n", rand.Uint32())
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = bufio.NewReader(c).ReadString('\n')
	})
}

// storm asks for what is not there, and for views of the show that nobody asked for before.
func (f *fortress) storm(ctx context.Context, m *mob) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: patience}
	ask := func(paths ...func() string) func() {
		return func() {
			p := paths[rand.IntN(len(paths))]()
			for _, base := range []string{"http://" + f.HTTP, "https://" + f.ports["https"].address} {
				res, err := client.Get(base + p)
				if err != nil {
					continue
				}
				_ = res.Body.Close()
			}
		}
	}
	entry := "/live/streams/show.m3u8"
	now := time.Now()
	at := func() int64 { return now.Add(rand.N(time.Hour) - time.Hour).Unix() }
	const askers = 8
	interval := time.Duration(float64(askers*time.Second) / max(100, 1000*rig.Scale()))
	m.every(ctx, interval, askers, ask(
		func() string { return fmt.Sprintf("%s?start=%d", entry, at()) },
		func() string {
			return fmt.Sprintf("%s?start=%d&end=%d", entry, at(), now.Add(rand.N(time.Minute)).Unix())
		},
		func() string { return fmt.Sprintf("%s?time_delay=%d", entry, rand.IntN(10000)) },
		func() string { return fmt.Sprintf("/live/streams/x%d.m3u8", rand.Uint32()) },
		func() string {
			return fmt.Sprintf("/live/streams/show-2020-01-01_00-00-%02d.%03d.m3u8", rand.IntN(60), rand.IntN(1000))
		},
		func() string {
			return fmt.Sprintf("/live/streams/x%d/2020-01-01_00-00-00.000/%09d.ts", rand.Uint32(), rand.IntN(1000))
		},
		func() string { return fmt.Sprintf("/%d/%d/%d", rand.Uint32(), rand.Uint32(), rand.Uint32()) },
	))
}
