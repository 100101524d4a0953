package ingest

import "testing"

func TestLedger(t *testing.T) {
	var totals Totals
	l := NewLedger(&totals)
	for c, want := range map[Codec]*Account{H264: &l.Video, H265: &l.Video, AAC: &l.Audio, MP3: &l.Audio, 0: &l.Data} {
		if l.Of(c) != want {
			t.Errorf("%v has another's account", c)
		}
	}
	if cause, n := l.Video.Cause(); n != 0 {
		t.Errorf("%d dropped for %v before anything came", n, cause)
	}
	l.Video.Refuse(NotAFrame)
	l.Video.Received.Add(3)
	l.Video.Drop(BeforeKey)
	l.Video.Drop(BeforeKey)
	l.Audio.Drop(BeforeKey)
	l.Audio.Repair()
	l.Audio.Move()
	if cause, n := l.Video.Cause(); cause != BeforeKey || n != 3 || l.Video.Received.Load() != 4 {
		t.Errorf("%d dropped, most for %v", n, cause)
	}
	// The publisher leaves; what it lost stays counted.
	l = NewLedger(&totals)
	l.Video.Drop(BeforeKey)
	if totals.Dropped[BeforeKey].Load() != 4 || totals.Dropped[NotAFrame].Load() != 1 || totals.Repaired.Load() != 1 || totals.Moved.Load() != 1 {
		t.Errorf("totals %v", &totals)
	}
	l.Audio.SetCodec(MP3)
	if l.Audio.Codec() != MP3 || l.Video.Codec() != 0 {
		t.Error("the codec is not what was set")
	}
	// A Ledger without totals must not panic, nor a nil one.
	var zero Ledger
	zero.Audio.Refuse(Malformed)
	zero.Audio.Repair()
	zero.Audio.Move()
	var none *Ledger
	none.Of(H264).Refuse(Malformed)
	if none.Problem() != "" || zero.Problem() != "" {
		t.Error("a problem without a publisher")
	}
}
