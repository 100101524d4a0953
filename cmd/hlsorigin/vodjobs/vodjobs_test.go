package vodjobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/origin/webhook"
	"github.com/hlsorigin/hlsorigin/segmenter/vod"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// works is a server with a packager that puts the input into one rung.
type works struct {
	*Service
	t      *testing.T
	cfg    configs.Config
	memory *storetest.Memory
	hooks  *webhook.Hooks

	mu      sync.Mutex
	asked   []vod.Request
	packing func(ctx context.Context, r vod.Request) (vod.Result, error)
}

func newWorks(t *testing.T, change func(*configs.Config)) *works {
	w := &works{t: t, cfg: configs.Default(), memory: &storetest.Memory{Now: time.Now}, hooks: webhook.New(webhook.Options{Now: time.Now})}
	w.cfg.Storage.URL = "s3://media/pre"
	if change != nil {
		change(&w.cfg)
	}
	w.run(w.options(w.memory))
	return w
}

// options are those of a server on a store.
func (w *works) options(store storage.Store) Options {
	return Options{
		Config: w.cfg, Store: store, Node: "a", Hooks: w.hooks, Now: time.Now, Log: slog.New(slog.DiscardHandler), Package: w.pack,
		Bucket: func(name string) (storage.Store, error) { return nil, fmt.Errorf("bucket %s is opened", name) },
		Timing: Timing{Beat: 20 * time.Millisecond, Lease: 2 * time.Second, Poll: 20 * time.Millisecond, Watch: 20 * time.Millisecond},
	}
}

// run runs it until the test ends.
func (w *works) run(o Options) {
	t := w.t
	w.Service = New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func (w *works) put(key, body string) {
	w.t.Helper()
	if _, err := w.memory.Put(w.t.Context(), key, strings.NewReader(body), storage.Attributes{}); err != nil {
		w.t.Fatal(err)
	}
}

// pack is the packager.
func (w *works) pack(ctx context.Context, r vod.Request) (vod.Result, error) {
	w.mu.Lock()
	w.asked = append(w.asked, r)
	packing := w.packing
	w.mu.Unlock()
	if packing != nil {
		return packing(ctx, r)
	}
	body, err := io.ReadAll(io.NewSectionReader(r.Input, 0, r.Input.Size()))
	if err != nil {
		return vod.Result{}, err
	}
	d := vod.RungDone{Segments: 1, Average: 1000, Peak: 2000, Width: 1280, Height: 720, Video: "avc1"}
	err = errors.Join(r.Output.Put(ctx, "720p/segment-0.ts", "video/mp2t", [][]byte{body}), r.Checkpoint("720p", d),
		r.Output.Put(ctx, "720p/stream.m3u8", "application/vnd.apple.mpegurl", [][]byte{[]byte("#EXTM3U")}), r.Output.Put(ctx, "master.m3u8", "application/vnd.apple.mpegurl", [][]byte{[]byte("#EXTM3U")}))
	return vod.Result{Duration: 90 * time.Second, Rungs: []vod.Made{{Name: "720p", RungDone: d}}, Objects: 3, Bytes: int64(len(body)), Notes: []string{"upright"}}, err
}

func (w *works) add(o api.JobOrder, key string) api.Job {
	w.t.Helper()
	if o.Kind == "" {
		o.Kind = "adaptive_video"
	}
	j, err := w.Add(w.t.Context(), o, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// want waits for a job's state.
func (w *works) want(id, state string) api.Job {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		j, err := w.Show(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		if j.State == state {
			return j
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%+v, not %s", j, state)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// below are the keys in a folder.
func (w *works) below(prefix string) []string { return storetest.Keys(w.t, w.memory, prefix) }

func TestPackage(t *testing.T) {
	w := newWorks(t, func(c *configs.Config) { c.Jobs.Ladder = []configs.Rung{{Name: "240p", Height: 240, Bitrate: 400_000}} })
	w.put("uploads/Die Größe (1).mov", "media")
	o := api.JobOrder{Input: "s3://media/pre/uploads/Die Größe (1).mov", Metadata: map[string]string{"a": "b"}}
	j := w.want(w.add(o, "").ID, "succeeded")
	if j.Output != "s3://media/pre/vod/Die-Gr-e-1/" || j.Playlist != j.Output+"master.m3u8" || j.Progress != 100 || j.Status != "COMPLETE" || j.Duration != 90 || j.Metadata["a"] != "b" ||
		len(j.Rungs) != 1 || j.Rungs[0].Height != 720 || !slices.Equal(j.Notes, []string{"upright"}) || j.Node != "a" {
		t.Errorf("%+v", j)
	}
	if got := w.asked[0].Options; len(got.Ladder) != 1 || got.Ladder[0].Height != 240 || !got.Poster || !got.Thumbnails {
		t.Errorf("%+v", got)
	}
	o2, err := w.memory.Stat(t.Context(), "vod/Die-Gr-e-1/master.m3u8")
	if err != nil || o2.CacheControl != agePlaylist || o2.ContentType != "application/vnd.apple.mpegurl" {
		t.Errorf("%+v, %v", o2, err)
	}
	if o2, err := w.memory.Stat(t.Context(), "vod/Die-Gr-e-1/720p/segment-0.ts"); err != nil || !strings.Contains(o2.CacheControl, "immutable") {
		t.Errorf("%+v, %v", o2, err)
	}
	// The same again has a folder of its own, and may say more.
	no := false
	again := w.want(w.add(api.JobOrder{Input: o.Input, Kind: "remux", Options: api.JobOptions{Poster: &no, SegmentDuration: 2.5}}, "").ID, "succeeded")
	if again.Output != "s3://media/pre/vod/Die-Gr-e-1-2/" || w.asked[1].Options.Poster || w.asked[1].Options.SegmentDuration != 2500*time.Millisecond || len(w.asked[1].Options.Ladder) != 0 {
		t.Errorf("%+v, %+v", again, w.asked[1].Options)
	}
}

// fails checks a refusal.
func (w *works) fails(o api.JobOrder, kind api.Kind, says string) {
	w.t.Helper()
	if o.Kind == "" {
		o.Kind = "remux"
	}
	_, err := w.Add(w.t.Context(), o, "")
	var f *api.Failure
	if !errors.As(err, &f) || f.Kind != kind || !strings.Contains(f.Reason, says) {
		w.t.Errorf("%+v: %v", o, err)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorks(t, func(c *configs.Config) {
		c.Jobs.Watch, c.Jobs.Outputs = []string{"s3://media/pre/uploads/"}, []string{"s3://other/out/"}
	})
	w.put("uploads/a.mov", "media")
	w.put("full/x.txt", "there")
	const in = "s3://media/pre/uploads/a.mov"
	w.fails(api.JobOrder{Input: "s3://media/pre/uploads/b.mov"}, api.NotFound, "there is no such input")
	w.fails(api.JobOrder{Input: "file:///etc/passwd"}, api.Invalid, "jobs.inputs")
	w.fails(api.JobOrder{Input: "http://169.254.169.254/"}, api.Invalid, "input: ")
	w.fails(api.JobOrder{Input: in, Output: "full"}, api.Conflict, "there is something in s3://media/pre/full/")
	w.fails(api.JobOrder{Input: in, Output: "s3://nobody/x/"}, api.Invalid, "output: ")
	w.fails(api.JobOrder{Input: in, Output: "../x"}, api.Invalid, "output: ")
	w.fails(api.JobOrder{Input: in, Output: ".cluster/x"}, api.Invalid, "output: ")
	w.fails(api.JobOrder{Input: in, Output: "live/streams/cam"}, api.Invalid, "recordings")
	w.fails(api.JobOrder{Input: in, Output: "uploads/out/"}, api.Invalid, "is watched")
	w.fails(api.JobOrder{Input: in, Options: api.JobOptions{Ladder: []api.JobRung{{Name: "audio", Height: 720}}}}, api.Invalid, "options: a rung named")
	w.fails(api.JobOrder{Input: in, Options: api.JobOptions{Ladder: []api.JobRung{{Name: "720p"}}}}, api.Invalid, "options: the rung 720p")
	w.fails(api.JobOrder{Input: in, WebhookURL: "https://example.com"}, api.Invalid, "jobs.webhook_secret")
	if left := w.below("uploads/"); len(left) != 1 {
		t.Errorf("%q", left)
	}
	var f *api.Failure
	for _, id := range []string{"x", "../x", "4-20261129120000000-aaaaaaaa"} {
		if _, err := w.Show(t.Context(), id); !errors.As(err, &f) || f.Kind != api.NotFound {
			t.Errorf("%s: %v", id, err)
		}
		if _, err := w.Cancel(t.Context(), id); !errors.As(err, &f) || f.Kind != api.NotFound {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestOrderedTwice(t *testing.T) {
	w := newWorks(t, nil)
	w.put("a.mov", "media")
	o := api.JobOrder{Input: "s3://media/pre/a.mov", Kind: "remux"}
	first := w.add(o, "key")
	if again := w.add(o, "key"); again.ID != first.ID {
		t.Errorf("%+v", again)
	}
	w.want(first.ID, "succeeded")
	if err := w.memory.Remove(t.Context(), "a.mov"); err != nil {
		t.Fatal(err)
	}
	if again := w.add(o, "key"); again.ID != first.ID {
		t.Errorf("%+v", again)
	}
	o.Kind = "adaptive_video"
	var f *api.Failure
	if _, err := w.Add(t.Context(), o, "key"); !errors.As(err, &f) || f.Kind != api.Invalid {
		t.Errorf("%v", err)
	}
}

// A job that fails leaves nothing that is its own, and everything else.
func TestNothingIsLeft(t *testing.T) {
	w := newWorks(t, nil)
	w.put("a.mov", "media")
	begin := make(chan struct{}, 10)
	w.packing = func(ctx context.Context, r vod.Request) (vod.Result, error) {
		if err := errors.Join(r.Output.Put(ctx, "720p/segment-0.ts", "video/mp2t", [][]byte{[]byte("x")}), r.Checkpoint("720p", vod.RungDone{})); err != nil {
			return vod.Result{}, err
		}
		w.put("vod/a/notes.txt", "somebody else's")
		begin <- struct{}{}
		if r.Kind == vod.Remux {
			return vod.Result{}, &vod.Refusal{Code: vod.CodeDamaged, Reason: "it is damaged"}
		}
		<-ctx.Done()
		return vod.Result{}, context.Cause(ctx)
	}
	j := w.want(w.add(api.JobOrder{Input: "s3://media/pre/a.mov", Output: "vod/a", Kind: "remux"}, "").ID, "failed")
	if j.Code != "damaged" || j.Reason != "it is damaged" || j.Status != "ERROR" {
		t.Errorf("%+v", j)
	}
	if left := w.below("vod/"); !slices.Equal(left, []string{"vod/a/notes.txt"}) {
		t.Errorf("%q", left)
	}
	<-begin
	j = w.add(api.JobOrder{Input: "s3://media/pre/a.mov", Output: "vod/b"}, "")
	<-begin
	if _, err := w.Cancel(t.Context(), j.ID); err != nil {
		t.Error(err)
	}
	w.want(j.ID, "canceled")
	if left := w.below("vod/b/"); len(left) > 0 {
		t.Errorf("%q", left)
	}
	// What came into the folder between the order and the begin is not removed either.
	w.packing = nil
	w.Reconfigure(func() configs.Config { c := w.cfg; c.Jobs.Workers = 0; return c }())
	j = w.add(api.JobOrder{Input: "s3://media/pre/a.mov", Output: "vod/c"}, "")
	w.put("vod/c/master.m3u8", "somebody else's")
	w.Reconfigure(w.cfg)
	if j := w.want(j.ID, "failed"); j.Code != "output_not_empty" {
		t.Errorf("%+v", j)
	}
	if left := w.below("vod/c/"); len(left) != 1 {
		t.Errorf("%q", left)
	}
}

// A folder may have those of other jobs in it, and an app's recordings: a job that is canceled removes nothing of theirs.
func TestPackagesBelowStay(t *testing.T) {
	w := newWorks(t, nil)
	w.put("a.mov", "media")
	begun := make(chan struct{})
	w.packing = func(ctx context.Context, r vod.Request) (vod.Result, error) {
		if err := r.Output.Put(ctx, "720p/segment-0.ts", "video/mp2t", [][]byte{[]byte("x")}); err != nil {
			return vod.Result{}, err
		}
		close(begun)
		<-ctx.Done()
		return vod.Result{}, context.Cause(ctx)
	}
	j := w.add(api.JobOrder{Input: "s3://media/pre/a.mov", Output: "live"}, "")
	<-begun
	others := []string{"live/lecture/720p/segment-0.ts", "live/lecture/720p/stream.m3u8", "live/lecture/master.m3u8", "live/streams/cam/1/000000000.ts", "live/streams/stream.m3u8"}
	for _, key := range others {
		w.put(key, "another's")
	}
	if _, err := w.Cancel(t.Context(), j.ID); err != nil {
		t.Error(err)
	}
	w.want(j.ID, "canceled")
	if left := w.below("live/"); !slices.Equal(left, others) {
		t.Errorf("%q", left)
	}
}

// A file that is replaced between two tries is another file: its package would be made of both.
func TestReplacedBetweenTries(t *testing.T) {
	w := newWorks(t, nil)
	w.put("a.mov", "media")
	w.packing = func(ctx context.Context, r vod.Request) (vod.Result, error) {
		w.put("a.mov", "other media")
		err := r.Output.Put(ctx, "720p/segment-0.ts", "video/mp2t", [][]byte{[]byte("x")})
		return vod.Result{}, errors.Join(err, r.Checkpoint("720p", vod.RungDone{Segments: 1}), errors.New("the disk is full"))
	}
	id := w.add(api.JobOrder{Input: "s3://media/pre/a.mov"}, "").ID
	if j := w.want(id, "failed"); j.Tries != 2 || j.Code != "input_changed" {
		t.Errorf("%+v", j)
	}
	if left := w.below("vod/"); len(left) > 0 {
		t.Errorf("%q", left)
	}
}

// A file that brings out a fault of the packager is not tried again: it would do the same to each server.
func TestFaultOfThePackager(t *testing.T) {
	w := newWorks(t, nil)
	w.put("a.mov", "media")
	w.packing = func(context.Context, vod.Request) (vod.Result, error) {
		return vod.Result{}, fmt.Errorf("packaging: %w", &vod.Fault{Value: "index out of range"})
	}
	if j := w.want(w.add(api.JobOrder{Input: "s3://media/pre/a.mov"}, "").ID, "failed"); j.Tries != 1 || j.Code != "internal" || !strings.Contains(j.Reason, "report it") {
		t.Errorf("%+v", j)
	}
}

// A next try is told what the one before has finished.
func TestResume(t *testing.T) {
	w := newWorks(t, nil)
	w.put("a.mov", "media")
	w.packing = func(ctx context.Context, r vod.Request) (vod.Result, error) {
		if r.Done["720p"].Segments == 7 {
			return vod.Result{Rungs: []vod.Made{{Name: "720p", RungDone: r.Done["720p"]}}}, nil
		}
		return vod.Result{}, errors.Join(r.Checkpoint("720p", vod.RungDone{Segments: 7}), errors.New("the disk is full"))
	}
	id := w.add(api.JobOrder{Input: "s3://media/pre/a.mov"}, "").ID
	if j := w.want(id, "succeeded"); j.Tries != 2 || j.Rungs[0].Segments != 7 {
		t.Errorf("%+v", j)
	}
}

func TestEvents(t *testing.T) {
	w := newWorks(t, nil)
	w.put("a.mov", "media")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events := w.hooks.Subscribe(ctx, "")
	j := w.add(api.JobOrder{Input: "s3://media/pre/a.mov", Metadata: map[string]string{"course": "42"}}, "")
	var got []string
	for e := range events {
		if got = append(got, e.Type); !bytes.Contains(e.Body, []byte(`"course":"42"`)) {
			t.Errorf("%s", e.Body)
		}
		if e.Type == webhook.JobSucceeded {
			if e.ID != "evt_"+j.ID+"_succeeded" || !bytes.Contains(e.Body, []byte(`"playlist":"s3://media/pre/vod/a/master.m3u8"`)) || !bytes.Contains(e.Body, []byte(`"status":"COMPLETE"`)) {
				t.Errorf("%s %s", e.ID, e.Body)
			}
			break
		}
	}
	if !slices.Equal(got, []string{webhook.JobStarted, webhook.JobSucceeded}) {
		t.Errorf("%q", got)
	}
}

func TestSlug(t *testing.T) {
	for in, want := range map[string]string{"lecture": "lecture", "a b": "a-b", "": "package", "日本": "package", "..": "package", "-x-": "x", "a/../b": "a-..-b", "streams": "package", ".hidden": "hidden"} {
		if got := slug(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
