package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// frozen is a store on the way to which what is put stands still until it is let go.
type frozen struct {
	storage.Store
	pass  int // so many puts arrive at once
	letgo chan struct{}
}

func (f *frozen) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	if f.pass--; f.pass < 0 {
		<-f.letgo
	}
	return f.Store.Put(ctx, key, body, a)
}

// body is what lies under a key.
func (h *house) body(key string) string {
	h.t.Helper()
	r, _, err := h.memory.Get(h.t.Context(), key, 0, -1)
	if err != nil {
		h.t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

// What a server had on its way when it was frozen does not replace what another made meanwhile, whether there was nothing before, or
// what an earlier try had left; and what it finished then is not kept.
func TestFrozenPutsReplaceNothing(t *testing.T) {
	for name, c := range map[string]struct {
		before string // what an earlier try has left
		pass   int    // puts of the frozen server that arrive before
	}{"nothing": {}, "the first try's": {"earlier", 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				late := &frozen{h.memory, c.pass, make(chan struct{})}
				stale := make(chan error, 2)
				h.do = func(ctx context.Context, w *Work) (json.RawMessage, error) {
					if w.Job.Tries == 1 {
						if c.before != "" {
							if err := w.Put(ctx, h.memory, "out/master.m3u8", [][]byte{[]byte(c.before)}, storage.Attributes{}); err != nil {
								return nil, err
							}
						}
						ctx := context.WithoutCancel(ctx)
						stale <- w.Put(ctx, late, "out/master.m3u8", [][]byte{[]byte("of the frozen")}, storage.Attributes{})
						stale <- w.Keep(ctx, "720p", []byte("of the frozen"))
						return nil, errors.New("it woke")
					}
					err := w.Put(ctx, h.memory, "out/master.m3u8", [][]byte{[]byte("of the next")}, storage.Attributes{})
					return json.RawMessage(`{}`), errors.Join(err, w.Keep(ctx, "720p", []byte("of the next")))
				}
				h.tell = func(*Job) error { return errors.New("nobody listens") } // what was kept stays
				a := h.server("a", 1)
				j := h.add(a, order("x"))
				h.want(a, j.ID, Running)
				a.store.Set(storetest.Fault{Err: errors.New("frozen")})
				b := h.server("b", 1)
				h.want(b, j.ID, Succeeded)
				a.store.Set()
				close(late.letgo)
				if err := <-stale; !errors.Is(err, errLost) {
					t.Errorf("put: %v", err)
				}
				if err := <-stale; !errors.Is(err, errLost) {
					t.Errorf("kept: %v", err)
				}
				for _, key := range []string{"out/master.m3u8", rungKey(j.ID, "720p")} {
					if got := h.body(key); got != "of the next" {
						t.Errorf("%s is %s", key, got)
					}
				}
			})
		})
	}
}

// A later try puts its work over what an earlier one has left.
func TestLaterTriesReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = func(ctx context.Context, w *Work) (json.RawMessage, error) {
			body := []byte(time.Duration(w.Job.Tries).String())
			if err := errors.Join(w.Put(ctx, h.memory, "out/segment-0.ts", [][]byte{body}, storage.Attributes{ContentType: "video/mp2t"}), w.Keep(ctx, "720p", body)); err != nil {
				return nil, &Refusal{"put", err.Error()}
			}
			if w.Job.Tries < 3 {
				return nil, errors.New("not yet")
			}
			return json.RawMessage(`{}`), nil
		}
		a := h.server("a", 1)
		if j := h.want(a, h.add(a, order("x")).ID, Succeeded); j.Tries != 3 {
			t.Errorf("%+v", j)
		}
		if got := h.body("out/segment-0.ts"); got != "3ns" {
			t.Errorf("%s", got)
		}
	})
}
