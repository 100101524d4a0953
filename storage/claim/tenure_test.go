package claim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

const (
	older = "2024-05-01_10-00-00.000"
	cam   = "2024-05-01_11-00-00.000"
	newer = "2024-05-01_12-00-00.000"
)

func tenure(store Store, node, recording string) *Tenure {
	return New(store, Server{Node: node, Address: "http://" + node}, "live", "cam", recording, slog.New(slog.DiscardHandler))
}

// What is there, who asks, and what comes of it.
func TestTake(t *testing.T) {
	for name, c := range map[string]struct {
		there string // the object; "": none
		fed   bool
		fresh bool // it is not recalled
		want  Verdict
		epoch uint64 // afterwards, if it is claimed
	}{
		"none":                                  {want: Taken, epoch: 1},
		"none, fed":                             {fed: true, want: Taken, epoch: 1},
		"its own":                               {there: `{"epoch":3,"node":"a","address":"http://a","recording":"` + cam + `","state":"live"}`, want: Ours, epoch: 3},
		"its own, from another address":         {there: `{"epoch":3,"node":"a","recording":"` + cam + `","state":"live"}`, want: Ours, epoch: 3},
		"its own, released":                     {there: `{"epoch":3,"node":"a","address":"http://a","recording":"` + cam + `","state":"ended"}`, want: Ours, epoch: 3},
		"an older recording of its own":         {there: `{"epoch":3,"node":"a","recording":"` + older + `","state":"live"}`, want: Taken, epoch: 4},
		"a newer recording of its own":          {there: `{"epoch":3,"node":"a","recording":"` + newer + `","state":"live"}`, want: Ours},
		"another's":                             {there: `{"epoch":3,"node":"b","recording":"` + newer + `","state":"live"}`, want: Lost},
		"another's, older":                      {there: `{"epoch":3,"node":"b","recording":"` + older + `","state":"live"}`, want: Lost},
		"another's, older, of a new one":        {there: `{"epoch":3,"node":"b","recording":"` + older + `","state":"live"}`, fresh: true, want: Past},
		"another's, of a new one":               {there: `{"epoch":3,"node":"b","recording":"` + newer + `","state":"live"}`, fresh: true, want: Lost},
		"another's, fed":                        {there: `{"epoch":3,"node":"b","recording":"` + newer + `","state":"live"}`, fed: true, want: Taken, epoch: 4},
		"another's, that is done":               {there: `{"epoch":3,"node":"b","recording":"` + newer + `","state":"ended"}`, want: Past},
		"another's, that was done before":       {there: `{"epoch":3,"node":"b","recording":"` + older + `","state":"ended"}`, want: Taken, epoch: 4},
		"another's, that is done, fed":          {there: `{"epoch":3,"node":"b","recording":"` + newer + `","state":"ended"}`, fed: true, want: Taken, epoch: 4},
		"another's with its recording":          {there: `{"epoch":3,"node":"b","recording":"` + cam + `","state":"ended"}`, want: Lost},
		"a later version's":                     {there: `{"epoch":3,"node":"b","recording":"` + newer + `","state":"draining","lease":{"x":[1]}}`, want: Lost},
		"a later version's, fed":                {there: `{"epoch":3,"node":"b","recording":"` + newer + `","state":"draining","lease":{"x":[1]}}`, fed: true, want: Taken, epoch: 4},
		"damaged":                               {there: `{"epoch":3,"no`, want: Past},
		"damaged, fed":                          {there: `{"epoch":3,"no`, fed: true, want: Taken, epoch: 1},
		"nothing in it":                         {there: ` `, want: Past},
		"no node":                               {there: `{"epoch":3,"recording":"x","state":"live"}`, want: Past},
		"an epoch that cannot rise":             {there: `{"epoch":18446744073709551615,"node":"b","recording":"x","state":"live"}`, want: Past},
		"too long":                              {there: `{"epoch":3,"node":"b","recording":"x","state":"live","x":"` + strings.Repeat("x", maxClaim) + `"}`, want: Past},
		"a name that would not fit into a line": {there: `{"epoch":3,"node":"b\n","recording":"x","state":"live"}`, want: Past},
	} {
		t.Run(name, func(t *testing.T) {
			store := &storetest.Memory{}
			if c.there != "" {
				if _, err := store.Put(t.Context(), Key("live", "cam"), strings.NewReader(c.there), storage.Attributes{}); err != nil {
					t.Fatal(err)
				}
			}
			a := tenure(store, "a", cam)
			checked, err := a.Check(t.Context())
			if want := c.want; err != nil || !c.fed && !c.fresh && checked != want && (want != Taken || checked != Ours) {
				t.Errorf("checked: %v, %v", checked, err)
			}
			got, err := a.Take(t.Context(), c.fed, !c.fresh)
			if err != nil || got != c.want {
				t.Fatalf("%v, %v; want %v", got, err, c.want)
			}
			there := strings.TrimSuffix(string(storetest.Read(t, store, Key("live", "cam"), 0, -1)), "\n")
			if c.epoch == 0 {
				if there != c.there {
					t.Errorf("it wrote %s", there)
				}
				return
			}
			if want := fmt.Sprintf(`{"epoch":%d,"node":"a","address":"http://a","recording":%q,"state":"live"}`, c.epoch, cam); there != want {
				t.Errorf("%s, want %s", there, want)
			}
			if got, err := a.Take(t.Context(), false, true); err != nil || got != Ours {
				t.Errorf("again: %v, %v", got, err)
			}
		})
	}
}

// Of servers that take a stream at once each gets an epoch of its own, and one has it in the end: the others see that.
func TestServersRace(t *testing.T) {
	store := &storetest.Memory{}
	var wg sync.WaitGroup
	all := make([]*Tenure, 5)
	for i := range all {
		all[i] = tenure(store, fmt.Sprint("node-", i), fmt.Sprintf("2024-05-01_11-00-00.%03d", i))
		wg.Go(func() {
			if v, err := all[i].Take(t.Context(), true, false); err != nil || v != Taken {
				t.Errorf("%v, %v", v, err)
			}
		})
	}
	wg.Wait()
	epochs, have := map[uint64]bool{}, 0
	for _, a := range all {
		epochs[a.Claim().Epoch] = true
		switch v, err := a.Check(t.Context()); {
		case err != nil:
			t.Error(err)
		case v == Ours:
			have++
		case v != Lost:
			t.Error(v)
		}
	}
	if len(epochs) != len(all) || !epochs[uint64(len(all))] || have != 1 {
		t.Errorf("epochs %v, %d have the stream", epochs, have)
	}
}

// A release leaves alone what another has taken, and is no error then.
func TestRelease(t *testing.T) {
	store := &storetest.Memory{}
	a, b := tenure(store, "a", cam), tenure(store, "b", newer)
	if err := a.Release(t.Context()); err != nil || len(storetest.Keys(t, store, "")) != 0 {
		t.Errorf("what was never taken: %v", err)
	}
	take := func(t *testing.T, x *Tenure) {
		if _, err := x.Take(t.Context(), true, false); err != nil {
			t.Fatal(err)
		}
	}
	take(t, a)
	take(t, b)
	if err := a.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if v, err := b.Check(t.Context()); err != nil || v != Ours || b.Claim().State != Live {
		t.Errorf("%v, %v, %+v", v, err, b.Claim())
	}
	if err := b.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if v, err := a.Check(t.Context()); err != nil || v != Past || a.Claim() != (Claim{Epoch: 2, Node: "b", Address: "http://b", Recording: newer, State: Ended}) {
		t.Errorf("%v, %v, %+v", v, err, a.Claim())
	}
}

// A server that lost its name knows by the journal of a recording under which one it claimed that.
func TestFormerName(t *testing.T) {
	store := &storetest.Memory{}
	if _, err := tenure(store, "a", cam).Take(t.Context(), true, false); err != nil {
		t.Fatal(err)
	}
	c := tenure(store, "c", cam)
	if v, err := c.Take(t.Context(), false, true); err != nil || v != Lost {
		t.Errorf("%v, %v", v, err)
	}
	c.Formerly("a")
	if v, err := c.Take(t.Context(), false, true); err != nil || v != Ours {
		t.Errorf("%v, %v", v, err)
	}
	if err := c.Release(t.Context()); err != nil || c.Claim().State != Ended {
		t.Errorf("%+v, %v", c.Claim(), err)
	}
}

// A store that fails decides nothing, and a claim whose answer was lost is found to be one's own.
func TestStoreFails(t *testing.T) {
	store := storetest.NewFaulty(&storetest.Memory{})
	a := tenure(store, "a", cam)
	away := errors.New("away")
	store.Set(storetest.Fault{Err: away})
	if _, err := a.Take(t.Context(), true, false); !errors.Is(err, away) {
		t.Error(err)
	}
	if _, err := a.Check(t.Context()); !errors.Is(err, away) {
		t.Error(err)
	}
	store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpPut}, Err: away, Lost: true})
	if _, err := a.Take(t.Context(), true, false); !errors.Is(err, away) {
		t.Error(err)
	}
	store.Set()
	if v, err := a.Take(t.Context(), true, false); err != nil || v != Ours || a.Claim().Epoch != 1 {
		t.Errorf("%v, %v, %+v", v, err, a.Claim())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Take(ctx, true, false); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A process knows its own claims by what it drew at its start. What its name claimed before the start it takes up, and writes again; what it
// finds under its name after that is a copy's.
func TestCopiedMachine(t *testing.T) {
	store := &storetest.Memory{}
	begin := func(nonce, recording string) *Tenure {
		return New(store, Server{Node: "a", Nonce: nonce}, "live", "cam", recording, slog.New(slog.DiscardHandler))
	}
	take := func(a *Tenure, fed bool, want Verdict) {
		t.Helper()
		if v, err := a.Take(t.Context(), fed, true); err != nil || v != want {
			t.Errorf("%v, %v; want %v", v, err, want)
		}
	}
	first := begin("one", cam)
	take(first, true, Taken)
	again := begin("two", cam) // after a restart, or on the copy
	take(again, false, Ours)
	if c := again.Claim(); c.Epoch != 1 || c.Nonce != "two" {
		t.Errorf("%+v", c)
	}
	take(first, false, Lost) // it is the one that was copied
	take(again, false, Ours)
	later := begin("two", newer)
	take(later, true, Taken)
	take(again, false, Ours) // a newer recording of its own
	if err := first.Release(t.Context()); err != nil || later.Claim().State != Live {
		t.Errorf("%v, %+v", err, later.Claim())
	}
}

// Before a claim leads elsewhere, what it led to is passed on; if that fails, it stays.
func TestBefore(t *testing.T) {
	store := &storetest.Memory{}
	if _, err := tenure(store, "a", cam).Take(t.Context(), true, false); err != nil {
		t.Fatal(err)
	}
	b := tenure(store, "b", newer)
	away, old := errors.New("away"), ""
	b.Before(func(_ context.Context, c Claim) error {
		old = c.Recording
		return away
	})
	if _, err := b.Take(t.Context(), true, false); !errors.Is(err, away) || old != cam {
		t.Errorf("%v, %q", err, old)
	}
	away, old = nil, ""
	if v, err := b.Take(t.Context(), true, false); err != nil || v != Taken || old != cam {
		t.Errorf("%v, %v, %q", v, err, old)
	}
	old = ""
	if v, err := b.Take(t.Context(), true, false); err != nil || v != Ours || old != "" {
		t.Errorf("%v, %v, %q", v, err, old)
	}
}

// Who goes on with the recording of a claim has read it last.
func TestSucceed(t *testing.T) {
	store := storetest.NewFaulty(&storetest.Memory{})
	if _, err := tenure(store, "a", cam).Take(t.Context(), true, false); err != nil {
		t.Fatal(err)
	}
	key, b := Key("live", "cam"), Server{Node: "b", Nonce: "x"}
	old, etag, err := Read(t.Context(), store, key)
	if err != nil || old.Node != "a" {
		t.Fatalf("%+v, %v", old, err)
	}
	store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpPut}, Err: errors.New("away"), Lost: true})
	c, err := Succeed(t.Context(), store, key, old, etag, b)
	if want := (Claim{Epoch: 2, Node: "b", Recording: cam, State: Live, Nonce: "x"}); err != nil || c != want {
		t.Errorf("%+v, %v", c, err)
	}
	store.Set()
	if _, err := Succeed(t.Context(), store, key, old, etag, Server{Node: "c", Nonce: "y"}); !errors.Is(err, storage.ErrChanged) {
		t.Error(err)
	}
	if c, etag, err := Read(t.Context(), store, Key("live", "none")); err != nil || etag != "" || c != (Claim{}) {
		t.Errorf("%+v, %q, %v", c, etag, err)
	}
}
