package scale_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/owners"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/scale"
	"github.com/hlsorigin/hlsorigin/origin/remote"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// A server that does not have a stream reads the claim as often as is computed.
func TestMeasuredClaims(t *testing.T) {
	for _, pause := range []time.Duration{4 * time.Second, 2 * time.Second, 500 * time.Millisecond, 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			read := 0
			store := storetest.NewFaulty(&storetest.Memory{Now: time.Now})
			a := claim.Server{Node: "a", Address: "http://a"}
			if _, err := claim.Begin(t.Context(), store, claim.Key("live", "cam"), claim.Claim{}, "", a); err != nil {
				t.Fatal(err)
			}
			store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpGet}, Hook: func(_ context.Context, _ storetest.Op, key string) {
				if strings.HasSuffix(key, "cam.json") {
					read++
				}
			}})
			r := remote.New(remote.Options{Owners: &owners.Owners{Store: store, Node: func() string { return "b" }, Address: "http://b"}, Now: time.Now})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- r.Run(ctx) }()
			const asked = 600
			for range asked {
				for rep := r.Whose("live", "cam"); rep.Verdict == remote.Pending; rep = r.Whose("live", "cam") {
					<-rep.Wait
				}
				time.Sleep(pause)
			}
			lasted := asked * pause
			want := scale.Claims(1/pause.Seconds()) * lasted.Seconds()
			if got := float64(read); got < 0.9*want || got > 1.01*want+1 {
				t.Errorf("asked every %v: %v claims were read, %v are computed", pause, got, want)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
