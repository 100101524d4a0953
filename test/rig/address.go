package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// FreeAddress returns an address on which nobody listens, for a server that is started later, or again. It is below the ports that systems
// use for outgoing connections: one of those that is free now may be anybody's a moment later.
func FreeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 10000+rand.N(20000))
		if _, taken := givenAway.LoadOrStore(address, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// givenAway are the addresses that FreeAddress has returned: tests run in parallel.
var givenAway sync.Map
