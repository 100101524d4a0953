//go:build linux

package load

import (
	"errors"
	"strings"
	"testing"
)

// The result does not depend on how the bytes are cut.
func TestBodyInPieces(t *testing.T) {
	for _, c := range []struct {
		name string
		body body
		text string
		want int
	}{
		{"length", body{state: inBody, left: 5}, "hello", 5},
		{"empty", body{state: inBody}, "", 0},
		{"chunks", body{state: inSize}, "5\r\nhello\r\n3;x=y\r\n, w\r\n0\r\nTrailer: a\r\n\r\n", 8},
		{"no chunk", body{state: inSize}, "0\r\n\r\n", 0},
	} {
		for size := 1; size <= len(c.text)+1; size++ {
			b, took, done := c.body, 0, false
			for rest := c.text; ; {
				n, end, err := b.take([]byte(rest[:min(size, len(rest))]))
				if err != nil {
					t.Fatalf("%s by %d: %v", c.name, size, err)
				}
				took += n
				if done = end; done || rest == "" {
					break
				}
				rest = rest[min(size, len(rest)):]
			}
			if !done || took != c.want {
				t.Errorf("%s by %d: %d bytes, done %v", c.name, size, took, done)
			}
		}
	}
}

func TestBodyRefusesNonsense(t *testing.T) {
	for _, text := range []string{"x\r\n", "-1\r\n", "ffffffffff\r\n", strings.Repeat("0", maxLine+1)} {
		b := body{state: inSize}
		if _, _, err := b.take([]byte(text)); !errors.Is(err, errAnswer) {
			t.Errorf("%.10q: error %v", text, err)
		}
	}
}
