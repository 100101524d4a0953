package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

var errFlaky = errors.New("flaky")

func TestRetryConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) storage.Store {
		return storage.Retry(storage.Limit(storage.Measure(&storetest.Memory{}, &storage.StoreStats{}), 4), storage.RetryOptions{Attempts: 1})
	})
}

func TestRetryUntilItHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := storetest.NewFaulty(&storetest.Memory{})
		n := 0
		s := storage.Retry(f, storage.RetryOptions{OnRetry: func(op, key string, attempt int, err error) {
			if n++; attempt != n || op != "put" || key != "a" || !errors.Is(err, errFlaky) {
				t.Errorf("told of %s %s, attempt %d: %v", op, key, attempt, err)
			}
		}})
		f.Set(storetest.Fault{Err: errFlaky, Times: 40})
		start := time.Now()
		if _, err := s.Put(t.Context(), "a", strings.NewReader("x"), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); n != 40 || d < 3*time.Minute || d > 7*time.Minute {
			t.Errorf("%d retries in %v", n, d)
		}
	})
}

func TestRetryReturns(t *testing.T) {
	f := storetest.NewFaulty(&storetest.Memory{})
	s := storage.Retry(f, storage.RetryOptions{})
	for _, want := range []error{storage.ErrPermanent, storage.ErrExists, fs.ErrNotExist} {
		f.Set(storetest.Fault{Err: want})
		before := f.Hits()
		if _, err := s.Stat(t.Context(), "a"); !errors.Is(err, want) || f.Hits() != before+1 {
			t.Errorf("%v after %d attempts, want %v", err, f.Hits()-before, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := storetest.NewFaulty(&storetest.Memory{})
		f.Set(storetest.Fault{Err: storage.ErrThrottled})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := storage.Retry(f, storage.RetryOptions{}).Remove(ctx, "a")
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, storage.ErrThrottled) {
			t.Errorf("at the deadline: %v", err)
		}
		before := f.Hits()
		err = storage.Retry(f, storage.RetryOptions{Attempts: 3}).Remove(t.Context(), "a")
		if !errors.Is(err, storage.ErrThrottled) || f.Hits() != before+3 {
			t.Errorf("%v after %d attempts", err, f.Hits()-before)
		}
	})
}

func TestRetryTakesUpABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		body := storetest.Random(1, 10_000)
		if _, err := m.Put(t.Context(), "a", bytes.NewReader(body), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		f := storetest.NewFaulty(m)
		s := storage.Retry(f, storage.RetryOptions{})
		f.Set(
			storetest.Fault{CutBody: 3000, Err: errFlaky, Times: 2},
			storetest.Fault{Err: errFlaky, Times: 2},
			storetest.Fault{CutBody: 1, Err: io.EOF, Times: 1},
		)
		if got := storetest.Read(t, s, "a", 100, 9000); !bytes.Equal(got, body[100:9100]) {
			t.Errorf("%d bytes, equal: false", len(got))
		}
		// A body that was replaced meanwhile is not assembled from two objects.
		f.Set(storetest.Fault{CutBody: 3000, Err: errFlaky, Times: 1})
		r, _, err := s.Get(t.Context(), "a", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 3000)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Put(t.Context(), "a", strings.NewReader("other"), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); !errors.Is(err, storage.ErrPermanent) {
			t.Errorf("replaced: %v", err)
		}
	})
}

// brokenList ends with an error after every two keys.
type brokenList struct{ storage.Store }

func (b brokenList) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	n := 0
	return b.Store.List(ctx, prefix, func(o storage.Object) error {
		if n++; n > *calls(ctx) {
			*calls(ctx) += 2
			return errFlaky
		}
		return fn(o)
	})
}

type callsKey struct{}

func calls(ctx context.Context) *int { return ctx.Value(callsKey{}).(*int) }

func TestRetryList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			if _, err := m.Put(t.Context(), key, strings.NewReader("x"), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
		}
		s := storage.Retry(brokenList{m}, storage.RetryOptions{})
		var got strings.Builder
		ctx := context.WithValue(t.Context(), callsKey{}, new(int))
		if err := s.List(ctx, "", func(o storage.Object) error { got.WriteString(o.Key); return nil }); err != nil || got.String() != "abcde" {
			t.Errorf("%s, %v", got.String(), err)
		}
		// An error of the caller's function is not the store's.
		own := errors.New("own")
		if err := s.List(ctx, "", func(storage.Object) error { return own }); !errors.Is(err, own) {
			t.Error(err)
		}
	})
}

func TestBackoff(t *testing.T) {
	o := storage.RetryOptions{First: 100 * time.Millisecond, Most: time.Second}
	for n, most := range map[int]time.Duration{1: 100, 2: 200, 3: 400, 4: 800, 5: 1000, 6: 1000, 1000: 1000} {
		for range 100 {
			if d := o.Backoff(n); d > most*time.Millisecond || d < most*time.Millisecond/2 {
				t.Errorf("%d: %v", n, d)
			}
		}
	}
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &storetest.Memory{}
		f := storetest.NewFaulty(m)
		s := storage.Limit(f, 2)
		if _, err := s.Put(t.Context(), "a", strings.NewReader("x"), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		r1, _, err1 := s.Get(t.Context(), "a", 0, -1)
		r2, _, err2 := s.Get(t.Context(), "a", 0, -1)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Stat(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third request: %v", err)
		}
		r1.Close()
		r1.Close() // closing twice counts once
		if _, err := s.Stat(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		r2.Close()
		for range 5 { // failures release their place
			if _, _, err := s.Get(t.Context(), "none", 0, -1); !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
	})
}

func TestMeasure(t *testing.T) {
	f := storetest.NewFaulty(&storetest.Memory{})
	var stats storage.StoreStats
	s := storage.Measure(f, &stats)
	if _, err := s.Put(t.Context(), "a", strings.NewReader("12345"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	r, _, err := s.Get(t.Context(), "a", 1, 3)
	if err != nil {
		t.Fatal(err)
	}
	if n := stats.Get.InFlight.Load(); n != 1 {
		t.Errorf("%d in flight", n)
	}
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	r.Close()
	r.Close()
	_, _ = s.Stat(t.Context(), "none")
	f.Set(storetest.Fault{Err: storage.ErrThrottled})
	_, _ = s.Put(t.Context(), "b", strings.NewReader("x"), storage.Attributes{})
	f.Set(storetest.Fault{Err: errFlaky, CutBody: 1})
	if r, _, err = s.Get(t.Context(), "a", 0, -1); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(r)
	r.Close()
	got := map[string]int64{
		"put": stats.Put.Requests.Load(), "put bytes": stats.PutBytes.Load(), "get bytes": stats.GetBytes.Load(),
		"in flight": stats.Get.InFlight.Load() + stats.Put.InFlight.Load(),
		"throttled": stats.Put.Failures[storage.Throttled].Load(), "missing": stats.Stat.Failures[storage.Missing].Load(),
		"transient": stats.Get.Failures[storage.Transient].Load(), "none": stats.Put.Failures[storage.None].Load(),
	}
	for name, want := range map[string]int64{
		"put": 2, "put bytes": 5, "get bytes": 4, "in flight": 0, "throttled": 1, "missing": 1, "transient": 1, "none": 0,
	} {
		if got[name] != want {
			t.Errorf("%s: %d, want %d", name, got[name], want)
		}
	}
}

// unsorted lists its keys in their given order, and breaks off after some of them.
type unsorted struct {
	storage.Store
	keys   []string
	breaks int
	asked  int
}

func (u *unsorted) List(_ context.Context, _ string, fn func(storage.Object) error) error {
	u.asked++
	for i, key := range u.keys {
		if i == u.breaks {
			return errors.New("reset")
		}
		if err := fn(storage.Object{Key: key}); err != nil {
			return err
		}
	}
	return nil
}

// An unsorted listing cannot be continued where it broke off: the rest would be taken for missing.
func TestRetryOfAListingWithoutOrder(t *testing.T) {
	list := func(u *unsorted) (got []string, err error) {
		err = storage.Retry(u, storage.RetryOptions{First: 1, Most: 1, Attempts: 3}).List(t.Context(), "", func(o storage.Object) error {
			got = append(got, o.Key)
			return nil
		})
		return got, err
	}
	u := &unsorted{keys: []string{"c", "a", "d", "b"}, breaks: 3}
	if got, err := list(u); !errors.Is(err, storage.ErrPermanent) || u.asked != 1 {
		t.Errorf("%q, %v, asked %d times", got, err, u.asked)
	}
	u = &unsorted{keys: []string{"c", "a", "d", "b"}, breaks: -1}
	if got, err := list(u); err != nil || len(got) != 4 {
		t.Errorf("%q, %v", got, err)
	}
}
