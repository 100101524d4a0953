package http1

import (
	"io"
	"strings"
	"testing"
)

// Large heads share a bounded amount of memory: the connection that has held an incomplete one longest is closed.
func TestLargeHeadsAreBounded(t *testing.T) {
	ports(t, Options{MaxHeads: 2 * mediumHead}, func(t *testing.T, r *rig, port string) {
		large := "GET /a HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2000)
		one, two := r.dial(port), r.dial(port)
		for i, c := range []io.Writer{one, two} {
			_, _ = io.WriteString(c, large)
			await(t, "half a head", func() bool { return r.s.heads.bytes() == int64(i+1)*mediumHead })
		}
		three := r.dial(port)
		_, _ = io.WriteString(three, large+"\r\n\r\n")
		if got := replies(three, "GET"); len(got) != 1 || got[0].status != 200 {
			t.Errorf("a new one got %v", got)
		}
		if !gone(t, one) || !stays(t, two) {
			t.Error("not the oldest went")
		}
		_, _ = io.WriteString(two, "\r\n\r\n")
		if got := replies(two, "GET"); len(got) != 1 || got[0].status != 200 {
			t.Errorf("the other one got %v", got)
		}
		await(t, "the memory to come back", func() bool {
			r.s.heads.mu.Lock()
			defer r.s.heads.mu.Unlock()
			return r.s.heads.lent == 0 && r.s.heads.first == nil
		})
	})
}

// If all of it is in use by requests that are being answered, there is none, and no connection is closed.
func TestLargeHeadsThatAreAnsweredStay(t *testing.T) {
	ports(t, Options{MaxHeads: mediumHead}, func(t *testing.T, r *rig, port string) {
		large := "GET /hold HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2000) + "\r\n\r\n"
		one := r.dial(port)
		_, _ = io.WriteString(one, large)
		await(t, "a held request", func() bool { return r.s.Stats().Held.Load() == 1 })
		two := r.dial(port)
		_, _ = io.WriteString(two, large)
		if got := replies(two, "GET"); len(got) != 1 || got[0].status != 503 || !got[0].close {
			t.Errorf("another got %v", got)
		}
		close(r.echo.hold)
		if got := replies(one, "GET"); len(got) != 1 || got[0].status != 200 {
			t.Errorf("the first got %v", got)
		}
	})
}

// The memory grows with the head, and both sizes are reused.
func TestHeadsAreLentTwice(t *testing.T) {
	h := heads{medium: 4096, large: 32768, max: 1 << 20}
	a, _, err := h.lend(nil, 1024)
	if err != nil || len(a.b) != 4096 {
		t.Fatal(err)
	}
	b, _, err := h.lend(nil, 4096)
	if err != nil || len(b.b) != 32768 {
		t.Fatal(err)
	}
	if _, _, err := h.lend(nil, 32768); err != errHeadTooLarge {
		t.Error(err)
	}
	h.back(a)
	h.back(b)
	if c, _, _ := h.lend(nil, 2048); c != a {
		t.Error("not the same memory")
	}
	if n := testing.AllocsPerRun(100, func() {
		b, _, _ := h.lend(nil, 5000)
		h.whole(b)
		h.half(b)
		h.back(b)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if n := h.bytes(); n != 4096+32768 {
		t.Errorf("%d bytes", n)
	}
}
