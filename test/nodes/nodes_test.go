package nodes

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// Two servers see each other; a third with the name of one of them is not started, and one that has died is seen to be away.
func TestNodes(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	bucket := t.TempDir()
	a, b := serve(t, bucket, "a"), serve(t, bucket, "b")
	rig.Shoot(t, b.Process, "cam")
	rig.Eventually(t, 60*time.Second, "each sees the other", func() bool {
		x, y := a.nodes(), b.nodes()
		return len(x) == 2 && x["a"].Self && x["b"].Reachable && x["b"].Streams == 1 && x["b"].Address == "http://"+b.at && len(y) == 2 && y["b"].Self && y["a"].Reachable
	})

	if said := rig.NotStarted(t, yaml(bucket, "b", rig.FreeAddress(t), secret)); !strings.Contains(said, "b, too, answers at http://"+b.at) {
		t.Error(said)
	}

	b.Kill()
	rig.Eventually(t, 60*time.Second, "the dead one is not reached", func() bool {
		n := a.nodes()["b"]
		return n.Node == "b" && !n.Reachable && n.Problem != ""
	})
	if a.Metric(`hlsorigin_cluster_nodes{state="unreachable"}`) != 1 || a.Metric(`hlsorigin_cluster_nodes{state="reachable"}`) != 1 {
		t.Error("the metrics do not count them")
	}
	b.Start() // with the same name: what it wrote itself does not keep it away
	rig.Eventually(t, 60*time.Second, "it is back", func() bool { return a.nodes()["b"].Reachable })
}

// ask gets a path from another server's port.
func (s *server) ask(t *testing.T, path, had string, gzip bool) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+s.at+"/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	if had != "" {
		r.Header.Set("Hlsorigin-Wait", had)
	}
	if gzip {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// differs says what another server is answered that a viewer is not; "" if nothing.
func (s *server) differs(t *testing.T, path string) string {
	t.Helper()
	res, body := s.ask(t, path, "", true)
	r, err := http.NewRequest("GET", s.URL(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	viewer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer viewer.Body.Close()
	want, err := io.ReadAll(viewer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != viewer.StatusCode || body != string(want) {
		return fmt.Sprintf("%d, %d bytes; a viewer gets %d, %d bytes", res.StatusCode, len(body), viewer.StatusCode, len(want))
	}
	for name, v := range viewer.Header {
		if name != "Date" && name != "Connection" && !slices.Equal(v, res.Header[name]) {
			return fmt.Sprintf("%s is %q, for viewers %q", name, res.Header[name], v)
		}
	}
	return ""
}

// What another server is answered is what a viewer is; a playlist is awaited until it is another.
func TestWhatIsAnsweredBetweenServers(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	s := serve(t, t.TempDir(), "a")
	rig.Shoot(t, s.Process, "cam")
	live := ""
	rig.Eventually(t, 60*time.Second, "there are segments", func() bool {
		id := s.RecordingOf("cam")
		live = rig.LiveKey("cam", id)
		return id != "" && strings.Count(rig.TryGet(s.URL(live)), "#EXTINF") >= 2
	})
	folder := filepath.Dir(live) + "/"
	for _, path := range []string{rig.EntryKey("cam"), folder + "000000000.ts", folder + "000000000.ts?", "healthz", "live/streams/none.m3u8", "x"} {
		why := ""
		for range 5 { // a playlist may change between the two
			if why = s.differs(t, path); why == "" {
				break
			}
		}
		if why != "" {
			t.Errorf("%s: %s", path, why)
		}
	}
	res, body := s.ask(t, live, "", false)
	for range 3 { // each is newer than the one before, and comes when there is one
		was := res.Header.Get("ETag")
		began := time.Now()
		next, after := s.ask(t, live, was, false)
		if next.StatusCode != 200 || next.Header.Get("ETag") == was || after == body || !strings.HasPrefix(after, "#EXTM3U") {
			t.Errorf("%d after %s, %q then %q", next.StatusCode, time.Since(began), was, next.Header.Get("ETag"))
		}
		res, body = next, after
	}
	if _, body := s.ask(t, "cluster/v1/state/live/cam", "", false); !strings.Contains(body, `"node":"a","fed":true`) || !strings.Contains(body, s.RecordingOf("cam")) {
		t.Error(body)
	}
	plain, err := http.Get("http://" + s.at + "/" + live)
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != 401 {
		t.Errorf("without the secret: %d", plain.StatusCode)
	}
}

// A server that gets SIGTERM says so, keeps its publisher for a while, sends it away with a reason, and holds its recording over.
func TestDrainAndStop(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	s := serve(t, t.TempDir(), "a")
	c := rig.Shoot(t, s.Process, "cam")
	rig.Eventually(t, 60*time.Second, "it is on the air", func() bool { return s.RecordingOf("cam") != "" })
	id := s.RecordingOf("cam")
	if err := s.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ready, asked := 0, time.Now()
	rig.Eventually(t, 60*time.Second, "it is not ready, or stopped", func() bool {
		ready = s.Status("http://" + s.Admin + "/readyz")
		return ready != 200
	})
	if ready == 503 { // else all of it happened between two looks
		if body := rig.TryGet(s.URL(rig.EntryKey("cam"))); body == "" {
			t.Logf("viewers are not served %s after the signal", time.Since(asked))
		}
	}
	select {
	case <-s.Done:
	case <-time.After(60 * time.Second):
		t.Fatal("it does not stop")
	}
	if s.Err != nil {
		t.Error(s.Err)
	}
	if took := time.Since(asked); took < 900*time.Millisecond {
		t.Errorf("it has stopped after %s already", took)
	}
	if !slices.ContainsFunc(s.Log.Messages("INFO"), func(m string) bool { return strings.HasPrefix(m, "draining before the stop") }) {
		t.Errorf("the log does not say so: %s", s.Log)
	}
	s.Start()
	rig.Eventually(t, 60*time.Second, "the camera is back", func() bool { return s.Streams()["cam"].State == "live" })
	if now := s.RecordingOf("cam"); now != id {
		t.Errorf("recording %s goes on as %s", id, now)
	}
	_ = c
}

// POST /v1/drain: publishers are told to go elsewhere, viewers are served on.
func TestDrain(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	s := serve(t, t.TempDir(), "a")
	c := rig.Shoot(t, s.Process, "cam")
	rig.Eventually(t, 60*time.Second, "it is on the air", func() bool { return s.RecordingOf("cam") != "" })
	drain := func(body string) int {
		res, err := http.Post("http://"+s.Admin+"/v1/drain", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if code := drain(`{"keep": "soon"}`); code != 422 {
		t.Error(code)
	}
	if code := s.Status("http://" + s.Admin + "/readyz"); code != 200 {
		t.Error(code)
	}
	if code := drain(`{"keep": "0s"}`); code != 200 {
		t.Error(code)
	}
	rig.Eventually(t, 60*time.Second, "the publisher is told", func() bool {
		c.Mu.Lock()
		defer c.Mu.Unlock()
		return slices.ContainsFunc(c.Refused, func(said string) bool { return strings.Contains(said, "being drained: publish to another") })
	})
	if code := s.Status("http://" + s.Admin + "/readyz"); code != 503 {
		t.Error(code)
	}
	if code := s.Status(s.URL(rig.EntryKey("cam"))); code != 200 {
		t.Error(code)
	}
	if s.Metric("hlsorigin_cluster_draining") != 1 {
		t.Error("no metric says that it is drained")
	}
	rig.Eventually(t, 60*time.Second, "it says that it is drained", func() bool { return s.nodes()["a"].Draining })
}

// A server that has got another secret and one that has not reach each other, and no restart is needed.
func TestSecretIsChanged(t *testing.T) {
	t.Parallel()
	bucket := t.TempDir()
	a, b := serve(t, bucket, "a"), serve(t, bucket, "b")
	rig.Eventually(t, 60*time.Second, "each sees the other", func() bool { return a.nodes()["b"].Reachable && b.nodes()["a"].Reachable })
	const done = `hlsorigin_config_reloads_total{result="done"}`
	if err := os.WriteFile(b.Args[1], []byte(yaml(bucket, "b", b.at, "another-0123456789")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, 60*time.Second, "it has the new one", func() bool { return b.Metric(done) >= 1 })
	if n := b.Metric("hlsorigin_config_waiting_settings"); n != 0 {
		t.Errorf("%v settings wait for a restart", n)
	}
	asked := func(secret string) int {
		r, err := http.NewRequest("GET", "http://"+b.at+"/cluster/v1/node", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if asked("another-0123456789") != 200 || asked(secret) != 200 || asked("a-third-0123456789") != 401 {
		t.Error("not both secrets count")
	}
	other := rig.FreeAddress(t) // what has been asked just now is not asked again: a server that is new is
	c := &server{rig.Serve(t, t.TempDir(), yaml(bucket, "c", other, "another-0123456789")), other}
	rig.Eventually(t, 60*time.Second, "one that began with the new secret is reached, and reaches who has it", func() bool { return b.nodes()["c"].Reachable && c.nodes()["b"].Reachable })
	rig.Eventually(t, 60*time.Second, "it says why it does not reach the one that has not got it", func() bool {
		n := c.nodes()["a"]
		return !n.Reachable && strings.Contains(n.Problem, "another cluster.secret")
	})
	rig.Eventually(t, 60*time.Second, "those before reach each other", func() bool { return a.nodes()["b"].Reachable && b.nodes()["a"].Reachable })
}
