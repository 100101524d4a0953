package page

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
)

// house is a server that there is not: it says what a test wants it to say.
type house struct {
	script string // where the page is told that hls.js is; empty: where it is

	overview api.Overview
	detail   api.Detail
	events   []api.Event
	found    []api.Recording
	searched func() []api.Recording // what a search finds, where it is not always the same
	warned   func() []api.Warning   // what is wrong, where it is not always the same
	gone     atomic.Int32           // publishers that were disconnected
	jobs     *works                 // nil: there is no bucket
}

func (h *house) Overview() api.Overview {
	o := h.overview
	o.At = time.Now()
	if h.warned != nil {
		o.Warnings = h.warned()
	}
	return o
}

func (h *house) Detail(app, stream string) (api.Detail, bool) {
	d := h.detail
	d.App, d.Name = app, stream
	return d, true
}

func (h *house) Streams() []admin.Stream                    { return h.overview.Streams }
func (h *house) Ladders() []admin.Stream                    { return h.overview.Ladders }
func (h *house) Disconnect(string, string, string) int      { return int(h.gone.Add(1)) }
func (h *house) End(string, string, string) (string, error) { return "", nil }
func (h *house) Metadata(string, string, []api.Text, []byte) (place api.TagPlace, err error) {
	return place, err
}

func (h *house) Cue(string, string, time.Duration) (id string, number uint64, err error) {
	return "", 0, nil
}
func (h *house) Try(context.Context, int) (t api.Tried, err error) { return t, nil }
func (h *house) Show(context.Context, string, string) (r api.Recording, err error) {
	return r, api.Fail(api.NotFound, "there is none")
}
func (h *house) Verify(_ context.Context, app, name string, _ bool) (r api.Report, err error) {
	r.Findings = []api.Finding{{Problem: "missing", Key: hostile("key"), Detail: hostile("detail")}}
	return r, nil
}
func (h *house) Remove(context.Context, string, string, bool, bool) (r api.Removal, err error) {
	return r, nil
}

func (h *house) List(context.Context, string, string) iter.Seq2[api.Recording, error] {
	found := h.found
	if h.searched != nil {
		found = h.searched()
	}
	return func(yield func(api.Recording, error) bool) {
		for _, r := range found {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (h *house) Subscribe(ctx context.Context, after string) iter.Seq2[api.Event, int] {
	return func(yield func(api.Event, int) bool) {
		seen := after == api.AllEvents
		for _, e := range h.events {
			if seen && !yield(e, 0) {
				return
			}
			seen = seen || e.ID == after
		}
		<-ctx.Done()
	}
}

// serve starts an admin server that knows nothing but the house, and wants tokens where there are any. It returns its address.
func (h *house) serve(t *testing.T, tokens ...api.Token) string {
	t.Helper()
	lib, err := os.ReadFile(script(t))
	if err != nil {
		t.Fatal(err)
	}
	s := admin.New(admin.Options{Version: hostile("version"), HLSJS: cmp.Or(h.script, admin.ScriptPath), Script: lib, PublicURL: "http://127.0.0.1:1", API: func(long admin.Long) http.Handler {
		o := api.Options{Version: "test", Streams: h, Overviews: h, Recordings: h, Hooks: h, Long: long}
		if h.jobs != nil {
			o.Jobs = h.jobs
		}
		a := api.New(o)
		commit, err := a.Prepare(tokens)
		if err != nil {
			t.Fatal(err)
		}
		commit()
		return a
	}})
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.CloseClientConnections() // pages that watch
		server.Close()
	})
	return server.Listener.Addr().String()
}

// token is one that may do so much.
func token(name, secret string, operate bool) api.Token {
	sum := sha256.Sum256([]byte(secret))
	return api.Token{Name: name, Hash: "sha256:" + hex.EncodeToString(sum[:]), Operate: operate}
}

// hostile is a name that would do harm if it were taken for markup.
func hostile(what string) string {
	return what + `<img src=x onerror="pwned=1"><script>pwned=2</script>"'&lt;` + "\u202e"
}

// ordinary is a house with a ladder and two streams, none of them with anything to play.
func ordinary() *house {
	now := time.Now()
	h := &house{}
	stream := func(name, ladder string) {
		h.overview.Streams = append(h.overview.Streams, admin.Stream{App: "live", Name: name, State: "starting", Ladder: ladder, Started: now, LastFrame: now, Play: "live/streams/" + name + ".m3u8",
			Protocol: "rtmp", Remote: "192.0.2.1:50000", Width: 1280, Height: 720, FrameRate: 25, TargetDuration: 2})
	}
	stream("show_high", "show")
	stream("show_low", "show")
	stream("door", "")
	stream("yard", "")
	h.overview.Ready = true
	h.overview.Ladders = []admin.Stream{{App: "live", Name: "show", State: "starting", Play: "live/streams/show.m3u8", Rungs: []admin.Rung{
		{Stream: "show_high", State: "in"}, {Stream: "show_low", State: "outside", Outside: "its keyframes come every 5 s"}}}}
	h.overview.Stores = []api.Store{{Name: "bucket", Segments: 3, Bytes: 3 << 20, Oldest: &now, Error: "AccessDenied", Act: true}}
	h.overview.Warnings = []api.Warning{{Grave: true, Subject: "bucket", Kind: "bucket", Text: "refuses what it is sent", Do: "look at its policy"},
		{Subject: "live/show", Kind: "rung", Text: "show_low is not in the ladder", Do: "set its keyframe interval"}}
	for i := range 20 {
		h.detail.Segments = append(h.detail.Segments, api.Segment{Sequence: uint64(100 + i), Start: now, Duration: 2, Bytes: 1 << 20, Listed: i > 9, Memory: i > 9, Spool: i > 4, Stored: i < 15})
		h.detail.Input = append(h.detail.Input, api.Input{At: now.Unix() - 20 + int64(i), Bitrate: 2e6, Pictures: 25, Sounds: 47, KeyframeInterval: 2, Skew: 0.02, Jitter: 0.01})
	}
	for i := range 3 {
		start := now.Add(-time.Duration(i) * time.Minute)
		h.found = append(h.found, api.Recording{App: "live", Name: fmt.Sprintf("door-%d", i), Stream: "door", ID: fmt.Sprint(i), Playlist: fmt.Sprintf("live/streams/door-%d.m3u8", i), Group: []string{},
			Ended: true, Start: start, Duration: 100, Segments: 50, Bytes: 50 << 20})
	}
	return h
}

// everywhere is a house whose every text is hostile.
func everywhere() *house {
	h := ordinary()
	for i := range h.overview.Streams {
		s := &h.overview.Streams[i]
		s.Name, s.Remote, s.Codecs, s.Problem = strings.ReplaceAll(hostile(s.Name), "/", "\u2215"), hostile("remote"), hostile("codecs"), hostile("problem")
		s.Tracks = []admin.Track{{Kind: hostile("kind"), Codec: hostile("codec"), Written: 1, Received: 2, Dropped: map[string]int64{hostile("reason"): 1}}}
	}
	l := &h.overview.Ladders[0]
	l.Name = strings.ReplaceAll(hostile("ladder"), "/", "\u2215")
	for i := range l.Rungs {
		l.Rungs[i] = admin.Rung{Stream: h.overview.Streams[i].Name, State: "outside", Outside: hostile("why")}
	}
	h.overview.Stores[0].Name, h.overview.Stores[0].Error = hostile("store"), hostile("error")
	for i := range h.overview.Warnings {
		h.overview.Warnings[i] = api.Warning{Grave: true, Subject: hostile("subject"), Kind: fmt.Sprint(i), Text: hostile("text"), Do: hostile("do")}
	}
	for i := range h.found {
		r := &h.found[i]
		r.Stream, r.Damage, r.Playlist = hostile("stream"), hostile("damage"), hostile("playlist")
	}
	data := fmt.Sprintf("%q", "x")
	for _, typ := range []string{"stream.started", "stream.stalled", "upload.failing", "disk.low", hostile("type")} {
		data = fmt.Sprintf(`{"id": %q, "type": %s, "timestamp": "2026-01-02T03:04:05Z", "data": {"app": %s, "stream": %s, "reason": %s, "error": %s}}`,
			"evt_"+typ[:6], quoted(typ), quoted(hostile("app")), quoted(hostile("stream")), quoted(hostile("reason")), quoted(hostile("error")))
		h.events = append(h.events, api.Event{ID: fmt.Sprint("evt_", len(h.events)), Type: "stream.started", Body: []byte(data)})
	}
	return h
}
