package attack

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// bystander is a server that nobody attacks. How long it takes to answer says how busy the machine is, with the attackers
// themselves among others: a newcomer's two seconds are counted beyond that.
type bystander struct {
	*rig.Process

	mu    sync.Mutex
	slow  [16]time.Duration // the newest answers
	asked int
}

func watchMachine(ctx context.Context, t *testing.T, m *mob) *bystander {
	t.Helper()
	b := &bystander{Process: rig.Serve(t, t.TempDir(), "rtsp: {udp_rtp: \"\", udp_rtcp: \"\"}\n")}
	m.every(ctx, 250*time.Millisecond, 1, func() {
		began := time.Now()
		_ = healthy(b.HTTP)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.slow[b.asked%len(b.slow)] = time.Since(began)
		b.asked++
	})
	return b
}

// lag is the slowest of the newest answers.
func (b *bystander) lag() (most time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.slow {
		most = max(most, d)
	}
	return most
}
