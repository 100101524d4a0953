package listen

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// proxyRig is a Proxied on a real socket, which trusts 127.0.0.1 and not 127.0.0.2.
func proxyRig(t *testing.T, o ProxyOptions) (p *Proxied, dial func(from string) net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	p = NewProxied(l, o)
	t.Cleanup(func() { p.Close() })
	return p, func(from string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Skipf("no connection from %s here: %v", from, err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func TestProxiedHasTheClientsAddress(t *testing.T) {
	p, dial := proxyRig(t, ProxyOptions{})
	for header, want := range map[string]string{
		"PROXY TCP4 203.0.113.9 10.0.0.1 12345 1935\r\n": "203.0.113.9:12345",
		v2(0x21, 0x21, body6):                            "[2001:db8::7]:12345",
		"PROXY UNKNOWN\r\n":                              "[::]:0",
		v2(0x20, 0, ""):                                  "[::]:0",
	} {
		c := dial("127.0.0.1")
		fmt.Fprint(c, header, "hello")
		got, err := p.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if a := got.RemoteAddr().String(); a != want {
			t.Errorf("%q: address %s, want %s", header, a, want)
		}
		if _, ok := got.RemoteAddr().(*net.TCPAddr); !ok {
			t.Errorf("%q: the address is a %T", header, got.RemoteAddr())
		}
		if prefix := prefixOf(got.RemoteAddr()); want == "[::]:0" && prefix.IsValid() {
			t.Errorf("%q: counted as %v", header, prefix)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(got, b); err != nil || string(b) != "hello" {
			t.Errorf("%q: then comes %q, %v", header, b, err)
		}
		got.Close()
	}
}

// TestUntrustedHeaderIsNoHeader checks that a peer that is no proxy keeps its own address, and that its header is left to the protocol.
func TestUntrustedHeaderIsNoHeader(t *testing.T) {
	p, dial := proxyRig(t, ProxyOptions{})
	c := dial("127.0.0.2")
	const header = "PROXY TCP4 127.0.0.1 10.0.0.1 12345 1935\r\n"
	fmt.Fprint(c, header)
	got, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	b := make([]byte, len(header))
	if _, err := io.ReadFull(got, b); err != nil || string(b) != header {
		t.Errorf("comes %q, %v", b, err)
	}
	if a, _ := addrOf(got.RemoteAddr()); a != netip.MustParseAddr("127.0.0.2") {
		t.Errorf("address %v", a)
	}
}

// TestHeaderIsNotWaitedForInAccept lets a proxy's connections stay silent: others get through, and the silent ones are closed.
func TestHeaderIsNotWaitedForInAccept(t *testing.T) {
	var warned atomic.Int64
	p, dial := proxyRig(t, ProxyOptions{MaxWait: 3, Timeout: 200 * time.Millisecond, Warn: func(string, string, string, ...any) { warned.Add(1) }})
	var silent []net.Conn
	for range 5 {
		silent = append(silent, dial("127.0.0.1"))
	}
	dial("127.0.0.2")
	got, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if a, _ := addrOf(got.RemoteAddr()); a != netip.MustParseAddr("127.0.0.2") {
		t.Errorf("the first that is let in is %v", a)
	}
	for i, c := range silent {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Errorf("silent connection %d goes on", i)
		}
	}
	if n := p.Bad.Load(); n != 5 || warned.Load() != 5 {
		t.Errorf("%d are counted, %d warned of", n, warned.Load())
	}
}

func TestCloseEndsThoseThatWait(t *testing.T) {
	p, dial := proxyRig(t, ProxyOptions{Timeout: time.Hour})
	accepted := make(chan error, 1)
	go func() {
		_, err := p.Accept()
		accepted <- err
	}()
	c := dial("127.0.0.1")
	p.Close()
	if err := <-accepted; err == nil {
		t.Error("Accept gave a connection")
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
}

// TestProxiedUnderListener checks that the caps count clients, not their proxy.
func TestProxiedUnderListener(t *testing.T) {
	p, dial := proxyRig(t, ProxyOptions{})
	l := New(p, Options{MaxPerAddress: 1})
	defer l.Close()
	for i, want := range []bool{true, false} {
		c := dial("127.0.0.1")
		fmt.Fprint(c, "PROXY TCP4 203.0.113.9 10.0.0.1 12345 1935\r\n")
		if want {
			first, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			Settle(first, true)
			continue
		}
		next := dial("127.0.0.1")
		fmt.Fprint(next, "PROXY TCP4 203.0.113.10 10.0.0.1 12345 1935\r\n")
		got, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if a, _ := addrOf(got.RemoteAddr()); a.String() != "203.0.113.10" {
			t.Errorf("connection %d is let in: %v", i, a)
		}
	}
	// The two headers are read concurrently: the one to be rejected may be read last.
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	for deadline := time.Now().Add(5 * time.Second); l.Stats.RejectedPerAddress.Load() != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d rejected", l.Stats.RejectedPerAddress.Load())
		}
	}
}
