package gate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// Whether publishers would be admitted is known within three seconds of the bucket's going and coming, and nobody asks it where nobody wants to
// know.
func TestReady(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a := begin(t, store, "a", p)
		defer a.end()
		if err := a.gate.Ready(); err != nil {
			t.Errorf("at the start: %v", err)
		}
		for name, fault := range map[string]storetest.Fault{"refuses": {Err: errors.New("503")}, "hangs": {Hang: true}} {
			a.store.Set(fault)
			for range 3 {
				time.Sleep(time.Second)
				_ = a.gate.Ready()
			}
			synctest.Wait()
			if a.gate.Ready() == nil {
				t.Errorf("%s: ready", name)
			}
			a.store.Set()
			for range 3 {
				time.Sleep(time.Second)
				_ = a.gate.Ready()
			}
			synctest.Wait()
			if err := a.gate.Ready(); err != nil {
				t.Errorf("after that it %s: %v", name, err)
			}
		}
		time.Sleep(time.Second)
		_ = a.gate.Ready()
		synctest.Wait()
		asked := 0
		a.store.Set(storetest.Fault{Hook: func(context.Context, storetest.Op, string) { asked++ }})
		time.Sleep(time.Minute)
		synctest.Wait()
		if asked > 0 {
			t.Errorf("the bucket was asked %d times, and nobody wanted to know", asked)
		}
	})
}

// Where the bucket hangs, a server that has lost many publishers asks it about few of their streams, and about all once it answers.
func TestManyQuietStreams(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a := begin(t, store, "a", p)
		defer a.end()
		const streams = 40 // all of them within what a recording waits for its publisher
		for i := range streams {
			e, err := a.publishAs(fmt.Sprint("cam", i))
			if err != nil {
				t.Fatal(err)
			}
			e.run(time.Second)
			e.s.Close(errors.New("the network broke"))
		}
		synctest.Wait()
		asked := make(chan string, 10*streams)
		a.store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpGet}, Hang: true, Hook: func(_ context.Context, _ storetest.Op, key string) { asked <- key }})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := len(asked); n == 0 || n > 5*17 {
			t.Errorf("asked %d times within 5 s", n)
		}
		for len(asked) > 0 {
			<-asked
		}
		a.store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpGet}, Hook: func(_ context.Context, _ storetest.Op, key string) { asked <- key }})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		keys := map[string]bool{}
		for len(asked) > 0 {
			keys[<-asked] = true
		}
		if len(keys) < streams {
			t.Errorf("asked about %d of %d streams", len(keys), streams)
		}
		if a.reg.Timelines()[0].Snapshot().Whole().State == segmenter.Ended {
			t.Error("a stream has ended meanwhile: the test is too slow")
		}
	})
}
