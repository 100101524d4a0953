package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// A server that is drained refuses who comes, keeps who is there until their time is up, and sends them away then; without a cluster, too.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": {}}, Now: time.Now})
		n := &node{registry: registry, Cluster: New(Options{Settings: configs.Cluster{}, Registry: registry, Next: registry, Now: time.Now})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- n.Run(ctx) }()
		_, sent, err := n.publish(t, "cam")
		if err != nil {
			t.Fatal(err)
		}
		if _, drained := n.Drained(); drained {
			t.Error("it is drained")
		}
		began := time.Now()
		n.Drain(time.Hour)
		if until := n.Drain(10 * time.Second); until != began.Add(10*time.Second) {
			t.Errorf("until %s", until)
		}
		var refusal *ingest.Refusal
		if _, _, err := n.publish(t, "other"); !errors.As(err, &refusal) || refusal.Kind != ingest.Overloaded {
			t.Errorf("who comes then: %v", err)
		}
		why := <-sent
		if took := time.Since(began); took != 10*time.Second || !errors.As(why, &refusal) || refusal.Reason != "this server is being drained: publish to another" {
			t.Errorf("after %s: %v", took, why)
		}
		if n.Publishers() != 0 {
			t.Errorf("%d publishers", n.Publishers())
		}
		// One that had been let in just before the door was closed.
		s, err := registry.Publish(t.Context(), ingest.Announce{App: "live", Stream: "late", Cancel: func(error) {}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close(nil)
		time.Sleep(sendAgain + time.Millisecond)
		if n.Publishers() != 0 {
			t.Errorf("%d publishers", n.Publishers())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Those that stand by are publishers, too: they are counted while they are kept, and sent away at the same time, those among them that come in
// while the door is being closed.
func TestDrainSendsStandbysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := segmenter.NewRegistry(segmenter.Options{Apps: map[string]segmenter.AppOptions{"live": {}}, Now: time.Now})
		var mu sync.Mutex
		standing, gone := 2, time.Duration(0)
		began := time.Now()
		n := &node{registry: registry, Cluster: New(Options{Settings: configs.Cluster{}, Registry: registry, Next: registry, Now: time.Now,
			Standbys: func() (all, silent int) {
				mu.Lock()
				defer mu.Unlock()
				return standing, 0
			},
			Dismiss: func() {
				mu.Lock()
				defer mu.Unlock()
				standing, gone = 0, time.Since(began)
			},
		})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- n.Run(ctx) }()
		n.Drain(10 * time.Second)
		time.Sleep(9 * time.Second)
		if n.Publishers() != 2 {
			t.Errorf("%d publishers are kept", n.Publishers())
		}
		time.Sleep(2*time.Second + sendAgain/2) // not in the moment in which they are sent away again
		mu.Lock()
		if gone < 10*time.Second {
			t.Errorf("sent away after %v", gone)
		}
		standing = 1
		mu.Unlock()
		time.Sleep(sendAgain)
		if n.Publishers() != 0 {
			t.Errorf("%d publishers are left", n.Publishers())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
