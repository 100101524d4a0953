package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
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
		if free(address) {
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// free reports whether one can listen on an address. Nobody starts a program meanwhile: between its fork and its exec it would keep the
// address.
func free(address string) bool {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// Listen listens again on an address that this process has closed: for a moment, a program that is being started may keep it.
func Listen(t *testing.T, address string) net.Listener {
	t.Helper()
	var l net.Listener
	Eventually(t, 5*time.Second, "somebody listens on "+address, func() bool {
		var err error
		l, err = net.Listen("tcp", address)
		return err == nil
	})
	return l
}

// givenAway are the addresses that FreeAddress has returned: tests run in parallel.
var givenAway sync.Map
