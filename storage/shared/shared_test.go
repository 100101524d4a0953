package shared_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/recheck"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

var cam = segmenter.Key{App: "live", Stream: "cam"}

const (
	recording = "2023-08-24_16-02-52.970"
	entry     = "live/streams/cam.m3u8"
	live      = "live/streams/cam/" + recording + "/live.m3u8"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// open returns a store of one server, and what it logs.
func open(store storage.Putter, takes bool) (*shared.Store, *strings.Builder) {
	var said strings.Builder
	s := shared.New(shared.Options{
		Store: store, Log: slog.New(slog.NewTextHandler(&said, nil)), Now: func() time.Time { return now }, Takes: func() bool { return takes },
	})
	s.Name(claim.Server{Node: "a", Nonce: "n"})
	return s, &said
}

// owner notes which keys are in doubt.
type owner struct{ doubted []string }

func (o *owner) Doubted(key string, _ recheck.Sum) { o.doubted = append(o.doubted, key) }
func (o *owner) Sure(string)                       {}

// Who has the stream is asked again where two servers may write the same bytes, unless that was answered a moment ago.
func TestWriteAsksAgain(t *testing.T) {
	for _, c := range []struct {
		key   string
		age   time.Duration // of the last answer
		none  bool          // there are no claims
		asked bool
	}{
		{key: entry, age: time.Hour, asked: true},
		{key: entry, age: time.Second + 1, asked: true},
		{key: entry, age: time.Second},
		{key: entry, age: 0},
		{key: entry, age: -1, asked: true}, // the clock was set back
		{key: "live/streams/cam_ll.m3u8", age: time.Hour, asked: true},
		{key: "live/streams/cam_cmaf.m3u8", age: time.Hour, asked: true},
		{key: entry, age: time.Hour, none: true},
		{key: live, age: time.Hour},
		{key: "live/streams/cam-" + recording + ".m3u8", age: time.Hour},
	} {
		t.Run(fmt.Sprint(c.key, " ", c.age, " ", c.none), func(t *testing.T) {
			if _, ok := segmenter.ParseName(c.key); !ok {
				t.Fatal("it is no name")
			}
			s, _ := open(&storetest.Memory{}, true)
			asked := 0
			w := shared.Writing{Owner: &owner{}, Fresh: true, Tenure: s.Tenure(cam, recording), Asked: now, Mine: func(context.Context) error {
				asked++
				return nil
			}}
			write := func(body string) {
				t.Helper()
				if err := s.Write(t.Context(), c.key, []byte(body), storage.Attributes{}, w); err != nil {
					t.Fatal(err)
				}
			}
			write("1")
			if asked != 0 {
				t.Fatalf("asked %d times of a name that nobody had", asked)
			}
			if w.Asked = now.Add(-c.age); c.none {
				w.Tenure = nil
			}
			write("2")
			if got := asked > 0; got != c.asked {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

func TestWriteFails(t *testing.T) {
	memory := &storetest.Memory{}
	store := storetest.NewFaulty(memory)
	s, _ := open(store, true)
	o := &owner{}
	w := shared.Writing{Owner: o, Tenure: s.Tenure(cam, recording), Asked: now, Mine: func(context.Context) error { return shared.ErrAnother }}
	if err := s.Write(t.Context(), live, []byte("1"), storage.Attributes{}, w); !errors.Is(err, shared.ErrAnother) || len(storetest.Keys(t, memory, "")) > 0 {
		t.Errorf("another has the stream: %v, %v", err, storetest.Keys(t, memory, ""))
	}
	w.Mine = func(context.Context) error { return nil }
	for kind, doubted := range map[error]int{storage.ErrPermanent: 0, errors.New("no answer"): 1} {
		store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpPut}, Err: kind})
		if err := s.Write(t.Context(), live, []byte("2"), storage.Attributes{}, w); !errors.Is(err, kind) {
			t.Errorf("%v: %v", kind, err)
		}
		if len(o.doubted) != doubted || doubted > 0 && o.doubted[0] != live {
			t.Errorf("%v: in doubt are %v", kind, o.doubted)
		}
		o.doubted = nil
	}
}

func TestHas(t *testing.T) {
	store := storetest.NewFaulty(&storetest.Memory{})
	s, _ := open(store, true)
	if _, err := store.Put(t.Context(), entry, strings.NewReader("1"), storage.Attributes{}); err != nil {
		t.Fatal(err)
	}
	if there, sure := s.Had(t.Context(), entry); !there || !sure || !s.Reads() {
		t.Error("there:", there, sure)
	}
	if there, sure := s.Had(t.Context(), live); there || !sure {
		t.Error("missing:", there, sure)
	}
	for err, want := range map[error]bool{storage.ErrPermanent: true, errors.New("no answer"): false, context.Canceled: false} {
		store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpStat}, Err: err})
		if there, sure := s.Had(t.Context(), entry); there || sure != want {
			t.Errorf("%v: %t, sure %t", err, there, sure)
		}
		if there, got := s.Has(t.Context(), entry); there || !errors.Is(got, err) {
			t.Errorf("%v: %t, %v", err, there, got)
		}
	}
	blind, _ := open(struct{ storage.Putter }{store}, true)
	if there, err := blind.Has(t.Context(), entry); there || err != nil || blind.Reads() || blind.Tenure(cam, recording) != nil {
		t.Error("a store that cannot be read:", there, err)
	}
}

// A store that takes everything but conditional writes is told of, once; one that takes nothing yet is asked until it does.
func TestProbeIsRefused(t *testing.T) {
	for _, takes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			store := storetest.NewFaulty(&storetest.Memory{})
			store.Set(storetest.Fault{Err: storage.ErrPermanent})
			s, said := open(store, takes)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				s.Run(ctx)
				close(done)
			}()
			synctest.Wait()
			once := store.Hits()
			time.Sleep(time.Hour)
			cancel()
			<-done
			if again := store.Hits() > once; once == 0 || again == takes {
				t.Errorf("takes %v: asked %d times, and %d in an hour", takes, once, store.Hits())
			}
			if n := strings.Count(said.String(), "allow these credentials"); n != map[bool]int{true: 1}[takes] {
				t.Errorf("takes %v: said %d times: %s", takes, n, said)
			}
			for range 2 {
				s.Unclaimed(storage.ErrPermanent)
			}
			if n := strings.Count(said.String(), "cannot say in the store which streams it has"); n != 1 {
				t.Errorf("said %d times: %s", n, said)
			}
		})
	}
}

func TestEntries(t *testing.T) {
	var keys []string
	for _, n := range slices.Concat(shared.Entries(cam), shared.TrackEntries(cam)) {
		if back, ok := segmenter.ParseName(n.String()); !ok || back != n {
			t.Errorf("%s is read as %+v", n, back)
		}
		keys = append(keys, n.String())
	}
	slices.Sort(keys)
	if len(slices.Compact(keys)) != 5 || shared.TrackEntries(cam)[0] != shared.TrackEntry(cam) {
		t.Error(keys)
	}
}
