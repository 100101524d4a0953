package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// A server is frozen while it removes what a job has left. Another goes on with that alone, and gives the folder to no job that what is on
// its way from the first could reach.
func TestFrozenRemovals(t *testing.T) {
	for _, end := range []State{Failed, Canceled} {
		t.Run(string(end), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.do = func(ctx context.Context, w *Work) (json.RawMessage, error) {
					if w.Job.Input == "y" {
						return json.RawMessage(`{}`), nil
					}
					if end == Failed {
						return nil, &Refusal{"truncated", "it ends too early"}
					}
					return untilStopped(ctx, w)
				}
				letgo := make(chan struct{})
				h.undo = func(node string, w *Work) error {
					if there, _, err := (&Queue{store: h.memory}).read(context.Background(), w.Job.ID); err != nil || there.State != Running || there.Ends != end || there.Node != node {
						t.Errorf("%s removes, and it is not written that the job ends: %+v, %v", node, there, err)
					}
					if node == "a" {
						<-letgo
					}
					return nil
				}
				a := h.server("a", 1)
				j := h.add(a, order("x"))
				if end == Canceled {
					h.want(a, j.ID, Running)
					if _, err := a.Cancel(t.Context(), j.ID); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				if j, err := a.Cancel(t.Context(), j.ID); end == Failed && (!errors.Is(err, ErrOver) || j.State != Failed) || end == Canceled && err != nil {
					t.Errorf("%+v, %v", j, err)
				}
				a.store.Set(storetest.Fault{Err: errors.New("frozen")})
				b := h.server("b", 1)
				if j := h.want(b, j.ID, end); j.Node != "b" || j.Tries != 1 || end == Failed && j.Code != "truncated" || !j.Late {
					t.Errorf("%+v", j)
				}
				time.Sleep(time.Minute)
				if told, did, undone := h.toldOf("x"), h.tried(), h.undoneOf("x"); !slices.Equal(told, []State{end}) || !slices.Equal(did, []string{"x on a"}) || undone != 1 {
					t.Errorf("told %v, did %q, undone %d", told, did, undone)
				}
				if _, _, err := b.Add(t.Context(), order("x"), Key{}); !errors.Is(err, ErrOutput) {
					t.Errorf("the folder is given away: %v", err)
				}
				h.want(b, h.add(b, order("y")).ID, Succeeded)
				a.store.Set()
				close(letgo)
				time.Sleep(time.Minute)
				if j, err := b.Get(t.Context(), j.ID); err != nil || j.State != end || a.Stats().Lost.Load() != 1 {
					t.Errorf("%+v, %v, lost %d", j, err, a.Stats().Lost.Load())
				}
				b.SetKeep(time.Hour)
				time.Sleep(3 * time.Hour)
				if keys := storetest.Keys(t, h.memory, folder); len(keys) > 0 {
					t.Errorf("left: %q", keys)
				}
				if _, _, err := b.Add(t.Context(), order("x"), Key{}); err != nil {
					t.Errorf("the folder is not free when the job is forgotten: %v", err)
				}
			})
		})
	}
}

// A server that is started again goes on with its own removal, and the folder is free after that: what it had on its way is gone with it.
func TestRemovalGoesOnAfterStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = func(context.Context, *Work) (json.RawMessage, error) {
			return nil, &Refusal{"truncated", "it ends too early"}
		}
		letgo := make(chan struct{})
		h.undo = func(string, *Work) error { <-letgo; return nil }
		a := h.server("a", 1)
		j := h.add(a, order("x"))
		time.Sleep(time.Minute)
		a.store.Set(storetest.Fault{Err: errors.New("power cut")})
		close(letgo)
		a.stop()
		a = h.server("a", 0)
		if j := h.want(a, j.ID, Failed); j.Code != "truncated" || j.Tries != 1 || j.Late {
			t.Errorf("%+v", j)
		}
		time.Sleep(time.Minute)
		if left := h.left(); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	})
}

// What a stopped server has left is removed where its job is canceled before another begins with it.
func TestCancelAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.do = untilStopped
		a := h.server("a", 1)
		j := h.add(a, order("x"))
		h.want(a, j.ID, Running)
		a.stop()
		b := h.server("b", 0)
		if _, err := b.Cancel(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		h.want(b, j.ID, Canceled)
		if h.undoneOf("x") != 1 {
			t.Error(h.undoneOf("x"))
		}
	})
}

// An output whose job was never written, or is over, goes to the next without being removed in between: who is frozen there takes nothing away.
func TestOutputsChangeHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		a := h.server("a", 0)
		o := order("x")
		if _, _, err := a.claim(t.Context(), outputKey(o.Output), note{ID: "4-20260101000000000-aaaaaaaa"}); err != nil {
			t.Fatal(err)
		}
		a.store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpRemove}, Err: errors.New("nothing may be removed")})
		j := h.add(a, o)
		if holds, err := a.Holds(t.Context(), j); !holds || err != nil {
			t.Errorf("%v, %v", holds, err)
		}
	})
}
