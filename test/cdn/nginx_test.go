package cdn

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// frontByNginx puts the edge of deploy/nginx in front of a server: the file as it is, but for its addresses, folders and secret.
func frontByNginx(t *testing.T, p *rig.Process) *cdn {
	t.Helper()
	rig.Need(t, "nginx")
	folder, listen := t.TempDir(), rig.FreeAddress(t)
	c := &cdn{tap: newTap(t, p.HTTP), url: "http://" + listen + "/", rules: rules{
		Playlists: ttls{0, 0, 3600}, Segments: ttls{0, 0, 31536000}, Errors: []errorRule{{Status: 404}, {Status: 403}}, TargetDuration: targetDuration,
	}}
	conf := string(must(os.ReadFile("../../deploy/nginx/edge.conf")))
	for _, x := range [][2]string{
		{"server 127.0.0.1:5080;", "server " + c.tap.address + ";"}, {"listen 80;", "listen " + listen + ";"},
		{`"change-me"`, fmt.Sprintf("%q", cdnSecret)}, {"/var/cache/nginx/", folder + "/"},
	} {
		if !strings.Contains(conf, x[0]) {
			t.Fatalf("deploy/nginx/edge.conf has no %s", x[0])
		}
		conf = strings.ReplaceAll(conf, x[0], x[1])
	}
	conf = "daemon off; master_process off; pid nginx.pid; error_log stderr error;\nevents { worker_connections 1024; }\nhttp {\n" +
		"access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n" + conf + "}\n"
	file := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	edge := rig.Launch(t, "nginx", "-p", folder, "-e", "stderr", "-c", file)
	stopGently(t, edge)
	rig.Eventually(t, 30*time.Second, "the edge listens", func() bool {
		select {
		case <-edge.Done:
			t.Fatalf("nginx ended: %v\n%s", edge.Err, edge.Out)
		default:
		}
		conn, err := net.Dial("tcp", listen)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
	return c
}

// TestCDNNginx: behind the nginx of deploy/nginx many viewers are one to the server, each plays all there is, and neither a
// parameter, a cookie nor a coding of their own makes a copy or reaches the server.
func TestCDNNginx(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg", "nginx")
	p := rig.Serve(t, t.TempDir(), behindEdge)
	c := frontByNginx(t, p)
	rig.Shoot(t, p, "cam")
	live := c.playable(t, "cam", 30*time.Second)

	// A crowd that asks at once for what nobody has asked for, each in words of his own.
	start, begin := c.begin(t, live), time.Now()
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			query := fmt.Sprintf("?viewer=%d&start=%s&Policy=x", i, start)
			if res, body := c.ask(t, live+query, "Cookie", fmt.Sprintf("id=%d", i), "Accept-Encoding", fmt.Sprintf("gzip, x-%d", i)); res.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", res.Status, body)
			}
		})
	}
	wg.Wait()
	if n := c.tap.log.of("start="); n > 1+int(time.Since(begin)/time.Second) {
		t.Errorf("%d of 50 requests at once reached the server", n)
	}
	// The filter has a dot in its name, which nginx's own variables of parameters cannot have; the first of two counts.
	for query, want := range map[string]int{
		"?aws.manifestfilter=video_codec:h264": 200, "?x=1&aws.manifestfilter=video_codec:av1": 400, "?start=yesterday": 400,
		"?start=" + start + "&start=yesterday": 200, "?restart=yesterday": 200, "?time_delay=0": 200, "?x=2&_HLS_msn=0": 200,
	} {
		if res, body := c.ask(t, "streams/cam.m3u8"+query); res.StatusCode != want {
			t.Errorf("%s: %s, want %d\n%s", query, res.Status, want, body)
		}
	}
	c.tap.saw(t, "cam.m3u8?_HLS_msn=0") // what a player of low latency waits for
	c.askCMAF(t, live)
	if res, _ := c.ask(t, "metrics"); res.StatusCode != http.StatusNotFound {
		t.Errorf("what is no stream: %s", res.Status)
	}

	n := max(20, int(200*rig.Scale()))
	a := gather(t, c.url+"streams/cam.m3u8", p.URL("live/"+live), n, 2*time.Second)
	time.Sleep(rig.Scaled(2*time.Minute, 8*time.Second))
	a.good()
	for _, e := range a.errors() {
		t.Error(e)
	}
	for _, f := range c.tap.excess(c.rules) {
		t.Error(f)
	}
	for _, v := range c.tap.log.since(time.Time{}) {
		if v.fields.Get("Cookie") != "" || v.fields.Get("X-Origin-Secret") != cdnSecret {
			t.Fatalf("%s came with %v", v.key, v.fields)
		}
		if strings.Contains(v.key, "viewer=") || strings.Contains(v.key, "Policy") || strings.Contains(v.key, "restart") {
			t.Errorf("the server was asked for %s", v.key)
		}
	}
	td := time.Duration(c.TargetDuration) * time.Second
	t.Logf("%d players: %d requests, %d of them at the server; superseded playlists for %v", n, a.requests, len(c.tap.log.since(begin)), a.lag.Round(time.Millisecond))
	// nginx counts whole seconds: a copy may be shown for up to one more than its age.
	if a.lag >= td+time.Second {
		t.Errorf("a playlist was shown %v after the next was there", a.lag)
	}
	if a.newest() < 3 {
		t.Errorf("nothing was measured: up to %d", a.newest())
	}
	if wait := a.wait(); wait > 3*td {
		t.Errorf("a player waited %v for a segment", wait)
	}
}

// askCMAF requests one of each kind that CMAF and DASH have through the edge, which keeps all but the time.
func (c *cdn) askCMAF(t *testing.T, live string) {
	t.Helper()
	folder := strings.TrimSuffix(live, "live.m3u8") + "v/"
	get := func(path string) string {
		t.Helper()
		res, body := c.ask(t, path)
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s\n%s", path, res.Status, body)
		}
		return body
	}
	get("streams/cam_cmaf.m3u8")
	if m := get("streams/cam.mpd?x=3"); !strings.Contains(m, "<MPD") {
		t.Errorf("the manifest is %q", m)
	}
	list := get(folder + "live.m3u8")
	_, init, _ := strings.Cut(list, `#EXT-X-MAP:URI="`)
	init, _, _ = strings.Cut(init, `"`)
	for _, name := range []string{init, lastLine(list)} {
		first := get(folder + name)
		if res, body := c.ask(t, folder+name+"?viewer=1"); body != first || res.Header.Get("X-Cache") != "HIT" {
			t.Errorf("%s again: %s, %d bytes, the first time %d", name, res.Header.Get("X-Cache"), len(body), len(first))
		}
	}
	for range 2 {
		at, err := time.Parse(time.RFC3339, strings.TrimSpace(get("time")))
		if err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("the time is %v: %v", at, err)
		}
	}
	rig.Eventually(t, 10*time.Second, "the server was asked twice what time it is", func() bool { return c.tap.log.of("/live/time") == 2 })
}
