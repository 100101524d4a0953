package s3

import (
	"net"
	"testing"
	"time"
)

// Pieces grow while they go quickly, and are small again as soon as one is slow.
func TestPace(t *testing.T) {
	at := time.Unix(0, 0)
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	p := newPace(a, 1<<20, func() time.Time { return at })
	piece := func(took time.Duration) int64 {
		p.begin()
		at = at.Add(took)
		p.end()
		return p.piece >> 10
	}
	for i, c := range []struct {
		took time.Duration
		want int64 // KiB of the next piece
	}{
		{0, 128}, // the kernel had room
		{time.Millisecond, 256},
		{quickPiece, 256},
		{quickPiece + 1, 256},
		{quickPiece, 256},
		{quickPiece, 512},
		{0, 512}, {0, 1024},
		{0, 1024}, {0, 1024}, {0, 1024}, // the most
		{slowPiece, 1024},
		{slowPiece + 1, 128},
		{slowPiece + 1, 128},
		{0, 128}, {0, 256},
	} {
		if got := piece(c.took); got != c.want {
			t.Fatalf("%d: after a piece of %v the next has %d KiB, want %d", i, c.took, got, c.want)
		}
	}
}
