package mirror

import (
	"slices"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// What another server finishes is not taken up after a crash, and nothing else is forgotten with it.
func TestLeaveUnfinished(t *testing.T) {
	for name, c := range map[string]struct {
		change func(st *spool.State)
		next   uint64
	}{
		"handed":           {func(*spool.State) {}, 6},
		"nobody has it":    {func(st *spool.State) { st.Meta.Handed = false }, 7},
		"it is whole":      {func(st *spool.State) { st.Rows[1].File = true }, 7},
		"it is stored":     {func(st *spool.State) { st.Rows[1].Confirmed = 1 }, 7},
		"it was listed":    {func(st *spool.State) { st.Rows[1].Unknown = false }, 7},
		"a bad journal":    {func(st *spool.State) { st.Damage = []spool.Damage{{}} }, 7},
		"nothing is there": {func(st *spool.State) { st.Rows, st.Next = nil, 7 }, 7},
	} {
		f := &spool.Recovered{Folder: new(spool.Folder), Parts: []uint64{6}}
		f.State = spool.State{Base: 5, Next: 7, Rows: []spool.Row{{Sequence: 5}, {Sequence: 6, Unknown: true}}, Meta: spool.Meta{Handed: true}}
		c.change(&f.State)
		leaveUnfinished(f)
		if f.State.Next != c.next || slices.Contains(f.Parts, 6) != (c.next == 7) {
			t.Errorf("%s: next %d, parts %v, %d rows", name, f.State.Next, f.Parts, len(f.State.Rows))
		}
	}
}
