package gate_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// A server that is fed, and that no other server reaches, shows its viewers nothing more once another has taken the stream: also while that one
// has written no playlist yet, and where it cannot read whose the stream is.
func TestFormerServerShowsNothingMore(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{
		"it finds out":              {Match: func(storetest.Op, string) bool { return false }},
		"it cannot read the bucket": {Ops: []storetest.Op{storetest.OpGet, storetest.OpStat}, Err: errors.New("half of an answer")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
				a, b := begin(t, store, "a", p), begin(t, store, "b", p)
				defer a.end()
				defer b.end()
				first := a.admitted()
				first.run(20 * time.Second)
				line := a.reg.Timeline("live", "cam")
				delete(p, "http://a")
				a.store.Set(fault)
				second := b.admitted()
				synctest.Wait()
				seen, taken := line.Snapshot().Next(), b.reg.Timeline("live", "cam").Snapshot().Next()
				if taken < seen {
					t.Fatalf("b goes on from %d, viewers of a have seen %d", taken, seen)
				}
				first.run(10 * time.Second)
				synctest.Wait()
				if now := line.Snapshot().Next(); now > taken {
					t.Errorf("viewers of a are shown %d segments, b goes on from %d", now, taken)
				}
				a.store.Set()
				second.run(20 * time.Second)
				second.end(b)
				if a.loses.Load() != 1 || b.loses.Load() != 0 {
					t.Errorf("a lets go of %d recordings, b of %d", a.loses.Load(), b.loses.Load())
				}
				for _, s := range []*server{a, b} {
					if n := s.mirror.Uploaders()[0].Stats().Conflicts.Load(); n != 0 {
						t.Errorf("%s says that somebody else writes to the bucket, %d times", s.node, n)
					}
				}
				if said := a.mirror.Health(); len(said) != 1 || !strings.Contains(said[0].Text, "another server (b) goes on with the recording") {
					t.Errorf("a says %v", said)
				}
			})
		})
	}
}

// A segment whose upload ends after the stream was lost is counted once: nothing is left to be sent.
func TestFormerServerHasNothingToSend(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer a.end()
		defer b.end()
		first := a.admitted()
		first.run(20 * time.Second)
		a.store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpPut}, Match: func(_ storetest.Op, key string) bool { return strings.HasSuffix(key, ".ts") }, Hang: true})
		first.run(5 * time.Second)
		if n := a.mirror.Uploaders()[0].Stats().BacklogSegments.Load(); n == 0 {
			t.Fatal("nothing is on its way")
		}
		delete(p, "http://a")
		second := b.admitted()
		first.s.Close(errors.New("reset"))
		time.Sleep(10 * time.Second)
		a.store.Set()
		synctest.Wait()
		second.run(10 * time.Second)
		if n := a.mirror.Uploaders()[0].Stats().BacklogSegments.Load(); n != 0 {
			t.Errorf("%d segments are left to be sent", n)
		}
		second.end(b)
	})
}
