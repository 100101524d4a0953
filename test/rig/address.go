package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// FreeAddress is one that nobody listens on, for a server that is started later, or again. It lies below the ports that
// systems give to outgoing connections: of those, one that is free now may be anybody's a moment later.
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

// givenAway are the addresses that FreeAddress gave away: tests run beside one another.
var givenAway sync.Map
