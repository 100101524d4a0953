package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// house is a store with servers on it, and what they did.
type house struct {
	t      *testing.T
	memory *storetest.Memory

	mu     sync.Mutex
	did    []string // "job on node", at the begin of each try
	told   map[string][]State
	undone map[string]int
	do     func(ctx context.Context, w *Work) (json.RawMessage, error)
	tell   func(j *Job) error
	undo   func(node string, w *Work) error
}

func newHouse(t *testing.T) *house {
	return &house{t: t, memory: &storetest.Memory{Now: time.Now}, told: map[string][]State{}, undone: map[string]int{}}
}

// tried, toldOf and undoneOf are what the servers have done so far; one may be at it just now.
func (h *house) tried() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.did)
}

func (h *house) toldOf(input string) []State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.told[input])
}

func (h *house) undoneOf(input string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.undone[input]
}

// server is one of them. stop ends it in order; kill as a power cut does: nothing is written any more.
type server struct {
	*Queue
	store *storetest.Faulty
	stop  func()
}

func (s *server) kill() {
	s.store.Set(storetest.Fault{Err: errors.New("power cut")})
	s.stop()
}

func (h *house) server(node string, workers int) *server {
	s := &server{store: storetest.NewFaulty(h.memory)}
	s.Queue = New(s.store, Options{
		Node: node, Workers: workers, Now: time.Now,
		Do: func(ctx context.Context, w *Work) (json.RawMessage, error) {
			h.mu.Lock()
			h.did = append(h.did, w.Job.Input+" on "+node)
			do := h.do
			h.mu.Unlock()
			if do == nil {
				return json.RawMessage(`{"ok":true}`), nil
			}
			return do(ctx, w)
		},
		Undo: func(_ context.Context, w *Work) error {
			if h.undo != nil {
				if err := h.undo(node, w); err != nil {
					return err
				}
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			h.undone[w.Job.Input]++
			return nil
		},
		Tell: func(_ context.Context, j *Job) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told[j.Input] = append(h.told[j.Input], j.State)
			if h.tell != nil {
				return h.tell(j)
			}
			return nil
		},
	})
	ctx, cancel := context.WithCancel(h.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Run(ctx); err != nil {
			h.t.Error(err)
		}
	}()
	s.stop = sync.OnceFunc(func() { cancel(); <-ended })
	h.t.Cleanup(s.stop)
	return s
}

// untilStopped is work that never ends by itself.
func untilStopped(ctx context.Context, _ *Work) (json.RawMessage, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func order(input string) Order {
	return Order{Kind: "remux", Input: input, Output: "s3://bucket/" + input + "/", Priority: DefaultPriority}
}

func (h *house) add(s *server, o Order) Job {
	h.t.Helper()
	j, fresh, err := s.Add(h.t.Context(), o, Key{})
	if err != nil || !fresh || j.State != Queued {
		h.t.Fatalf("%+v, %v, %v", j, fresh, err)
	}
	time.Sleep(2 * time.Millisecond) // ids are in the order of milliseconds
	return j
}

// want waits for a job's state, in the bubble's time.
func (h *house) want(s *server, id string, state State) Job {
	h.t.Helper()
	var j Job
	for range 4000 {
		var err error
		if j, err = s.Get(h.t.Context(), id); err != nil {
			h.t.Fatal(err)
		}
		if j.State == state {
			return j
		}
		time.Sleep(time.Second)
	}
	h.t.Fatalf("%s is %s, never %s: %s", id, j.State, state, j.Reason)
	return j
}

// left are the keys of what is not done jobs.
func (h *house) left() (keys []string) {
	for _, k := range storetest.Keys(h.t, h.memory, folder) {
		if !strings.HasPrefix(k, doneFolder) {
			keys = append(keys, k)
		}
	}
	return keys
}

func TestJobsRunOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = func(ctx context.Context, w *Work) (json.RawMessage, error) {
			w.Progress("working", 0.5)
			time.Sleep(7 * time.Second)
			return json.RawMessage(`{"n":1}`), nil
		}
		a, b := h.server("a", 2), h.server("b", 2)
		var ids []string
		for _, name := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
			ids = append(ids, h.add(a, order(name)).ID)
		}
		for _, id := range ids {
			j := h.want(b, id, Succeeded)
			if string(j.Result) != `{"n":1}` || j.Progress != 1 || j.Tries != 1 || j.Finished.IsZero() {
				t.Errorf("%+v", j)
			}
		}
		time.Sleep(time.Minute)
		if left := h.left(); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.did) != 9 || len(h.told) != 9 {
			t.Errorf("did %q, told %v", h.did, h.told)
		}
		for _, node := range []string{"a", "b"} {
			if !slices.ContainsFunc(h.did, func(s string) bool { return strings.HasSuffix(s, node) }) {
				t.Errorf("%s did nothing: %q", node, h.did)
			}
		}
	})
}

func TestPriorityAndAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		s := h.server("a", 0)
		var last string
		for _, o := range []struct {
			name     string
			priority int
		}{{"old", 5}, {"low", 0}, {"young", 5}, {"high", 9}} {
			ord := order(o.name)
			ord.Priority = o.priority
			last = h.add(s, ord).ID
			time.Sleep(10 * time.Millisecond)
		}
		list, more, err := s.List(t.Context(), Query{Limit: 10})
		if err != nil || more || len(list) != 4 || list[0].ID != last {
			t.Errorf("%v, %v, %v", list, more, err)
		}
		if list, more, err := s.List(t.Context(), Query{Limit: 2}); err != nil || !more || len(list) != 2 {
			t.Errorf("%v, %v, %v", list, more, err)
		}
		s.SetWorkers(1)
		h.want(s, list[3].ID, Succeeded)
		if got := strings.Join(h.tried(), ", "); got != "high on a, old on a, young on a, low on a" {
			t.Error(got)
		}
		if list, _, err := s.List(t.Context(), Query{Limit: 10, State: Succeeded}); err != nil || len(list) != 4 || list[0].Input != "high" {
			t.Errorf("the newest first: %v, %v", list, err)
		}
		if list, _, err := s.List(t.Context(), Query{Limit: 10, State: Queued}); err != nil || len(list) != 0 {
			t.Errorf("%v, %v", list, err)
		}
	})
}

// A server is gone without a word: another goes on with what was finished, and no sooner than after the lease.
func TestServerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = func(ctx context.Context, w *Work) (json.RawMessage, error) {
			if string(w.Done["720p"]) == "done" {
				return json.RawMessage(`{"resumed":true}`), nil
			}
			if err := w.Keep(ctx, "720p", []byte("done")); err != nil {
				return nil, err
			}
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		a := h.server("a", 1)
		j := h.add(a, order("x"))
		h.want(a, j.ID, Running)
		time.Sleep(2 * time.Minute) // it lives, and is left to its runner
		b := h.server("b", 1)
		time.Sleep(2 * time.Minute)
		if j, err := b.Get(t.Context(), j.ID); err != nil || j.Node != "a" || j.Beat < 10 {
			t.Errorf("%+v, %v", j, err)
		}
		died := time.Now()
		a.kill()
		got := h.want(b, j.ID, Succeeded)
		if took := time.Since(died); took < 20*time.Second || took > 45*time.Second {
			t.Errorf("taken up after %v", took)
		}
		if string(got.Result) != `{"resumed":true}` || got.Tries != 2 || got.Node != "b" {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Minute)
		if left := h.left(); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}

// A server that is started again goes on with what it ran at once; but with nothing that another of its name has begun since.
func TestServerIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = func(ctx context.Context, w *Work) (json.RawMessage, error) {
			if w.Job.Tries < 3 {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			time.Sleep(5 * time.Minute)
			return nil, nil
		}
		a := h.server("a", 1)
		j := h.add(a, order("x"))
		h.want(a, j.ID, Running)
		for range 2 {
			a.kill()
			began := time.Now()
			a = h.server("a", 1)
			for a.Stats().Running.Load() == 0 {
				time.Sleep(time.Second)
			}
			if took := time.Since(began); took > 7*time.Second {
				t.Errorf("taken up after %v", took)
			}
		}
		copied := h.server("a", 1) // by mistake: it takes the job once
		if j := h.want(copied, j.ID, Succeeded); j.Tries != 4 || a.Stats().Lost.Load() != 1 {
			t.Errorf("%+v, lost %d", j, a.Stats().Lost.Load())
		}
	})
}

// A server that could not reach the store for long must not write what another has begun, and finds that out by itself.
func TestServerIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var stale error
		h.do = func(ctx context.Context, w *Work) (json.RawMessage, error) {
			if w.Job.Tries == 2 {
				time.Sleep(10 * time.Minute)
				return json.RawMessage(`{}`), nil
			}
			<-ctx.Done()
			time.Sleep(time.Minute)
			stale = w.Hold(context.WithoutCancel(ctx))
			return nil, context.Cause(ctx)
		}
		a := h.server("a", 1)
		j := h.add(a, order("x"))
		h.want(a, j.ID, Running)
		b := h.server("b", 1)
		a.store.Set(storetest.Fault{Err: errors.New("away")})
		time.Sleep(3 * time.Minute)
		a.store.Set()
		if got := h.want(b, j.ID, Succeeded); got.Node != "b" || got.Tries != 2 {
			t.Errorf("%+v", got)
		}
		if !errors.Is(stale, errLost) {
			t.Errorf("the first may write: %v", stale)
		}
		if h.undoneOf("x") != 0 || a.Stats().Lost.Load() != 1 {
			t.Errorf("undone %d, lost %d", h.undoneOf("x"), a.Stats().Lost.Load())
		}
	})
}

func TestStopPutsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = untilStopped
		a := h.server("a", 1)
		j := h.add(a, order("x"))
		h.want(a, j.ID, Running)
		a.stop()
		if j, err := a.Get(t.Context(), j.ID); err != nil || j.State != Queued || j.Tries != 0 || j.Node != "" {
			t.Errorf("%+v, %v", j, err)
		}
		h.do = nil
		began := time.Now()
		h.want(h.server("b", 1), j.ID, Succeeded)
		if time.Since(began) > 10*time.Second {
			t.Error("the next one waited")
		}
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = func(ctx context.Context, w *Work) (json.RawMessage, error) {
			switch w.Job.Input {
			case "bad":
				return nil, &Refusal{"not_media", "it is no media file"}
			case "twice":
				if w.Job.Tries < 3 {
					return nil, errors.New("the disk is full")
				}
				return nil, nil
			}
			return nil, errors.New("never works")
		}
		a := h.server("a", 3)
		bad, twice, never := h.add(a, order("bad")), h.add(a, order("twice")), h.add(a, order("never"))
		if j := h.want(a, bad.ID, Failed); j.Code != "not_media" || j.Reason != "it is no media file" || j.Tries != 1 {
			t.Errorf("%+v", j)
		}
		if j := h.want(a, twice.ID, Succeeded); j.Tries != 3 || j.Reason != "" {
			t.Errorf("%+v", j)
		}
		if j := h.want(a, never.ID, Failed); j.Code != CodeTries || j.Reason != "never works" || j.Tries != 5 {
			t.Errorf("%+v", j)
		}
		if h.undoneOf("bad") != 1 || h.undoneOf("twice") != 0 || h.undoneOf("never") != 1 {
			t.Errorf("undone: %d, %d, %d", h.undoneOf("bad"), h.undoneOf("twice"), h.undoneOf("never"))
		}
	})
}

// Whoever brings servers down is not tried for ever.
func TestEveryServerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = untilStopped
		keeper := h.server("keeper", 0)
		j := h.add(keeper, order("bomb"))
		for range 5 {
			s := h.server("s", 1)
			for {
				if now, _ := keeper.Get(t.Context(), j.ID); now.State == Running && s.Stats().Running.Load() == 1 {
					break
				}
				time.Sleep(time.Second)
			}
			s.kill()
		}
		keeper.SetWorkers(1)
		if j := h.want(keeper, j.ID, Failed); j.Code != CodeGone || h.undoneOf("bomb") != 1 {
			t.Errorf("%+v, undone %d", j, h.undoneOf("bomb"))
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = untilStopped
		a, b := h.server("a", 1), h.server("b", 0)
		runs, waits := h.add(a, order("runs")), h.add(a, order("waits"))
		h.want(a, runs.ID, Running)
		if j, err := b.Cancel(t.Context(), waits.ID); err != nil || j.State != Canceled {
			t.Errorf("%+v, %v", j, err)
		}
		if j, err := b.Cancel(t.Context(), runs.ID); err != nil || j.State != Running || !j.Cancel {
			t.Errorf("%+v, %v", j, err)
		}
		if _, err := b.Cancel(t.Context(), runs.ID); err != nil {
			t.Errorf("again: %v", err)
		}
		h.want(b, runs.ID, Canceled)
		time.Sleep(time.Minute)
		for _, id := range []string{runs.ID, waits.ID} {
			if j, err := b.Cancel(t.Context(), id); !errors.Is(err, ErrOver) || j.State != Canceled {
				t.Errorf("%+v, %v", j, err)
			}
		}
		if h.undoneOf("runs") != 1 || h.undoneOf("waits") != 0 || len(h.toldOf("runs")) != 1 || len(h.toldOf("waits")) != 1 {
			t.Errorf("undone %d, %d, told %v, %v", h.undoneOf("runs"), h.undoneOf("waits"), h.toldOf("runs"), h.toldOf("waits"))
		}
		if left := h.left(); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
		if _, err := a.Cancel(t.Context(), "5-20260101000000000-aaaaaaaa"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if _, err := a.Cancel(t.Context(), "../x"); !errors.Is(err, ErrID) {
			t.Error(err)
		}
	})
}

// The server is gone that runs a job somebody cancels: another cleans up.
func TestCancelWithoutRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = untilStopped
		a, b := h.server("a", 1), h.server("b", 0)
		j := h.add(a, order("x"))
		h.want(a, j.ID, Running)
		a.kill()
		if _, err := b.Cancel(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		h.want(b, j.ID, Canceled)
		if h.undoneOf("x") != 1 {
			t.Error(h.undoneOf("x"))
		}
	})
}

// A cancel that comes with the last bytes counts: what was made is removed.
func TestCancelAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		a, b := h.server("a", 1), h.server("b", 0)
		h.do = func(ctx context.Context, w *Work) (json.RawMessage, error) {
			if _, err := b.Cancel(ctx, w.Job.ID); err != nil {
				t.Error(err)
			}
			return nil, nil
		}
		j := h.add(a, order("x"))
		h.want(b, j.ID, Canceled)
		if h.undoneOf("x") != 1 {
			t.Error(h.undoneOf("x"))
		}
	})
}

func TestIdempotency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		a := h.server("a", 0)
		j, fresh, err := a.Add(t.Context(), order("x"), Key{"key", "x"})
		if err != nil || !fresh {
			t.Fatal(err)
		}
		if again, fresh, err := a.Add(t.Context(), order("x"), Key{"key", "x"}); err != nil || fresh || again.ID != j.ID {
			t.Errorf("%+v, %v, %v", again, fresh, err)
		}
		if _, _, err := a.Add(t.Context(), order("y"), Key{"key", "y"}); !errors.Is(err, ErrKey) {
			t.Error(err)
		}
		if _, _, err := a.Add(t.Context(), order("x"), Key{}); !errors.Is(err, ErrOutput) {
			t.Error(err)
		}
		if _, _, err := a.Add(t.Context(), order("x"), Key{"other", "x"}); !errors.Is(err, ErrOutput) {
			t.Error(err)
		}
		a.SetWorkers(1)
		h.want(a, j.ID, Succeeded)
		time.Sleep(time.Minute)
		if again, ok, err := a.ByKey(t.Context(), Key{"key", "x"}); err != nil || !ok || again.ID != j.ID {
			t.Errorf("%+v, %v, %v", again, ok, err)
		}
		if _, ok, err := a.ByKey(t.Context(), Key{"unused", "x"}); err != nil || ok {
			t.Errorf("%v, %v", ok, err)
		}
		if _, _, err := a.ByKey(t.Context(), Key{"key", "y"}); !errors.Is(err, ErrKey) {
			t.Error(err)
		}
		if again, fresh, err := a.Add(t.Context(), order("x"), Key{"key", "x"}); err != nil || fresh || again.State != Succeeded {
			t.Errorf("%+v, %v, %v", again, fresh, err)
		}
		if _, fresh, err := a.Add(t.Context(), order("x"), Key{"other", "x"}); err != nil || !fresh {
			t.Errorf("the output is free again: %v, %v", fresh, err)
		}
	})
}

// Many ask with one key at once, each of another server: it is one job.
func TestIdempotencyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var wg sync.WaitGroup
		ids := make([]string, 8)
		for i := range ids {
			s := h.server("s", 0)
			wg.Go(func() {
				j, _, err := s.Add(t.Context(), order("x"), Key{"key", "x"})
				if ids[i] = j.ID; err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if slices.Sort(ids); ids[0] == "" || ids[0] != ids[7] {
			t.Error(ids)
		}
		if n := len(storetest.Keys(t, h.memory, openFolder)); n != 1 {
			t.Errorf("%d jobs", n)
		}
	})
}

// Who is to be told of an end is told until he takes it, or for so long that it is given up. A server that is gone is stood in for.
func TestTelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.tell = func(j *Job) error {
			if !j.Emitted && len(h.told[j.Input]) > 1 {
				t.Error("what was kept of a failed attempt is forgotten")
			}
			j.Emitted = true
			if j.Input == "never" || len(h.told[j.Input]) < 4 {
				return errors.New("answered 500")
			}
			return nil
		}
		a, b := h.server("a", 2), h.server("b", 0)
		x, never := h.add(a, order("x")), h.add(a, order("never"))
		h.want(a, x.ID, Succeeded)
		a.kill()
		time.Sleep(30 * time.Minute)
		if n := len(h.toldOf("x")); n < 4 || n > 5 { // the killed one may have told, and not have written it
			t.Errorf("told %d times", n)
		}
		time.Sleep(4 * 24 * time.Hour)
		if j, err := b.Get(t.Context(), never.ID); err != nil || j.Untold == "" || b.Stats().Untold.Load() != 1 {
			t.Errorf("%+v, %v", j, err)
		}
		if left := h.left(); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}

func TestOldJobsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		a := h.server("a", 1)
		j, _, err := a.Add(t.Context(), order("x"), Key{"key", "x"})
		if err != nil {
			t.Fatal(err)
		}
		h.want(a, j.ID, Succeeded)
		time.Sleep(29 * 24 * time.Hour)
		h.want(a, j.ID, Succeeded)
		time.Sleep(2 * 24 * time.Hour)
		if _, err := a.Get(t.Context(), j.ID); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if keys := storetest.Keys(t, h.memory, folder); len(keys) > 0 {
			t.Errorf("left: %q", keys)
		}
	})
}

// Looking for work again and again reads no object that has not changed, and lists those alone that are not over.
func TestLooksAreCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		a := h.server("a", 0)
		for i := range 300 {
			h.add(a, order(strings.Repeat("x", i+1)))
		}
		stats := &storage.StoreStats{}
		b := New(storage.Measure(h.memory, stats), Options{Node: "b", Now: time.Now})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := b.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if gets, lists := stats.Get.Requests.Load(), stats.List.Requests.Load(); gets > 320 || lists > 125 {
			t.Errorf("%d reads, %d listings in ten minutes", gets, lists)
		}
	})
}

// What is no job is left alone, said once, and hides no other.
func TestStrangeObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		for key, body := range map[string]string{
			openKey("0-20260101000000000-aaaaaaaa"): "{", openKey("0-20260101000000000-bbbbbbbb"): `{"id":"other"}`, openFolder + "readme.txt": "x",
			openKey("0-20260101000000000-cccccccc"): strings.Repeat(" ", maxObject+10),
		} {
			if _, err := h.memory.Put(t.Context(), key, strings.NewReader(body), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
		}
		a := h.server("a", 1)
		h.want(a, h.add(a, order("x")).ID, Succeeded)
		if list, _, err := a.List(t.Context(), Query{Limit: 10}); err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
		if _, err := a.Get(t.Context(), "0-20260101000000000-aaaaaaaa"); !errors.Is(err, errDamaged) {
			t.Error(err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"5-20260101000000000-aaaaaaaa","kind":"remux","state":"queued","priority":5}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		const id = "5-20260101000000000-aaaaaaaa"
		j, err := parse(id, data)
		if err != nil {
			return
		}
		again, err := j.encode()
		if err != nil {
			return
		}
		if _, err := parse(id, again); err != nil {
			t.Error(err)
		}
	})
}
