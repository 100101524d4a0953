package cluster

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

var (
	block    = regexp.MustCompile("(?s)```\n(defaults\n.*?)```")
	oneOf    = regexp.MustCompile(`(?m)^  server a 10\.0\.0\.1:(\d+)\n  server b 10\.0\.0\.2:\d+\n`)
	bindings = regexp.MustCompile(`(?m)^  bind (:\d+)$`)
)

// believed is a page of HAProxy's own that says to how many servers it sends encoders.
const believed = `
frontend believed
  mode http
  bind %s:8404
  http-request return status 200 content-type text/plain lf-string "%%[nbsrv(encoders)]"
`

// haproxy starts one in front of servers on a network, as docs/cluster.md says it. It returns where encoders and viewers come to, and what tells to how
// many servers it sends encoders.
func haproxy(t *testing.T, x *rig.Net, all []*node) (rtmp, web string, takers func() string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	found := block.FindSubmatch(page)
	if found == nil {
		t.Fatal("docs/cluster.md has no configuration of HAProxy")
	}
	config := oneOf.ReplaceAllStringFunc(string(found[1]), func(s string) (out string) {
		for _, n := range all {
			out += "  server " + n.name + " " + n.host.IP + ":" + oneOf.FindStringSubmatch(s)[1] + "\n"
		}
		return out
	})
	config = bindings.ReplaceAllString(config, "  bind "+x.Gate+"$1")
	if strings.Contains(config, "10.0.0.") {
		t.Fatalf("there are other servers in it:\n%s", config)
	}
	config += fmt.Sprintf(believed, x.Gate)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	tool := rig.Launch(t, "haproxy", "-db", "-f", file)
	rtmp, web = x.Gate+":1935", "http://"+x.Gate+"/"
	rig.Eventually(t, 30*time.Second, "HAProxy sends viewers to a server", func() bool {
		select {
		case <-tool.Done:
			t.Fatalf("HAProxy has ended: %s", tool.Out)
		default:
		}
		res, err := http.Get(web + "live/streams/none.m3u8")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusNotFound
	})
	return rtmp, web, func() string {
		res, err := http.Get("http://" + x.Gate + ":8404/")
		if err != nil {
			return err.Error()
		}
		defer res.Body.Close()
		said, _ := io.ReadAll(res.Body)
		return string(said)
	}
}

// TestEncodersGoWhereTheyAreTaken has a server that the bucket does not answer. It has no connections, and refuses publishers: HAProxy sends all to
// the other, and viewers to both. Where the bucket answers nobody, an encoder reaches the server that has its stream all the same.
func TestEncodersGoWhereTheyAreTaken(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw", "haproxy")
	t.Parallel()
	x, v := rig.NewNet(t, 2), rig.NewVault(t)
	all := spread(t, x, v, rig.Brisk)
	rtmp, web, takers := haproxy(t, x, all)
	at := func(n *node, query string) int { return n.Status("http://" + n.Admin + "/readyz" + query) }
	apart, whole := all[1], all[0]
	apart.cutBucket(true)
	rig.Eventually(t, 60*time.Second, "it takes no publishers", func() bool { return at(apart, "?publish=1") == 503 })
	if at(apart, "") != 200 || at(whole, "?publish=1") != 200 {
		t.Errorf("it is ready for viewers: %d, the other for publishers: %d", at(apart, ""), at(whole, "?publish=1"))
	}
	if body := apart.Get("http://" + apart.Admin + "/readyz?publish=1"); !strings.Contains(body, "the bucket does not say which server has a stream") {
		t.Errorf("it does not say why: %s", body)
	}
	rig.Eventually(t, 30*time.Second, "HAProxy sends encoders to the other alone", func() bool { return takers() == "1" })
	refused := apart.Metric(`hlsorigin_cluster_publishers_refused_total{reason="unknown"}`)
	var cameras []*rig.Camera
	for _, stream := range []string{"cam0", "cam1", "cam2", "cam3"} {
		opts := []func(*rig.Camera){func(c *rig.Camera) { c.URL = "rtmp://" + rtmp + "/live/" + stream }}
		if stream == "cam0" {
			opts = append(opts, rig.Dropping(8*time.Second)) // it is admitted by then
		}
		cameras = append(cameras, rig.Shoot(t, whole.Process, stream, opts...))
	}
	for _, stream := range []string{"cam0", "cam1", "cam2", "cam3"} {
		rig.Eventually(t, 60*time.Second, stream+" is on the air", func() bool { return whole.Streams()[stream].State == "live" && v.Has(rig.EntryKey(stream)) })
	}
	if n := apart.Metric(`hlsorigin_cluster_publishers_refused_total{reason="unknown"}`); n != refused {
		t.Errorf("%v publishers were sent to the server that takes none", n-refused)
	}
	for range 4 { // the bucket is away for one of the two: that one asks the other, where it knows whose the stream is
		if res, err := http.Get(web + "healthz"); err != nil || res.StatusCode != 200 {
			t.Errorf("viewers: %v", err)
		} else {
			_ = res.Body.Close()
		}
	}
	whole.cutBucket(false)
	rig.Eventually(t, 60*time.Second, "no server takes publishers", func() bool { return at(whole, "?publish=1") == 503 })
	rig.Eventually(t, 30*time.Second, "HAProxy knows that no server takes publishers", func() bool { return takers() == "0" })
	cameras[0].Mu.Lock()
	before := cameras[0].Connects
	cameras[0].Mu.Unlock()
	rig.Eventually(t, 60*time.Second, "an encoder whose connection breaks is back at the server that has its stream", func() bool {
		cameras[0].Mu.Lock()
		again := cameras[0].Connects > before+1
		cameras[0].Mu.Unlock()
		return again && whole.Streams()["cam0"].State == "live" && whole.Streams()["cam0"].Remote != ""
	})
	for _, n := range all {
		n.heal()
	}
	for _, n := range all {
		rig.Eventually(t, 60*time.Second, n.name+" takes publishers again", func() bool { return at(n, "?publish=1") == 200 })
	}
}
