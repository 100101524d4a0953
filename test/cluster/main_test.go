// Package cluster tests, on the built program, what becomes of a stream when one of several servers on a bucket dies, is cut off, or is
// stopped. It refuses to know how they agree about it.
package cluster

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// node is one of the servers.
type node struct {
	*rig.Process
	name string
}

// serve starts n servers on a bucket, as its configuration names it.
func serve(t *testing.T, n int, bucket string) (all []*node) {
	t.Helper()
	for i := range n {
		name, at := string(rune('a'+i)), rig.FreeAddress(t)
		yaml := rig.Brisk + bucket + fmt.Sprintf("cluster: {node: %s, address: \"http://%s\", listen: %q, secret: aclustersecretoftests}\n", name, at, at)
		all = append(all, &node{rig.Serve(t, t.TempDir(), yaml), name})
	}
	return all
}

// balancer passes connections on to the first server that takes them, as one in front of a cluster does.
type balancer struct {
	l    net.Listener
	busy sync.WaitGroup

	mu sync.Mutex
	to []string
}

func balance(t *testing.T) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{l: l}
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
		b.set() // what is open ends with the servers
	})
	return b
}

// set says which servers there are, the preferred first.
func (b *balancer) set(addresses ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to = addresses
}

func (b *balancer) targets() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.to
}

func (b *balancer) pass(c net.Conn) {
	defer c.Close()
	for _, address := range b.targets() {
		s, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			continue
		}
		defer s.Close()
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
