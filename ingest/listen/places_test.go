package listen

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hall is a listener with invented peers.
type hall struct {
	*Listener
	t     *testing.T
	inner *script
	said  []string // kinds of warnings
}

func newHall(t *testing.T, o Options) *hall {
	h := &hall{t: t, inner: newScript()}
	o.Warn = func(kind, _, _ string, _ ...any) { h.said = append(h.said, kind) }
	h.Listener = New(h.inner, o)
	return h
}

// come connects a peer.
func (h *hall) come(address string) (c net.Conn, peer *from) {
	h.t.Helper()
	peer = &from{addr: address}
	h.inner.next <- peer
	c, err := h.Accept()
	if err != nil {
		h.t.Fatal(err)
	}
	return c, peer
}

// away returns which peers have been closed, by number.
func away(peers []*from) (out []int) {
	for i, p := range peers {
		if p.closed {
			out = append(out, i)
		}
	}
	return out
}

// TestNewcomers fills tables and admits more. The one that goes has waited longest, is of the address that crowds the others, and is never
// busy.
func TestNewcomers(t *testing.T) {
	crowd := func(address string, n int) []string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("%s:%d", address, i+1))
		}
		return all
	}
	for _, tc := range []struct {
		name string
		o    Options
		in   []string
		busy []int // of in
		idle []int // of busy, that are idle again afterwards
		then string
		gone string
		kind string
	}{
		{"the oldest", Options{MaxConns: 3}, []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"}, nil, nil, "192.0.2.4:1", "[0]", "newcomers"},
		{"not one at work", Options{MaxConns: 3}, []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"}, []int{0}, nil, "192.0.2.4:1", "[1]", "newcomers"},
		{"idle again", Options{MaxConns: 3}, []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"}, []int{0, 1, 2}, []int{2, 1}, "192.0.2.4:1", "[2]", "newcomers"},
		{"the crowd first", Options{MaxConns: 21}, append([]string{"192.0.2.1:1"}, crowd("192.0.2.9", 20)...), nil, nil, "192.0.2.4:1", "[1]", "newcomers"},
		{"a household is none", Options{MaxConns: 8}, append([]string{"192.0.2.1:1"}, crowd("192.0.2.9", 7)...), nil, nil, "192.0.2.4:1", "[0]", "newcomers"},
		{"loopback, too", Options{MaxConns: 3}, crowd("127.0.0.1", 3), nil, nil, "127.0.0.1:9", "[0]", "newcomers"},
		{"of its own address", Options{MaxPerAddress: 2}, []string{"192.0.2.9:1", "192.0.2.1:1", "192.0.2.1:2"}, nil, nil, "192.0.2.1:3", "[1]", "newcomers per address"},
		{"both caps", Options{MaxConns: 3, MaxPerAddress: 2}, []string{"192.0.2.9:1", "192.0.2.1:1", "192.0.2.1:2"}, nil, nil, "192.0.2.1:3", "[1]", "newcomers per address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHall(t, tc.o)
			var conns []net.Conn
			var peers []*from
			for _, a := range tc.in {
				c, peer := h.come(a)
				conns, peers = append(conns, c), append(peers, peer)
			}
			for _, i := range tc.busy {
				Settle(conns[i], true)
			}
			for _, i := range tc.idle {
				Settle(conns[i], false)
			}
			c, _ := h.come(tc.then)
			if got := fmt.Sprint(away(peers)); got != tc.gone || h.Stats.Displaced.Load() != 1 || h.Stats.RejectedTotal.Load()+h.Stats.RejectedPerAddress.Load() != 0 {
				t.Errorf("%s went, %d in all; want %s", got, h.Stats.Displaced.Load(), tc.gone)
			}
			if strings.Join(h.said, " ") != tc.kind {
				t.Errorf("said %v", h.said)
			}
			open, waiting := h.places.count()
			if want := len(tc.in) - len(tc.busy) + len(tc.idle); open != len(tc.in) || waiting != want {
				t.Errorf("%d open, %d of them wait; want %d, %d", open, waiting, len(tc.in), want)
			}
			for _, c := range append(conns, c) { // including those that have gone
				Settle(c, true)
				Settle(c, false)
				_ = c.Close()
			}
			if open, waiting := h.places.count(); open != 0 || waiting != 0 || len(h.places.crowds) != 0 || h.Stats.Open.Load() != 0 {
				t.Errorf("%d open, %d waiting, %d crowds are left", open, waiting, len(h.places.crowds))
			}
		})
	}
}

// TestOneAddressFillsNoTable checks that with ten thousand connections from one address, and no cap per address, others connect and stay.
func TestOneAddressFillsNoTable(t *testing.T) {
	h := newHall(t, Options{MaxConns: 100, MaxPerAddress: -1})
	_, other := h.come("192.0.2.1:1")
	for i := range 10_000 {
		h.come(fmt.Sprintf("203.0.113.9:%d", i+1))
	}
	if open, _ := h.places.count(); other.closed || open != 100 {
		t.Errorf("the other is gone: %v; %d open", other.closed, open)
	}
}

// TestShortOfFiles checks that when the system has no file left, the longest waiting connection gives up its own.
func TestShortOfFiles(t *testing.T) {
	h := newHall(t, Options{MinBackoff: time.Millisecond})
	c, first := h.come("192.0.2.1:1")
	Settle(c, true)
	_, second := h.come("192.0.2.2:1")
	h.inner.next <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
	h.come("192.0.2.3:1")
	if first.closed || !second.closed || h.Stats.Displaced.Load() != 1 {
		t.Errorf("at work: closed %v, waiting: closed %v", first.closed, second.closed)
	}
}

// TestSettleFindsTheConnection checks that Settle finds the connection beneath TLS, and leaves others alone.
func TestSettleFindsTheConnection(t *testing.T) {
	h := newHall(t, Options{})
	c, _ := h.come("192.0.2.1:1")
	Settle(tls.Server(c, &tls.Config{}), true)
	if _, waiting := h.places.count(); waiting != 0 {
		t.Error("it waits")
	}
	Settle(&from{}, true)
	Settle(nil, true)
}
