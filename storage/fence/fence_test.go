package fence

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

const key = "live/streams/cam.m3u8"

// counting counts how often it is asked whose the stream is.
type counting struct {
	n   int
	err error
}

func (c *counting) mine(context.Context) error {
	c.n++
	return c.err
}

func newFence(store storage.Putter) (*Fence, *strings.Builder) {
	var said strings.Builder
	return New(store, slog.New(slog.NewTextHandler(&said, nil))), &said
}

func TestPut(t *testing.T) {
	memory := &storetest.Memory{}
	f, said := newFence(memory)
	var asked counting
	put := func(body string, want error, times int) {
		t.Helper()
		before := asked.n
		if err := f.Put(t.Context(), key, []byte(body), storage.Attributes{CacheControl: "no-store"}, asked.mine); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
		if n := asked.n - before; n != times {
			t.Errorf("%s: asked %d times, want %d", body, n, times)
		}
	}
	other := func(body string) {
		t.Helper()
		if _, err := memory.Put(t.Context(), key, strings.NewReader(body), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
	}
	there := func(want string) {
		t.Helper()
		if got := string(storetest.Read(t, memory, key, 0, -1)); got != want {
			t.Errorf("%q is there, want %q", got, want)
		}
	}
	put("1", nil, 1) // there is none, as it learns
	put("2", nil, 0)
	there("2")
	other("x")
	put("3", nil, 1)
	there("3")
	if n := strings.Count(said.String(), "not as this server left it"); n != 1 {
		t.Errorf("said %d times: %s", n, said)
	}
	other("y")
	asked.err = errors.New("another has it")
	put("4", asked.err, 1)
	put("5", asked.err, 1)
	there("y")
	asked.err = nil
	put("6", nil, 1)
	if err := memory.Remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	put("7", nil, 1)
	there("7")
	if n := strings.Count(said.String(), "\n"); n != 1 {
		t.Errorf("said %d lines: %s", n, said)
	}
}

// What was looked at needs no question, as long as it stays so. A new name needs none at all.
func TestLook(t *testing.T) {
	memory := &storetest.Memory{}
	f, _ := newFence(memory)
	if _, err := memory.Put(t.Context(), key, strings.NewReader("x"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Look(t.Context(), key, "b.m3u8"); err != nil {
		t.Fatal(err)
	}
	f.Fresh("c.m3u8", key)
	asked := counting{err: errors.New("asked")}
	for _, k := range []string{key, "b.m3u8", "c.m3u8"} {
		if err := f.Put(t.Context(), k, []byte("1"), storage.Attributes{}, asked.mine); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
	f.Forget(func(k string) bool { return k == key })
	if err := f.Put(t.Context(), key, []byte("2"), storage.Attributes{}, asked.mine); !errors.Is(err, asked.err) {
		t.Errorf("forgotten: %v", err)
	}
}

// A write whose answer was lost is known by its content, and no reason to ask or to say anything.
func TestLostAnswer(t *testing.T) {
	store := storetest.NewFaulty(&storetest.Memory{})
	f, said := newFence(store)
	asked := counting{err: errors.New("asked")}
	f.Fresh(key)
	away := errors.New("away")
	for _, body := range []string{"1", "2"} {
		store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpPut}, Err: away, Lost: true})
		if err := f.Put(t.Context(), key, []byte(body), storage.Attributes{}, asked.mine); !errors.Is(err, away) {
			t.Fatal(err)
		}
		store.Set()
		if err := f.Put(t.Context(), key, []byte(body+" and more"), storage.Attributes{}, asked.mine); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(storetest.Read(t, store, key, 0, -1)); got != "2 and more" || said.Len() > 0 {
		t.Errorf("%q, said %s", got, said)
	}
}

// changing is a store where another writes before each conditional Put.
type changing struct {
	storage.Store
	n int
}

func (c *changing) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	if c.n--; c.n >= 0 {
		if _, err := c.Store.Put(ctx, key, strings.NewReader(strings.Repeat("x", c.n)), storage.Attributes{}); err != nil {
			return "", err
		}
	}
	return c.Store.Put(ctx, key, body, a)
}

func TestObjectThatChangesAllTheTime(t *testing.T) {
	store := &changing{Store: &storetest.Memory{}, n: attempts}
	f, _ := newFence(store)
	var asked counting
	if err := f.Put(t.Context(), key, []byte("1"), storage.Attributes{}, asked.mine); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("%v", err)
	}
	if err := f.Put(t.Context(), key, []byte("1"), storage.Attributes{}, asked.mine); err != nil {
		t.Errorf("then: %v", err)
	}
}

// A store that refuses the condition alone gets the playlist without it; one that refuses both gets nothing.
func TestConditionIsRefused(t *testing.T) {
	store := &odd{Store: &storetest.Memory{}, change: func(a *storage.Attributes) error {
		if a.IfMatch != "" {
			return storage.ErrPermanent
		}
		return nil
	}}
	f, said := newFence(store)
	for _, body := range []string{"1", "2", "3"} {
		if err := f.Put(t.Context(), key, []byte(body), storage.Attributes{}, new(counting).mine); err != nil {
			t.Error(err)
		}
		if got := string(storetest.Read(t, store, key, 0, -1)); got != body {
			t.Errorf("%q is there, want %q", got, body)
		}
	}
	if f.Fitness() != Unfit || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("%v, said: %s", f.Fitness(), said)
	}
	store.change = nil
	f, said = newFence(store)
	put := func(body string) error {
		return f.Put(t.Context(), key, []byte(body), storage.Attributes{}, new(counting).mine)
	}
	if err := put("4"); err != nil {
		t.Error(err)
	}
	store.change = func(*storage.Attributes) error { return storage.ErrPermanent }
	if err := put("5"); !errors.Is(err, storage.ErrPermanent) || f.Fitness() != Unknown || said.Len() > 0 {
		t.Errorf("%v, %v, said: %s", err, f.Fitness(), said)
	}
}

// Where nothing may be read, or nobody can be asked, playlists are written all the same.
func TestNothingToAsk(t *testing.T) {
	memory := &storetest.Memory{}
	store := storetest.NewFaulty(memory)
	f, said := newFence(store)
	var asked counting
	store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpStat}, Err: storage.ErrPermanent})
	for _, k := range []string{"a.m3u8", "b.m3u8"} {
		if _, err := memory.Put(t.Context(), k, strings.NewReader("x"), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		if err := f.Put(t.Context(), k, []byte("1"), storage.Attributes{}, asked.mine); err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(said.String(), "\n"); n != 1 {
		t.Errorf("said %d lines: %s", n, said)
	}
	away := errors.New("away")
	store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpStat}, Err: away})
	if err := f.Put(t.Context(), "c.m3u8", []byte("1"), storage.Attributes{}, asked.mine); !errors.Is(err, away) {
		t.Errorf("while the store is away: %v", err)
	}
	if err := f.Put(t.Context(), "c.m3u8", []byte("1"), storage.Attributes{}, nil); err != nil {
		t.Errorf("unfenced: %v", err)
	}
}
