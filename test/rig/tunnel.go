package rig

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is the address that Tunnel connects from.
const Proxy = "127.0.0.9"

// Tunnel is a proxy, at its own address, that connects from Proxy and begins each connection with a header.
func Tunnel(t *testing.T, to, header string) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(Proxy)}}
			s, err := d.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			fmt.Fprint(s, header)
			all.Go(func() { _, _ = io.Copy(s, c); _ = s.(*net.TCPConn).CloseWrite() })
			all.Go(func() { _, _ = io.Copy(c, s); _ = c.Close(); _ = s.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return l.Addr().String()
}
