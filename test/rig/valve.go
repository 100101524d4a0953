package rig

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Valve is a connection between an encoder and the server that can be blocked: nothing passes, and nothing breaks.
type Valve struct {
	address string

	mu sync.Mutex // held while nothing may pass
}

// NewValve returns one that leads to an address, until the test ends.
func NewValve(t *testing.T, to string) *Valve {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &Valve{address: l.Addr().String()}
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			var ends sync.Once
			end := func() {
				ends.Do(func() {
					_ = in.Close()
					_ = out.Close()
				})
			}
			ended := make(chan struct{})
			wg.Go(func() { v.pass(out, in); end(); close(ended) })
			wg.Go(func() { _, _ = io.Copy(in, out); end() })
			wg.Go(func() {
				select {
				case <-done:
					end()
				case <-ended:
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		close(done)
		wg.Wait()
	})
	return v
}

func (v *Valve) pass(to, from net.Conn) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		v.mu.Lock()
		_, err = to.Write(b[:n])
		v.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Hold blocks it.
func (v *Valve) Hold() { v.mu.Lock() }

// Release lets through what was held, and what follows.
func (v *Valve) Release() { v.mu.Unlock() }

// Through lets a camera publish through a valve.
func Through(v *Valve) func(*Camera) {
	return func(c *Camera) { c.URL = "rtmp://" + v.address + c.URL[strings.Index(c.URL, "/live/"):] }
}
