package recheck

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// An upload that got no answer and is carried out minutes later does not replace the final playlist. What others have written or removed
// meanwhile is not touched.
func TestLateUploadIsPutRight(t *testing.T) {
	const key = "live/streams/cam-2023-08-24_16-02-52.970.m3u8"
	for name, c := range map[string]struct {
		doubt   string   // a write that got no answer
		late    string   // what comes a minute after the last write; "-" removes
		down    bool     // the store cannot be read when the check is due
		written []string // ours, in order
		want    string
	}{
		"late":              {doubt: "old", late: "old", written: []string{"final"}, want: "final"},
		"late, and away":    {doubt: "old", late: "old", written: []string{"final"}, down: true, want: "final"},
		"late, of a series": {doubt: "old", late: "old", written: []string{"new", "final"}, want: "final"},
		"it never came":     {doubt: "old", written: []string{"final"}, want: "final"},
		"somebody else's":   {doubt: "old", late: "repaired", written: []string{"final"}, want: "repaired"},
		"removed":           {doubt: "old", late: "-", written: []string{"final"}, want: ""},
		"no doubt":          {late: "old", written: []string{"final"}, want: "old"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := &storetest.Memory{}
				store := storetest.NewFaulty(memory)
				p, by := New(store, slog.New(slog.DiscardHandler), time.Now, nil), &owner{}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					p.Run(ctx)
					close(done)
				}()
				put := func(body string) {
					if _, err := memory.Put(ctx, key, strings.NewReader(body), storage.Attributes{}); err != nil {
						t.Fatal(err)
					}
				}
				if c.doubt != "" {
					p.Doubt(key, []byte(c.doubt), by)
					if by.all()[key] != 1 {
						t.Errorf("the owner keeps %d doubts", by.all()[key])
					}
				}
				for _, body := range c.written {
					time.Sleep(2 * time.Minute)
					put(body)
					p.Written(key, []byte(body), storage.Attributes{}, by)
				}
				time.Sleep(time.Minute)
				switch c.late {
				case "":
				case "-":
					if err := memory.Remove(ctx, key); err != nil {
						t.Fatal(err)
					}
				default:
					put(c.late)
				}
				if c.down {
					store.Set(storetest.Fault{Err: errors.New("away"), Times: 3})
				}
				time.Sleep(20 * time.Minute)
				stop()
				<-done
				got := ""
				if len(storetest.Keys(t, memory, "")) > 0 {
					got = string(storetest.Read(t, memory, key, 0, -1))
				}
				if got != c.want {
					t.Errorf("the bucket has %q, want %q", got, c.want)
				}
				if n := len(p.due) + p.Len() + len(by.all()); n > 0 {
					t.Errorf("%d are still looked after", n)
				}
			})
		})
	}
}

// owner keeps doubts in memory.
type owner struct {
	mu   sync.Mutex
	kept map[string]int
}

func (o *owner) Doubted(key string, _ Sum) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.kept == nil {
		o.kept = map[string]int{}
	}
	o.kept[key]++
}

func (o *owner) Sure(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.kept, key)
}

// all returns a copy of what is kept.
func (o *owner) all() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.kept)
}

// A doubt that somebody else kept passes to the next writer of the playlist. A store that cannot be read is given up after a while: nobody
// keeps anything for it forever.
func TestDoubtsChangeHandsAndEnd(t *testing.T) {
	for name, c := range map[string]struct {
		down  bool
		after time.Duration
	}{"looked at": {after: 4 * time.Minute}, "never": {true, 2 * time.Hour}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := &storetest.Memory{}
				store := storetest.NewFaulty(memory)
				if c.down {
					store.Set(storetest.Fault{Err: errors.New("not yours to read")})
				}
				p, first, second := New(store, slog.New(slog.DiscardHandler), time.Now, nil), &owner{}, &owner{}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					p.Run(ctx)
					close(done)
				}()
				p.Doubt("a.m3u8", []byte("old"), first)
				p.Written("a.m3u8", []byte("new"), storage.Attributes{}, second)
				if first.all()["a.m3u8"] != 1 || second.all()["a.m3u8"] != 1 {
					t.Errorf("kept: %v, %v", first.all(), second.all())
				}
				time.Sleep(c.after)
				synctest.Wait()
				if len(first.all())+len(second.all())+p.Len() != 0 {
					t.Errorf("still kept: %v, %v", first.all(), second.all())
				}
				stop()
				<-done
			})
		})
	}
}

// A write without an answer that is newer than the body to be checked is not undone, and its doubt stays until the next write has been
// checked.
func TestNewerDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &storetest.Memory{}
		p, o := New(memory, slog.New(slog.DiscardHandler), time.Now, nil), &owner{}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			p.Run(ctx)
			close(done)
		}()
		put := func(body string) {
			if _, err := memory.Put(ctx, "a.m3u8", strings.NewReader(body), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
		}
		holds := func(want string) {
			t.Helper()
			synctest.Wait()
			r, _, err := memory.Get(ctx, "a.m3u8", 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(r); err != nil || string(body) != want {
				t.Errorf("the store holds %q (%v), want %q", body, err, want)
			}
		}
		p.Doubt("a.m3u8", []byte("1"), o)
		put("2")
		p.Written("a.m3u8", []byte("2"), storage.Attributes{}, o)
		time.Sleep(time.Minute)
		put("3") // its answer was lost
		p.Doubt("a.m3u8", []byte("3"), o)
		time.Sleep(after)
		holds("3")
		put("4")
		p.Written("a.m3u8", []byte("4"), storage.Attributes{}, o)
		time.Sleep(time.Minute)
		put("3") // carried out again
		time.Sleep(after)
		holds("4")
		if len(o.all())+p.Len() != 0 {
			t.Errorf("still kept: %v", o.all())
		}
		stop()
		<-done
	})
}
