package http1

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// get sends a request on a connection; ok reports whether there was an answer.
func get(c net.Conn, path string) (reply, bool) {
	_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	got := replies(c, "GET")
	if len(got) == 0 {
		return reply{}, false
	}
	return got[0], true
}

func rank(req *Request) Rank {
	switch req.Path {
	case "/urgent":
		return Urgent
	case "/secret":
		return Trusted
	}
	return Ordinary
}

// gone reports whether the server closes a connection. It does so on its own time: see stays.
func gone(t *testing.T, c net.Conn) bool { return closes(t, c, 10*time.Second) }

// stays reports whether the server has not closed a connection, though it has had time for it.
func stays(t *testing.T, c net.Conn) bool { return !closes(t, c, 20*time.Millisecond) }

func closes(t *testing.T, c net.Conn, within time.Duration) bool {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(within))
	_, err := c.Read(make([]byte, 1))
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if err == nil {
		t.Fatal("an answer nobody asked for")
	}
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// idle sends a request and waits until the server knows that all connections are idle: the client has its answer a moment before.
func (r *rig) idle(t *testing.T, c net.Conn, path string) {
	t.Helper()
	get(c, path)
	await(t, "all to be idle", func() bool {
		r.s.table.mu.Lock()
		defer r.s.table.mu.Unlock()
		for v := r.s.table.lists[asked].first; v != nil; v = v.after {
			if v.mark.Load() < 0 || !v.left() {
				return false
			}
		}
		return true
	})
}

func ports(t *testing.T, opts Options, test func(t *testing.T, r *rig, port string)) {
	for _, port := range []string{"plain", "TLS"} {
		t.Run(port, func(t *testing.T) { test(t, newRig(t, opts), port) })
	}
}

// Among connections without a request, the oldest makes room, whatever they have begun to send.
func TestHalfOpenMakesRoom(t *testing.T) {
	const limit = 6
	ports(t, Options{MaxConnections: limit, Rank: rank}, func(t *testing.T, r *rig, port string) {
		served := r.dial(port)
		if a, ok := get(served, "/a"); !ok || a.status != 200 {
			t.Fatal(a)
		}
		var silent []net.Conn
		for i := range limit - 1 {
			c, err := net.Dial("tcp", map[string]string{"plain": r.plain, "TLS": r.secure}[port])
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if i%2 == 1 {
				_, _ = io.WriteString(c, map[string]string{"plain": "GET / HTT", "TLS": "\x16\x03\x01"}[port])
			}
			silent = append(silent, c)
			await(t, "the connection", func() bool { return r.s.Stats().Connections.Load() == int64(i+2) })
		}
		for i := range 3 {
			if a, ok := get(r.dial(port), "/new"); !ok || a.status != 200 {
				t.Fatalf("a new client got %v, %v", a, ok)
			}
			if !gone(t, silent[i]) {
				t.Errorf("connection %d is still there", i)
			}
		}
		if !stays(t, silent[4]) {
			t.Error("a younger one went")
		}
		if a, ok := get(served, "/a"); !ok || a.status != 200 {
			t.Error("one that was served went before those that ask for nothing")
		}
		if n := r.s.Stats().EvictedUnasked.Load(); n != 3 {
			t.Errorf("%d went", n)
		}
	})
}

// Then the connection that has been idle longest is closed; what it did before does not matter.
func TestIdleMakesRoom(t *testing.T) {
	const limit = 4
	ports(t, Options{MaxConnections: limit}, func(t *testing.T, r *rig, port string) {
		var conns []net.Conn
		for range limit {
			c := r.dial(port)
			r.idle(t, c, "/quick")
			conns = append(conns, c)
		}
		r.idle(t, conns[0], "/quick/again")
		if a, ok := get(r.dial(port), "/new"); !ok || a.status != 200 {
			t.Fatalf("a new client got %v", a)
		}
		if !gone(t, conns[1]) {
			t.Error("not the one that was idle longest made room")
		}
		for _, i := range []int{0, 2, 3} {
			if !stays(t, conns[i]) {
				t.Errorf("connection %d went", i)
			}
		}
		if n := r.s.Stats().EvictedIdle.Load(); n != 1 {
			t.Errorf("%d went", n)
		}
	})
}

// Idle HTTP/2 connections are closed too.
func TestIdleHTTP2MakesRoom(t *testing.T) {
	r := newRig(t, Options{MaxConnections: 2})
	for range 2 {
		if got := newHTTP2Client(t, r.secure).ask(&attempt{method: "GET", target: "/a", host: "x"}); got != 200 {
			t.Fatal(got)
		}
	}
	await(t, "them to be idle", func() bool { return r.s.Stats().InFlight.Load() == 0 })
	if a, ok := get(r.dial("plain"), "/new"); !ok || a.status != 200 {
		t.Errorf("a new client got %v", a)
	}
}

// If all are busy, a new one gets 503 unless it is urgent or trusted; a very long answer makes room.
func TestBusyMakesRoomOnlyForTheTrusted(t *testing.T) {
	const limit = 4
	ports(t, Options{MaxConnections: limit, Rank: rank}, func(t *testing.T, r *rig, port string) {
		var held []net.Conn
		for i := range limit {
			c := r.dial(port)
			_, _ = io.WriteString(c, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
			await(t, "a held request", func() bool { return r.s.Stats().Held.Load() == int64(i+1) })
			held = append(held, c)
		}
		if a, ok := get(r.dial(port), "/new"); !ok || a.status != 503 || !a.close {
			t.Errorf("a new client got %v", a)
		}
		if a, ok := get(r.dial(port), "/urgent"); !ok || a.status != 200 || !a.close {
			t.Errorf("an urgent one got %v", a)
		}
		trusted := r.dial(port)
		for range 2 {
			if a, ok := get(trusted, "/secret"); !ok || a.status != 200 || a.close {
				t.Errorf("a trusted one got %v", a)
			}
		}
		if !gone(t, held[0]) || !stays(t, held[1]) {
			t.Error("another than the oldest made room")
		}
		if n := r.s.Stats().Refused.Load(); n != 1 {
			t.Errorf("%d refused", n)
		}
	})
}

func TestVeryLongAnswersMakeRoom(t *testing.T) {
	ports(t, Options{MaxConnections: 2, Patience: time.Nanosecond}, func(t *testing.T, r *rig, port string) {
		for i := range 2 {
			_, _ = io.WriteString(r.dial(port), "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
			await(t, "a held request", func() bool { return r.s.Stats().Held.Load() == int64(i+1) })
		}
		if a, ok := get(r.dial(port), "/new"); !ok || a.status != 200 {
			t.Errorf("a new client got %v", a)
		}
		if n := r.s.Stats().EvictedSlow.Load(); n != 1 {
			t.Errorf("%d went", n)
		}
	})
}

// A known client keeps its place, and another known client gets the place of an idle one.
func TestTrustedKeepTheirPlace(t *testing.T) {
	ports(t, Options{MaxConnections: 2, Rank: rank}, func(t *testing.T, r *rig, port string) {
		one, two := r.dial(port), r.dial(port)
		r.idle(t, one, "/secret")
		r.idle(t, two, "/secret")
		if a, ok := get(r.dial(port), "/new"); !ok || a.status != 503 {
			t.Errorf("a new client got %v", a)
		}
		if !stays(t, one) || !stays(t, two) {
			t.Error("a trusted one went for one that is not")
		}
		if a, ok := get(r.dial(port), "/secret"); !ok || a.status != 200 {
			t.Errorf("a trusted new client got %v", a)
		}
		if !gone(t, one) || !stays(t, two) {
			t.Error("not the oldest made room")
		}
	})
}

// While somebody opens connections as fast as possible and sends nothing, a client gets in at any moment.
func TestFloodKeepsNobodyOut(t *testing.T) {
	ports(t, Options{MaxConnections: 64}, func(t *testing.T, r *rig, port string) {
		addr := map[string]string{"plain": r.plain, "TLS": r.secure}[port]
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			var open []net.Conn
			defer func() {
				for _, c := range open {
					c.Close()
				}
			}()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if c, err := net.Dial("tcp", addr); err == nil {
					open = append(open, c)
				}
				if len(open) > 500 {
					open[0].Close()
					open = open[1:]
				}
			}
		}()
		await(t, "the table to be full", func() bool { return r.s.Stats().EvictedUnasked.Load() > 10 })
		for i := range 20 {
			began, tries := time.Now(), 0
			for ok := false; !ok; tries++ { // a browser tries again too
				_, ok = get(r.dial(port), fmt.Sprintf("/body/%d", i))
			}
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("in after %v and %d tries", d, tries)
			}
		}
		close(stop)
		<-stopped
		if n := r.s.Stats().Connections.Load(); n > 64+maxGuests {
			t.Errorf("%d connections", n)
		}
	})
}

// A full table causes few log lines.
func TestFullTableIsOneKindOfWarning(t *testing.T) {
	kinds := map[string]int{}
	r := newRig(t, Options{MaxConnections: 1, Warn: func(kind, who, _ string, _ ...any) { kinds[kind+" "+who]++ }})
	for range 20 {
		r.dial("plain")
	}
	await(t, "them to be let in", func() bool { return r.s.Stats().EvictedUnasked.Load() == 19 })
	if len(kinds) != 1 || kinds["http-full all"] != 19 {
		t.Errorf("%v", kinds)
	}
}

// One search for connections to close serves many, and is not repeated at once after one in vain.
func TestTableSearchesSeldom(t *testing.T) {
	tab := table{max: 1000, patience: 1e9}
	var all []*visitor
	for i := range 1000 {
		v := &visitor{}
		v.mark.Store(int64(i + 1))
		tab.enter(v)
		tab.settle(v)
		all = append(all, v)
	}
	for i := range 2 * waitingAtOnce {
		victim, why, ok := tab.room(2000)
		if !ok || why != idle || victim != all[i] {
			t.Fatalf("%d: another one goes: %v %v", i, why, ok)
		}
		v := &visitor{}
		v.mark.Store(3000)
		tab.enter(v)
		tab.settle(v)
	}
	for v := tab.lists[asked].first; v != nil; v = v.after {
		v.mark.Store(-5000)
	}
	if _, _, ok := tab.room(5000 + 5e8); ok {
		t.Error("one went that was patient with")
	}
	for v := tab.lists[asked].first; v != nil; v = v.after {
		v.mark.Store(1)
	}
	if _, _, ok := tab.room(5001 + 5e8); ok {
		t.Error("all were looked at again at once")
	}
	if _, _, ok := tab.room(5000 + 5e8 + lookAgain); !ok {
		t.Error("nobody looked again")
	}
	if n := tab.lists[asked].n; n != 999 {
		t.Errorf("%d are left", n)
	}
}
