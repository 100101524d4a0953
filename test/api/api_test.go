// Package api tests, on the built program, that its API does what its description says: every operation is used, and refused to callers
// without the right to it.
package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// client asks one server and remembers which operations it has used.
type client struct {
	t     *testing.T
	p     *rig.Process
	token string
	used  map[string]bool // "GET /v1/streams", with the names in braces
}

// ask requests an operation with names filled in, and expects a status.
func (c *client) ask(status int, method, path, body string, names ...string) map[string]any {
	c.t.Helper()
	c.used[method+" "+strings.SplitN(path, "?", 2)[0]] = true
	target := path
	for _, n := range names {
		i, j := strings.Index(target, "{"), strings.Index(target, "}")
		target = target[:i] + n + target[j+1:]
	}
	res, said := c.send(method, target, body)
	if res.StatusCode != status {
		c.t.Fatalf("%s %s: %d %s, wanted %d", method, target, res.StatusCode, said, status)
	}
	var answer map[string]any
	if err := json.Unmarshal([]byte(said), &answer); err != nil {
		c.t.Fatalf("%s %s: %v in %s", method, target, err, said)
	}
	return answer
}

func (c *client) send(method, target, body string, change ...func(*http.Request)) (*http.Response, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.p.Admin+target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for _, f := range change {
		f(r)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(said)
}

const stream, recordings, clips = "/v1/streams/{app}/{stream}", "/v1/recordings/{app}/{name}", "/v1/clips/{app}/{name}"

// TestEveryOperation uses each operation of the description, during a show.
func TestEveryOperation(t *testing.T) {
	rig.Need(t, "ffmpeg")
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	settings := rig.Brisk + "storage: {secret_key: do-not-show, access_key: k}\nwebhooks: [{url: \"" + hook.URL + "\", secret: whsec_" + strings.Repeat("QUJD", 8) + "}]\n"
	p := rig.Serve(t, t.TempDir(), settings)
	c := &client{t: t, p: p, used: map[string]bool{}}
	heard := c.events()
	camera := rig.Shoot(t, p, "cam")
	rig.Eventually(t, 30*time.Second, "the show is on", func() bool { return p.Streams()["cam"].State == "live" })

	if list := c.ask(200, "GET", "/v1/streams", "")["streams"].([]any); len(list) != 1 {
		t.Errorf("%d streams", len(list))
	}
	first := c.ask(200, "GET", stream, "", "live", "cam")["recording"].(string)
	c.ask(404, "GET", stream, "", "live", "nobody")
	if o := fmt.Sprint(c.ask(200, "GET", "/v1/overview", "")); !strings.Contains(o, "name:cam") || !strings.Contains(o, "stores:[map[") {
		t.Errorf("the overview: %s", o)
	}
	if d := c.ask(200, "GET", stream+"/detail", "", "live", "cam"); len(d["segments"].([]any)) == 0 {
		t.Errorf("the detail: %v", d)
	}
	c.ask(404, "GET", stream+"/detail", "", "live", "nobody")
	if got := c.watch("?app=live&stream=cam"); !strings.Contains(got, "event: overview\n") || !strings.Contains(got, "event: detail\n") {
		t.Errorf("a page sees %s", got)
	}
	if cue := c.ask(200, "POST", stream+"/cue", `{"duration_seconds":5}`, "live", "cam"); cue["id"] == "" || cue["sequence"].(float64) < 1 {
		t.Errorf("the ad break: %v", cue)
	}
	c.ask(409, "POST", stream+"/cue", `{"duration_seconds":5}`, "live", "cam")
	c.ask(422, "POST", stream+"/cue", `{"duration_seconds":0}`, "live", "cam")
	c.ask(404, "POST", stream+"/cue", `{"duration_seconds":5}`, "live", "nobody")
	const text = `{"text":[{"description":"song","value":"Für Elise"}]}`
	if tag := c.ask(200, "POST", stream+"/metadata", text, "live", "cam"); tag["deferred"] != true || tag["sequence"].(float64) < 1 || tag["program_date_time"] != nil {
		t.Errorf("the first metadata: %v", tag)
	}
	rig.Eventually(t, 30*time.Second, "metadata is announced, and comes at once", func() bool {
		_, said := c.send("POST", "/v1/streams/live/cam/metadata", text)
		return strings.Contains(said, `"program_date_time":"20`) && strings.Contains(said, `"deferred":false`)
	})
	c.ask(422, "POST", stream+"/metadata", `{"id3":"SUQz"}`, "live", "cam")
	c.ask(404, "POST", stream+"/metadata", text, "live", "nobody")
	if level := c.ask(200, "PUT", "/v1/log-level", `{"level":"debug"}`); level["was"] != "info" || level["level"] != "debug" {
		t.Errorf("the log's level: %v", level)
	}
	if config := fmt.Sprint(c.ask(200, "GET", "/v1/config", "")); !strings.Contains(config, "segment_duration:1s") || strings.Contains(config, "do-not-show") || strings.Contains(config, "QUJD") {
		t.Errorf("the configuration: %s", config)
	}
	if tried := c.ask(200, "POST", "/v1/hooks/{n}/test", "", "0"); tried["taken"] != true {
		t.Errorf("the webhook: %v", tried)
	}
	c.ask(404, "POST", "/v1/hooks/{n}/test", "", "1")

	c.ask(200, "DELETE", stream, `{"reason":"wrong channel"}`, "live", "cam")
	rig.Eventually(t, 20*time.Second, "the encoder is told", func() bool {
		camera.Mu.Lock()
		defer camera.Mu.Unlock()
		return strings.Contains(strings.Join(camera.Refused, "\n"), "wrong channel")
	})
	rig.Eventually(t, 30*time.Second, "it is back in the same recording", func() bool {
		s := p.Streams()["cam"]
		return s.State == "live" && s.Recording == first && s.Protocol == "rtmp"
	})
	if ended := c.ask(200, "POST", stream+"/end", "", "live", "cam")["recording"]; ended != first {
		t.Errorf("%v ended, wanted %s", ended, first)
	}
	rig.Eventually(t, 30*time.Second, "it is back in another", func() bool {
		s := p.Streams()["cam"]
		return s.State == "live" && s.Recording != first
	})
	camera.Stop()
	rig.Eventually(t, 30*time.Second, "it has ended", func() bool { return p.Streams()["cam"].State == "ended" }) // the stable entries change no more
	c.ask(200, "POST", "/v1/uploads/retry", "")
	c.ask(200, "GET", "/v1/sync?timeout=30s", "")

	list := c.ask(200, "GET", "/v1/recordings?app=live&stream=cam", "")["recordings"].([]any)
	if len(list) < 2 {
		t.Fatalf("%d recordings", len(list))
	}
	name := list[0].(map[string]any)["name"].(string)
	if name != "cam-"+first {
		t.Errorf("the first recording is %s", name)
	}
	if r := c.ask(200, "GET", recordings, "", "live", name); r["ended"] != true || r["segments"].(float64) < 1 {
		t.Errorf("the recording: %v", r)
	}
	if r := c.ask(200, "POST", recordings+"/verify", `{"deep":true}`, "live", name); r["sound"] != true || r["read_bytes"].(float64) < 1 {
		t.Errorf("verified: %v", r)
	}
	c.ask(404, "POST", recordings+"/verify", "", "live", "no-name")

	order := func(name string) string {
		from := list[0].(map[string]any)["start"].(string)
		at, err := time.Parse(time.RFC3339, from)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"app":"live","stream":"cam","start":%q,"end":%q,"name":%q}`, from, at.Add(500*time.Millisecond).Format(time.RFC3339Nano), name)
	}
	clip := c.ask(200, "POST", "/v1/clips", order("goal"))
	if clip["segments"].(float64) < 1 || clip["name"] != "goal-"+first {
		t.Errorf("the clip: %v", clip)
	}
	c.ask(409, "POST", "/v1/clips", order("goal"))
	c.ask(422, "POST", "/v1/clips", order("cam"))
	if l := c.ask(200, "GET", "/v1/clips?app=live&stream=cam", "")["clips"].([]any); len(l) != 1 {
		t.Errorf("clips: %v", l)
	}
	c.ask(200, "GET", clips, "", "live", "goal-"+first)
	if r := c.ask(200, "DELETE", clips, "", "live", "goal-"+first); r["removed"] != false {
		t.Errorf("removed without being told to: %v", r)
	}
	c.ask(200, "DELETE", clips+"?confirm=true", "", "live", "goal-"+first)
	c.ask(404, "GET", clips, "", "live", "goal-"+first)
	c.jobs("recording:live/" + name)
	if r := c.ask(200, "DELETE", recordings, "", "live", name); r["removed"] != false {
		t.Errorf("removed without being told to: %v", r)
	}
	if r := c.ask(200, "DELETE", recordings+"?confirm=true", "", "live", name); r["removed"] != true {
		t.Errorf("not removed: %v", r)
	}
	c.ask(404, "GET", recordings, "", "live", name)

	if r := c.ask(200, "POST", "/v1/reload", ""); len(r["changes"].([]any)) != 0 {
		t.Errorf("a reload of the same file: %v", r)
	}
	c.write(settings + "apps: {live: {}, more: {}}\n")
	if r := fmt.Sprint(c.ask(200, "POST", "/v1/reload", "")["changes"]); !strings.Contains(r, "apps.more") {
		t.Errorf("a reload: %s", r)
	}
	c.write("htpp: {}\n")
	if r := c.ask(409, "POST", "/v1/reload", ""); !strings.Contains(fmt.Sprint(r["detail"]), "htpp") {
		t.Errorf("a broken file: %v", r)
	}
	c.ask(501, "GET", "/v1/nodes", "") // it belongs to no cluster
	c.ask(422, "POST", "/v1/drain", `{"keep":"soon"}`)
	c.ask(200, "POST", "/v1/drain", "")
	if d := c.ask(200, "POST", "/v1/drain", `{"keep":"0s"}`); d["publishers"].(float64) != 0 {
		t.Errorf("a drain: %v", d)
	}
	for _, want := range []string{"stream.started", "recording.started", "stream.ended"} {
		if got := heard(); !strings.Contains(got, "event: "+want+"\n") {
			t.Errorf("%s was not heard of: %s", want, got)
		}
	}
	c.used["GET /v1/events"] = true
	var described []string
	for path, item := range c.ask(200, "GET", "/openapi.json", "")["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(described)
	if len(described) < 14 {
		t.Errorf("only %d operations are described", len(described))
	}
	for _, d := range described {
		if !c.used[d] {
			t.Errorf("%s is described and was not used", d)
		}
	}
}

// jobs makes a package of an input.
func (c *client) jobs(input string) {
	c.t.Helper()
	const one = "/v1/jobs/{id}"
	order := fmt.Sprintf(`{"input":%q,"kind":"remux","output":"vod/api","metadata":{"a":"b"}}`, input)
	job := c.ask(200, "POST", "/v1/jobs", order)
	id := job["id"].(string)
	c.ask(404, "POST", "/v1/jobs", `{"input":"recording:live/none-2023-08-24_16-02-52.970","kind":"remux"}`)
	c.ask(422, "POST", "/v1/jobs", `{"input":"file:///etc/passwd","kind":"remux"}`)
	c.ask(422, "POST", "/v1/jobs", `{"input":"x","kind":"magic"}`)
	rig.Eventually(c.t, 60*time.Second, "the job is done", func() bool {
		j := c.ask(200, "GET", one, "", id)
		if j["state"] == "failed" {
			c.t.Fatalf("%v", j)
		}
		return j["state"] == "succeeded"
	})
	if j := c.ask(200, "GET", one, "", id); j["progress"].(float64) != 100 || j["status"] != "COMPLETE" || len(j["rungs"].([]any)) != 2 || fmt.Sprint(j["metadata"]) != "map[a:b]" {
		c.t.Errorf("the job: %v", j)
	}
	if _, err := os.Stat(filepath.Join(c.p.Dir, "data", "bucket", "vod", "api", "master.m3u8")); err != nil {
		c.t.Error(err)
	}
	c.ask(409, "POST", "/v1/jobs", order)
	c.ask(409, "DELETE", one, "", id)
	c.ask(404, "DELETE", one, "", "none")
	if list := c.ask(200, "GET", "/v1/jobs?state=succeeded", "")["jobs"].([]any); len(list) != 1 {
		c.t.Errorf("jobs: %v", list)
	}
}

// write replaces the server's configuration.
func (c *client) write(yaml string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.p.Dir, "config.yaml"), []byte(yaml), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// watch is what a page is sent at first.
func (c *client) watch(query string) string {
	c.t.Helper()
	c.used["GET /v1/watch"] = true
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.p.Admin+"/v1/watch"+query, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	var all strings.Builder
	for lines := bufio.NewScanner(res.Body); lines.Scan() && !strings.Contains(all.String(), "event: detail\ndata: "); {
		all.WriteString(lines.Text() + "\n")
	}
	return all.String()
}

// events listens from now on; heard returns what has come so far.
func (c *client) events() (heard func() string) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.p.Admin+"/v1/events", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil || res.StatusCode != 200 {
		c.t.Fatalf("events: %v", err)
	}
	lines, done := make(chan string, 1000), make(chan struct{})
	go func() {
		defer close(done)
		for s := bufio.NewScanner(res.Body); s.Scan(); {
			select {
			case lines <- s.Text():
			default:
			}
		}
	}()
	c.t.Cleanup(func() { cancel(); res.Body.Close(); <-done })
	all := ""
	return func() string {
		for {
			select {
			case l := <-lines:
				all += l + "\n"
			default:
				return all
			}
		}
	}
}
