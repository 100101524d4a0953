package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin"
)

// house is a server that remembers what was asked of it.
type house struct {
	did        []string
	recordings []Recording
	listErr    error
	reloadErr  error
	feed       chan Event
}

func (h *house) Streams() []admin.Stream {
	return []admin.Stream{{App: "live", Name: "show", State: "live"}, {App: "live", Name: "cam", State: "live"}}
}

func (h *house) Ladders() []admin.Stream {
	return []admin.Stream{{App: "live", Name: "ladder", State: "live", Rungs: []admin.Rung{{Stream: "cam", State: "in"}, {Stream: "low", State: "outside", Outside: "its keyframes are elsewhere"}}}}
}

func (h *house) Make(_ context.Context, o ClipOrder) (Clip, error) {
	switch {
	case o.Name == "taken":
		return Clip{}, Fail(Conflict, "the clip exists")
	case o.Name == "live":
		return Clip{}, Fail(Invalid, "a clip cannot be called that")
	case o.Stream == "away":
		return Clip{}, errors.New("the bucket is away")
	}
	return Clip{App: o.App, Name: o.Name + "-id", Title: o.Name, Stream: o.Stream, Rungs: []string{}, LeftOut: []string{}, AskedFrom: o.Start}, nil
}

// clips are those of the house: what is asked about recordings has the same names.
type clips struct{ *house }

func (c clips) List(_ context.Context, app, stream string, limit int) ([]Clip, bool, error) {
	return []Clip{{App: "live", Name: "goal-id", Stream: stream}}[:min(limit, 1)], limit == 1, c.listErr
}

func (c clips) Show(_ context.Context, app, name string) (Clip, error) {
	if name != "goal-id" {
		return Clip{}, Fail(NotFound, "there is no clip %s/%s", app, name)
	}
	return Clip{App: app, Name: name}, nil
}

func (c clips) Remove(ctx context.Context, app, name string, really bool) (Removal, error) {
	_, err := c.Show(ctx, app, name)
	return Removal{Removed: really, Playlists: []string{"p"}}, err
}

func (h *house) Disconnect(app, stream, reason string) int {
	h.did = append(h.did, "disconnect "+app+"/"+stream+": "+reason)
	if stream == "cam" {
		return 1
	}
	return 0
}

func (h *house) Cue(app, stream string, lasts time.Duration) (string, uint64, error) {
	h.did = append(h.did, "cue "+app+"/"+stream+": "+lasts.String())
	if stream != "cam" {
		return "", 0, Fail(NotFound, "nothing is on the air")
	}
	return "cue-1", 7, nil
}

func (h *house) Metadata(app, stream string, texts []Text, tag []byte) (TagPlace, error) {
	h.did = append(h.did, fmt.Sprintf("metadata %s/%s: %v %q", app, stream, texts, tag))
	switch stream {
	case "cam":
		return TagPlace{At: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)}, nil
	case "new":
		return TagPlace{Deferred: true, Sequence: 7}, nil
	case "busy":
		return TagPlace{}, Fail(TooMany, "a stream takes 10 tags in a second")
	}
	return TagPlace{}, Fail(NotFound, "nothing is on the air")
}

func (h *house) End(app, stream, reason string) (string, error) {
	h.did = append(h.did, "end "+app+"/"+stream+": "+reason)
	switch stream {
	case "cam":
		return "2026-01-02_03-04-05.678", nil
	case "rung":
		return "", Fail(Conflict, "it is a rung: end live/show instead")
	}
	return "", nil
}

func (h *house) List(_ context.Context, app, stream string) iter.Seq2[Recording, error] {
	return func(yield func(Recording, error) bool) {
		for _, r := range h.recordings {
			if (app == "" || r.App == app) && (stream == "" || r.Stream == stream) && !yield(r, nil) {
				return
			}
		}
		if h.listErr != nil {
			yield(Recording{}, h.listErr)
		}
	}
}

func (h *house) Show(_ context.Context, app, name string) (Recording, error) {
	for _, r := range h.recordings {
		if r.App == app && r.Name == name {
			return r, nil
		}
	}
	return Recording{}, Fail(NotFound, "there is no recording %s/%s", app, name)
}

func (h *house) Verify(ctx context.Context, app, name string, deep bool) (Report, error) {
	r, err := h.Show(ctx, app, name)
	return Report{Recording: r, Findings: []Finding{}, Sound: true, Whole: deep}, err
}

func (h *house) Remove(_ context.Context, app, name string, really, force bool) (Removal, error) {
	if name == "growing" && !force {
		return Removal{}, Fail(Conflict, "it may still be growing")
	}
	return Removal{Removed: really, Playlists: []string{"p"}, Segments: 3}, nil
}

func (h *house) Config() map[string]any {
	return map[string]any{"log": map[string]any{"level": "info"}}
}
func (h *house) Reload(context.Context) (Reloaded, error) {
	return Reloaded{Changes: []Change{{"apps.live.keys", "at once"}}}, h.reloadErr
}
func (h *house) Retry() { h.did = append(h.did, "retry") }
func (h *house) SetLogLevel(l slog.Level) slog.Level {
	h.did = append(h.did, "level "+l.String())
	return slog.LevelInfo
}

func (h *house) Sync(ctx context.Context) error {
	<-ctx.Done()
	return errors.New("2 segments are not in the bucket")
}

func (h *house) Try(_ context.Context, n int) (Tried, error) {
	if n > 0 {
		return Tried{}, Fail(NotFound, "there is no webhooks[%d]", n)
	}
	return Tried{Host: "example.com", Taken: true}, nil
}

func (h *house) Subscribe(ctx context.Context, after string) iter.Seq2[Event, int] {
	return func(yield func(Event, int) bool) {
		if after != "" && !yield(Event{ID: "since-" + after, Type: "stream.ended", Body: []byte("{}")}, 2) {
			return
		}
		for {
			select {
			case e := <-h.feed:
				if !yield(e, 0) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func newHouse() *house {
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	h := &house{feed: make(chan Event)}
	for i := range 5 {
		start := at.Add(time.Duration(i) * time.Hour)
		id := start.Format("2006-01-02_15-04-05.000")
		h.recordings = append(h.recordings, Recording{App: "live", Stream: "cam", ID: id, Name: "cam-" + id, Group: []string{}, Start: start, Duration: 1800})
	}
	return h
}

func open(h *house) *API {
	return New(Options{Version: "test", Streams: h, Recordings: h, Clips: clips{h}, Server: h, Sync: h, Hooks: h})
}

// ask sends a request as a program on this machine does; change may alter it.
func ask(a *API, method, target, body string, change ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host, r.RemoteAddr = "localhost:5081", "127.0.0.1:50000"
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result()
}

// problem is what an answer says that refuses; it has to be an RFC 9457 problem.
func problem(t *testing.T, res *http.Response) string {
	t.Helper()
	var p struct {
		Title, Detail string
		Status        int
		Errors        []any
	}
	if res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d is no problem but %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil || p.Status != res.StatusCode || p.Title == "" || p.Detail == "" {
		t.Errorf("%d says %+v: %v", res.StatusCode, p, err)
	}
	return p.Detail
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCalls(t *testing.T) {
	const rec = "/v1/recordings/live/cam-2026-01-02_05-00-00.000"
	for _, tc := range []struct {
		method, target, body string
		status               int
		says                 string
	}{
		{"GET", "/v1/streams", "", 200, `"name":"cam"`},
		{"GET", "/v1/streams/live/cam", "", 200, `"tracks":[]`},
		{"GET", "/v1/streams/live/nobody", "", 404, "there is no stream live/nobody now"},
		{"DELETE", "/v1/streams/live/cam", "", 200, `"publishers":1`},
		{"DELETE", "/v1/streams/live/cam", `{"reason":"over"}`, 200, `"publishers":1`},
		{"DELETE", "/v1/streams/live/cam", `{"reason":`, 400, ""},
		{"DELETE", "/v1/streams/live/cam", `{"raeson":"over"}`, 422, "body.raeson: unexpected property"},
		{"DELETE", "/v1/streams/live/nobody", "", 404, "nobody publishes live/nobody now"},
		{"POST", "/v1/streams/live/cam/end", "", 200, `"recording":"2026-01-02_03-04-05.678"`},
		{"POST", "/v1/streams/live/rung/end", "", 409, "end live/show instead"},
		{"POST", "/v1/streams/live/nobody/end", "", 404, "no recording of live/nobody is going on"},
		{"GET", "/v1/recordings", "", 200, `"more":false,"error":""`},
		{"GET", "/v1/recordings?stream=cam", "", 422, "name the app too"},
		{"GET", "/v1/recordings?limit=0", "", 422, "query.limit: expected number >= 1"},
		{"GET", "/v1/recordings?form=2026-01-02T00:00:00Z", "", 422, ""},
		{"GET", "/v1/recordings?app=other", "", 200, `"recordings":[`},
		{"GET", rec, "", 200, `"start":"2026-01-02T05:00:00Z"`},
		{"GET", rec + "9", "", 404, "there is no recording"},
		{"POST", rec + "/verify", "", 200, `"whole":false`},
		{"POST", rec + "/verify", `{"deep":true}`, 200, `"whole":true`},
		{"DELETE", rec, "", 200, `"removed":false`},
		{"DELETE", rec + "?confirm=true", "", 200, `"removed":true`},
		{"DELETE", "/v1/recordings/live/growing", "", 409, "growing"},
		{"GET", "/v1/streams", "", 200, `"outside":"its keyframes are elsewhere"`},
		{"GET", "/v1/streams/live/ladder", "", 200, `"rungs":[{"stream":"cam","state":"in","outside":"","absent":""}`},
		{"POST", "/v1/clips", `{"app":"live","stream":"cam","start":"2026-01-02T05:30:00+05:30","end":"2026-01-02T00:01:00Z","name":"goal"}`, 200, `"name":"goal-id"`},
		{"POST", "/v1/clips", `{"app":"live","stream":"cam","start":"2026-01-02T00:01:00Z","end":"2026-01-02T00:01:00Z","name":"goal"}`, 422, "end is not after start"},
		{"POST", "/v1/clips", `{"app":"live","stream":"cam","start":"yesterday","end":"2026-01-02T00:01:00Z","name":"goal"}`, 422, ""},
		{"POST", "/v1/clips", `{"app":"live","stream":"cam","start":"2026-01-02T00:00:00Z","end":"2026-01-02T00:01:00Z"}`, 422, ""},
		{"POST", "/v1/clips", `{"app":"live","stream":"cam","start":"2026-01-02T00:00:00Z","end":"2026-01-02T00:01:00Z","name":"taken"}`, 409, "the clip exists"},
		{"POST", "/v1/clips", `{"app":"live","stream":"cam","start":"2026-01-02T00:00:00Z","end":"2026-01-02T00:01:00Z","name":"live"}`, 422, "cannot be called that"},
		{"POST", "/v1/clips", `{"app":"live","stream":"away","start":"2026-01-02T00:00:00Z","end":"2026-01-02T00:01:00Z","name":"goal"}`, 502, "the bucket is away"},
		{"GET", "/v1/clips?app=live&stream=cam&limit=1", "", 200, `"more":true`},
		{"GET", "/v1/clips?stream=cam", "", 422, "name the app too"},
		{"GET", "/v1/clips/live/goal-id", "", 200, `"name":"goal-id"`},
		{"GET", "/v1/clips/live/none", "", 404, "there is no clip"},
		{"DELETE", "/v1/clips/live/goal-id", "", 200, `"removed":false`},
		{"DELETE", "/v1/clips/live/goal-id?confirm=true", "", 200, `"removed":true`},
		{"DELETE", "/v1/clips/live/none?confirm=true", "", 404, "there is no clip"},
		{"POST", "/v1/streams/live/cam/cue", `{"duration_seconds":30}`, 200, `"sequence":7`},
		{"POST", "/v1/streams/live/cam/cue", `{"duration_seconds":0}`, 422, ""},
		{"POST", "/v1/streams/live/nobody/cue", `{"duration_seconds":30}`, 404, "on the air"},
		{"POST", "/v1/streams/live/cam/metadata", `{"text":[{"description":"song","value":"x"}]}`, 200, `{"program_date_time":"2026-01-02T03:04:05.678Z","deferred":false}`},
		{"POST", "/v1/streams/live/cam/metadata", `{"id3":"SUQz"}`, 200, `"deferred":false`},
		{"POST", "/v1/streams/live/new/metadata", `{"id3":"SUQz"}`, 200, `{"deferred":true,"sequence":7}`},
		{"POST", "/v1/streams/live/busy/metadata", `{"id3":"SUQz"}`, 429, "10 tags"},
		{"POST", "/v1/streams/live/nobody/metadata", `{"id3":"SUQz"}`, 404, "on the air"},
		{"POST", "/v1/streams/live/cam/metadata", `{}`, 422, "either text or id3"},
		{"POST", "/v1/streams/live/cam/metadata", `{"text":[{"description":"song","value":"x"}],"id3":"SUQz"}`, 422, "either text or id3"},
		{"POST", "/v1/streams/live/cam/metadata", `{"text":[]}`, 422, ""},
		{"POST", "/v1/streams/live/cam/metadata", `{"text":[{"value":"x"}]}`, 422, ""},
		{"POST", "/v1/streams/live/cam/metadata", `{"id3":"no base 64!"}`, 422, ""},
		{"POST", "/v1/streams/live/cam/metadata", `{"id3":""}`, 422, ""},
		{"POST", "/v1/streams/live/cam/metadata", `{"id3":"` + strings.Repeat("AAAA", 10000) + `"}`, 422, ""},
		{"GET", "/v1/config", "", 200, `"level":"info"`},
		{"POST", "/v1/reload", "", 200, `"setting":"apps.live.keys"`},
		{"POST", "/v1/uploads/retry", "", 200, `"retried":true`},
		{"GET", "/v1/sync?timeout=1ms", "", 503, "2 segments are not in the bucket"},
		{"GET", "/v1/sync?timeout=6m", "", 422, "from 0s to 5m"},
		{"PUT", "/v1/log-level", `{"level":"debug"}`, 200, `"was":"info"`},
		{"PUT", "/v1/log-level", `{"level":"loud"}`, 422, ""},
		{"PUT", "/v1/log-level", "", 400, ""},
		{"POST", "/v1/hooks/0/test", "", 200, `"taken":true`},
		{"POST", "/v1/hooks/7/test", "", 404, "webhooks[7]"},
		{"GET", "/openapi.json", "", 200, `"openapi": "3.1.0"`},
		{"GET", "/v1/nothing", "", 404, "/openapi.json"},
		{"POST", "/v1/streams", "", 405, "it takes GET"},
		{"GET", "/v1/reload", "", 405, "it takes POST"},
	} {
		t.Run(tc.method+" "+tc.target+" "+tc.body, func(t *testing.T) {
			res := ask(open(newHouse()), tc.method, tc.target, tc.body)
			said := ""
			if res.StatusCode >= 400 {
				said = problem(t, res)
			} else {
				said = body(t, res)
			}
			if res.StatusCode != tc.status || !strings.Contains(said, tc.says) {
				t.Errorf("%d %s, wanted %d and %s", res.StatusCode, said, tc.status, tc.says)
			}
		})
	}
}

func TestNothingBehindIt(t *testing.T) {
	a := New(Options{})
	for target, method := range map[string]string{
		"/v1/streams/live/cam": "DELETE", "/v1/streams/live/cam/end": "POST", "/v1/recordings": "GET", "/v1/recordings/live/x": "GET", "/v1/recordings/live/x/verify": "POST",
		"/v1/clips": "GET", "/v1/clips/live/x": "DELETE",
		"/v1/config": "GET", "/v1/reload": "POST", "/v1/uploads/retry": "POST", "/v1/sync": "GET", "/v1/hooks/0/test": "POST", "/v1/events": "GET",
	} {
		if res := ask(a, method, target, ""); res.StatusCode != 501 {
			t.Errorf("%s %s: %d", method, target, res.StatusCode)
		} else {
			problem(t, res)
		}
	}
}

func TestWhatIsDone(t *testing.T) {
	h := newHouse()
	a := open(h)
	ask(a, "DELETE", "/v1/streams/live/cam", `{"reason":"over"}`)
	ask(a, "POST", "/v1/streams/live/cam/end", "")
	ask(a, "PUT", "/v1/log-level", `{"level":"warn"}`)
	ask(a, "POST", "/v1/uploads/retry", "")
	want := "disconnect live/cam: over|end live/cam: disconnected by an operator of the server|level WARN|retry"
	if got := strings.Join(h.did, "|"); got != want {
		t.Errorf("done: %s", got)
	}
	h.reloadErr = errors.New("hlsorigin.yaml:3: no such key")
	if res := ask(a, "POST", "/v1/reload", ""); res.StatusCode != 409 || !strings.Contains(problem(t, res), "yaml:3") {
		t.Errorf("a reload that failed is %d", res.StatusCode)
	}
}
