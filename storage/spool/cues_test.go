package spool

import "testing"

// What a row's playlist lines say comes back; a row without them is, byte for byte, what it was before there were any.
func TestRowsHaveCues(t *testing.T) {
	b := Batch{buf: []byte(magic)}
	b.begin(testID)
	rows := []Row{{Start: began, Duration: 360000, Size: 188, Cues: "#EXT-X-DATERANGE:out\n"}, {Sequence: 1, Start: began, Duration: 360000, Size: 188, Running: "#EXT-X-DATERANGE:out\n"}, {Sequence: 2, Start: began, Duration: 360000, Size: 188}}
	before := b.Len()
	for _, r := range rows {
		before = b.Len()
		b.Row(r)
	}
	plain := b.Len() - before
	s, good, err := Read(b.buf)
	if err != nil || good != b.Len() || len(s.Damage) > 0 || len(s.Rows) != 3 || s.Rows[0] != rows[0] || s.Rows[1] != rows[1] || s.Rows[2] != rows[2] {
		t.Errorf("%+v, %d of %d, %v", s, good, b.Len(), err)
	}
	// The text is behind all that a row had before: who does not know it reads the row.
	at := Batch{}
	at.Row(rows[0])
	bare := rows[0]
	bare.Cues = ""
	short := Batch{}
	short.Row(bare)
	if short.Len() != plain || string(at.buf[recordHead:short.Len()-recordTail]) != string(short.buf[recordHead:short.Len()-recordTail]) {
		t.Error("a row with cues does not begin as one without")
	}
}
