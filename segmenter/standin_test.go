package segmenter

import (
	"bytes"
	"testing"
	"time"
)

// TestStandIns reads what stands in for the numbers that a restart lost: one picture and one packet of sound each, where
// the gap is on the time line that was before it.
func TestStandIns(t *testing.T) {
	for _, kept := range []bool{true, false} {
		r := newRig(t, AppOptions{})
		r.mustPublish("cam").run(15 * time.Second)
		s := r.snapshot()
		rec := Recovered{
			Key: s.Key, Recording: s.Recording, TargetDuration: s.TargetDuration, Rows: append([]Row(nil), s.Rows...),
			Next: s.Opened + 3, Variant: s.Variant, LastFrame: s.LastFrame,
		}
		newest := s.Segments[len(s.Segments)-1]
		if kept {
			rec.Newest = bytes.Join(newest.Slices(nil), nil)
		}
		r2 := newRig(t, AppOptions{})
		r2.now = r.now.Add(10 * time.Second)
		if err := r2.reg.Restore(rec); err != nil {
			t.Fatal(err)
		}
		if n := r2.reg.Stats().MemoryBytes.Load(); kept != (n == newest.Size) {
			t.Errorf("%d bytes are in memory, of a segment of %d", n, newest.Size)
		}
		r2.mustPublish("cam").run(10 * time.Second)
		got := r2.snapshot()
		reader := &tsReader{t: t, counters: map[uint16]uint8{}, pcr: -1, dts: -1, said: map[string]int{}}
		var at int64
		if kept {
			at = reader.segment(rec.Newest).units[astVideo][0].pts
		}
		span := rec.Rows[len(rec.Rows)-1].Duration
		for n := s.Next(); n < rec.Next; n++ {
			seg := got.Segment(n)
			if seg == nil || !seg.Gap || !got.Rows[n].Gap || got.Rows[n].Size != 0 {
				t.Fatalf("%d is %+v", n, seg)
			}
			body := bytes.Join(seg.Slices(nil), nil)
			if int64(len(body)) != seg.Size {
				t.Errorf("%d bytes, the segment says %d", len(body), seg.Size)
			}
			if !kept {
				if len(body) != 376 {
					t.Errorf("%d bytes of tables", len(body))
				}
				continue
			}
			reader.pcr, reader.dts = -1, -1 // it is another place of the time line; the counters go on
			units := reader.segment(body).units
			if len(units[astVideo]) != 1 || len(units[astAudio]) == 0 || units[astVideo][0].pts != at+span {
				t.Errorf("%d has %d pictures and %d packets of sound, the picture at %d: want %d", n, len(units[astVideo]), len(units[astAudio]), units[astVideo][0].pts, at+span)
			}
			span += got.Rows[n].Duration
		}
	}
}

// TestStandInsOfAStandIn holds that a stretch of gaps which is longer than what is kept in memory has something to decode to its
// end: the segment before it is gone by then.
func TestStandInsOfAStandIn(t *testing.T) {
	r := newRig(t, AppOptions{Window: 10 * time.Second, SegmentDuration: 2 * time.Second})
	r.mustPublish("cam").run(30 * time.Second)
	k := r.reg.Timeline("live", "cam").keeper.(*recording)
	k.t.mu.Lock()
	defer k.t.mu.Unlock()
	l := &k.rows
	at := r.snapshot().Segments[len(r.snapshot().Segments)-1]
	reader := &tsReader{t: t, counters: map[uint16]uint8{}, pcr: -1, dts: -1, said: map[string]int{}}
	pts := reader.segment(bytes.Join(at.Slices(nil), nil)).units[astVideo][0].pts
	for range 60 {
		pts += l.table.rows[len(l.table.rows)-1].Duration
		l.gap(Row{Sequence: l.table.next(), Start: l.table.end(), Duration: 2 * Clock, Gap: true})
		l.changed()
		s := l.table.segments[len(l.table.segments)-1]
		reader.pcr, reader.dts = -1, -1
		units := reader.segment(bytes.Join(s.Slices(nil), nil)).units
		if len(units[astVideo]) != 1 || len(units[astAudio]) == 0 || units[astVideo][0].pts != pts {
			t.Fatalf("%d has %d pictures and %d packets of sound", s.Sequence, len(units[astVideo]), len(units[astAudio]))
		}
	}
	if n := len(l.table.segments); n > 50 {
		t.Errorf("%d segments are in memory: the one before the gaps is still there", n)
	}
}
