package vodjobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/origin/webhook"
	"github.com/hlsorigin/hlsorigin/segmenter/vod"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/fence"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// heedless is a store that takes no notice of conditions.
type heedless struct{ storage.Store }

func (h heedless) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	a.IfMatch, a.IfAbsent = "", false
	return h.Store.Put(ctx, key, body, a)
}

// newUnfit is a server on a store that takes no notice of conditions.
func newUnfit(t *testing.T, change func(*configs.Config)) *works {
	w := &works{t: t, cfg: configs.Default(), memory: &storetest.Memory{Now: time.Now}, hooks: webhook.New(webhook.Options{Now: time.Now})}
	w.cfg.Storage.URL = "s3://media/pre"
	change(&w.cfg)
	o := w.options(heedless{w.memory})
	o.Conditions = func() fence.Fitness { return fence.Unfit }
	w.run(o)
	w.put("uploads/a.mov", "media")
	return w
}

// On a bucket on which nothing keeps two servers apart no job is run, and none is made of new files, until it is said that there is one
// server alone. Without workers orders are taken: another server is that one.
func TestUnfitBucketRunsNothing(t *testing.T) {
	w := newUnfit(t, func(c *configs.Config) { c.Jobs.Watch = []string{"s3://media/pre/uploads/"} })
	_, err := w.Add(t.Context(), api.JobOrder{Input: "s3://media/pre/uploads/a.mov", Kind: "remux"}, "")
	var f *api.Failure
	if !errors.As(err, &f) || f.Kind != api.Conflict || !strings.Contains(f.Reason, "jobs.only_runner") {
		t.Errorf("%v", err)
	}
	w.Reconfigure(func() configs.Config { c := w.cfg; c.Jobs.Workers = 0; return c }())
	j := w.add(api.JobOrder{Input: "s3://media/pre/uploads/a.mov", Output: "vod/x"}, "")
	w.Reconfigure(w.cfg)
	time.Sleep(300 * time.Millisecond) // fifteen looks
	list, _, err := w.List(t.Context(), "", 10)
	if err != nil || len(list) != 1 || list[0].State != "queued" || len(w.below("vod/")) > 0 {
		t.Errorf("%+v, %v, %q", list, err, w.below("vod/"))
	}
	w.Reconfigure(func() configs.Config { c := w.cfg; c.Jobs.OnlyRunner = true; return c }())
	w.want(j.ID, "succeeded")
	for len(w.below("vod/a/")) == 0 { // that of the watched file
		time.Sleep(5 * time.Millisecond)
	}
}

// The only server on such a bucket runs each job once, cancels it while it runs, and cleans up after it.
func TestUnfitBucketWithOneRunner(t *testing.T) {
	w := newUnfit(t, func(c *configs.Config) { c.Jobs.OnlyRunner = true })
	j := w.want(w.add(api.JobOrder{Input: "s3://media/pre/uploads/a.mov"}, "key").ID, "succeeded")
	if again := w.add(api.JobOrder{Input: "s3://media/pre/uploads/a.mov"}, "key"); again.ID != j.ID || j.Tries != 1 || len(w.asked) != 1 {
		t.Errorf("%+v, %+v, %d packages", j, again, len(w.asked))
	}
	begun := make(chan struct{})
	w.mu.Lock()
	w.packing = func(ctx context.Context, r vod.Request) (vod.Result, error) {
		if err := r.Output.Put(ctx, "720p/segment-0.ts", "video/mp2t", [][]byte{[]byte("x")}); err != nil {
			return vod.Result{}, err
		}
		close(begun)
		<-ctx.Done()
		return vod.Result{}, context.Cause(ctx)
	}
	w.mu.Unlock()
	j = w.add(api.JobOrder{Input: "s3://media/pre/uploads/a.mov", Output: "vod/b"}, "")
	<-begun
	var f *api.Failure
	if _, err := w.Add(t.Context(), api.JobOrder{Input: "s3://media/pre/uploads/a.mov", Output: "vod/b", Kind: "remux"}, ""); !errors.As(err, &f) || f.Kind != api.Conflict {
		t.Errorf("%v", err)
	}
	if _, err := w.Cancel(t.Context(), j.ID); err != nil {
		t.Error(err)
	}
	w.want(j.ID, "canceled")
	if left := w.below("vod/"); !slices.Equal(left, []string{"vod/a/720p/segment-0.ts", "vod/a/720p/stream.m3u8", "vod/a/master.m3u8"}) {
		t.Errorf("%q", left)
	}
}

// words is a log.
type words struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// What kind of bucket it is is said once, when it is known; and that it is not, where that lasts. Jobs wait until it is.
func TestUnknownBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said words
		var known atomic.Uint32 // a Fitness
		s := New(Options{
			Config: configs.Default(), Store: &storetest.Memory{Now: time.Now}, Hooks: webhook.New(webhook.Options{Now: time.Now}), Now: time.Now,
			Log: slog.New(slog.NewTextHandler(&said, nil)), Conditions: func() fence.Fitness { return fence.Fitness(known.Load()) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go s.judge(ctx)
		time.Sleep(time.Minute)
		synctest.Wait()
		if said.String() != "" || s.ready() {
			t.Errorf("%s", &said)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if strings.Count(said.String(), "jobs wait") != 1 {
			t.Errorf("%s", &said)
		}
		known.Store(uint32(fence.Unfit))
		time.Sleep(time.Minute)
		synctest.Wait()
		if strings.Count(said.String(), "jobs.only_runner") != 1 || s.ready() {
			t.Errorf("%s", &said)
		}
		known.Store(uint32(fence.Fit))
		if !s.ready() {
			t.Error("a bucket that keeps to conditions is not used")
		}
	})
}
