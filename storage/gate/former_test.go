package gate_test

import (
	"errors"
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
			})
		})
	}
}
