// Package cluster tests, on the built program, what becomes of a stream when one of several servers on a bucket dies, is cut off, or is
// stopped. It refuses to know how they agree about it.
package cluster

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// node is one of the servers.
type node struct {
	*rig.Process
	name string

	// Of those that can be cut off: see apart.
	bucket *storetest.Proxy // on its way to the bucket
	wrote  *recorder        // behind that
	door   *link            // before cluster.listen

	// Of those in network namespaces: see spread.
	host   *rig.Host
	others []*rig.Host // all there are
}

// serve starts n servers on a bucket, as its configuration names it.
func serve(t *testing.T, n int, bucket string) []*node {
	t.Helper()
	return serveAs(t, n, rig.Brisk, bucket)
}

// serveAs is serve with settings of one's own.
func serveAs(t *testing.T, n int, settings, bucket string) (all []*node) {
	t.Helper()
	for i := range n {
		name, at := string(rune('a'+i)), rig.FreeAddress(t)
		yaml := settings + bucket + fmt.Sprintf("cluster: {node: %s, address: \"http://%s\", listen: %q, secret: aclustersecretoftests, drain: 1s}\n", name, at, at)
		all = append(all, &node{Process: rig.Serve(t, t.TempDir(), yaml), name: name})
	}
	return all
}

// balancer passes connections on to the first server that takes them, as one in front of a cluster does.
type balancer struct {
	l    net.Listener
	busy sync.WaitGroup

	mu     sync.Mutex
	to     []string
	spread bool // each connection begins with the next server
	turn   int
	open   map[net.Conn]bool
}

func balance(t *testing.T) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{l: l, open: map[net.Conn]bool{}}
	b.busy.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.busy.Go(func() { b.pass(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		b.drop()
		b.busy.Wait()
	})
	return b
}

// set says which servers there are, the preferred first.
func (b *balancer) set(addresses ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to = addresses
}

// drop breaks all connections, as a balancer does whose server does not answer any more.
func (b *balancer) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.open {
		_ = c.Close()
	}
}

// keep notes a connection until done is called.
func (b *balancer) keep(c net.Conn) (done func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[c] = true
	return func() {
		_ = c.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, c)
	}
}

func (b *balancer) targets() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.spread || len(b.to) == 0 {
		return b.to
	}
	b.turn++
	at := b.turn % len(b.to)
	return slices.Concat(b.to[at:], b.to[:at])
}

func (b *balancer) pass(c net.Conn) {
	defer b.keep(c)()
	for _, address := range b.targets() {
		s, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			continue
		}
		defer b.keep(s)()
		done := make(chan struct{})
		go func() {
			_, _ = io.Copy(s, c)
			_ = s.Close()
			close(done)
		}()
		_, _ = io.Copy(c, s)
		_ = c.Close()
		<-done
		return
	}
}
