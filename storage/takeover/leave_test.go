package takeover

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// What no playlist lists is left to who has it, from its first number on.
func TestLeave(t *testing.T) {
	for _, c := range []struct {
		from, next uint64
	}{{0, 7}, {7, 7}, {8, 8}, {9, 9}} {
		f := Found{State: spool.State{Base: 5, Next: 9}}
		for n := uint64(5); n < 9; n++ {
			f.State.Rows = append(f.State.Rows, spool.Row{Sequence: n, Unknown: n >= 7})
		}
		f.Split.First = 9
		f.Leave(c.from)
		if f.State.Next != c.next || f.Split.First != c.next || f.State.Base+uint64(len(f.State.Rows)) != c.next {
			t.Errorf("from %d: %d rows, next %d, split %d", c.from, len(f.State.Rows), f.State.Next, f.Split.First)
		}
	}
}
