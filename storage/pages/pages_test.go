package pages

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// What is wanted stands in the spool at the end, also where the disk failed meanwhile; what is over is gone.
func TestPages(t *testing.T) {
	dir, away := t.TempDir(), atomic.Bool{}
	failed, healed := make(chan bool, 100), make(chan struct{}, 100)
	p := New(Options{
		Spool: spool.New(spool.Options{Dir: dir, FS: spool.FS{Mkdir: func(dir string) error {
			if away.Load() {
				return errors.New("away")
			}
			return os.Mkdir(dir, 0o755)
		}}}),
		RetryMin: time.Millisecond, RetryMax: time.Millisecond,
		Failed: func(_ error, first bool) {
			select {
			case failed <- first:
			default:
			}
		},
		Healed: func() { healed <- struct{}{} },
	})
	id := func(stream string) spool.ID {
		return spool.ID{App: "live", Stream: stream, Recording: "2023-08-24_16-02-52.970"}
	}
	batch := func(entry string) *spool.Batch {
		var b spool.Batch
		b.Ladder(spool.Ladder{TargetDuration: 2, Entry: entry})
		return &b
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		p.Run(ctx)
		close(done)
	}()
	away.Store(true)
	p.Want(id("a"), nil, batch("one"))
	if first, again := <-failed, <-failed; !first || again {
		t.Errorf("the first failure: %v, %v", first, again)
	}
	away.Store(false)
	<-healed
	p.Want(id("a"), nil, batch("two"))
	p.Want(id("b"), nil, batch("three"))
	p.Drop(id("b"), true)
	p.Want(id("c"), nil, batch("four"))
	p.Drop(id("c"), true)
	p.Want(id("c"), nil, batch("five")) // again
	cancel()
	<-done
	found, err := spool.New(spool.Options{Dir: dir}).Recover(t.Context())
	entries := map[string]string{}
	for _, f := range found {
		entries[f.State.ID.Stream] = f.State.Ladder.Entry
	}
	if want := map[string]string{"a": "two", "c": "five"}; err != nil || !maps.Equal(entries, want) {
		t.Errorf("%v, %v", err, entries)
	}
	if _, err := os.Stat(filepath.Join(dir, "live", "streams", "b")); !os.IsNotExist(err) {
		t.Errorf("what is over is there: %v", err)
	}
}
