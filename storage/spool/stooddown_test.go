package spool

import "testing"

// In which targets another server has the stream outlives the process, and a rewritten journal.
func TestStoodDown(t *testing.T) {
	var b Batch
	b.buf = append(b.buf, magic...)
	b.begin(testID)
	b.StoodDown(1)
	b.StoodDown(1)
	st, good, err := Read(b.buf)
	if err != nil || good != len(b.buf) || st.StoodDown != 1<<1 || len(st.Later) > 0 {
		t.Errorf("%+v, %d of %d bytes, %v", st, good, len(b.buf), err)
	}
	b.StoodDown(8) // there is no such target
	if st, _, err = Read(b.buf); err != nil || len(st.Damage) == 0 {
		t.Errorf("%+v, %v", st, err)
	}
}
