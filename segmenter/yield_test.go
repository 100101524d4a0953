package segmenter

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// A recording that goes on elsewhere ends here without an end in its playlists, lists nothing more, and is no stream's newest any more; what is
// published then is another. Its memory is given back.
func TestYield(t *testing.T) {
	for _, low := range []bool{false, true} {
		o := AppOptions{SegmentDuration: 2 * time.Second, Window: 20 * time.Second, LowLatency: low}
		r := newRig(t, o)
		e := r.mustPublish("cam")
		e.run(11 * time.Second)
		line := r.reg.Timeline("live", "cam")
		before := line.Snapshot()
		why := errors.New("another server has it")
		if id := r.reg.Yield(line.Key(), why); id != line.Recording() {
			t.Errorf("%q is let go of", id)
		}
		after := line.Snapshot()
		if after.State != Ended || !after.Yielded || after.Next() != before.Next() || !bytes.Equal(after.Live.Body, before.Live.Body) || bytes.Contains(after.Live.Body, []byte(m3u8.EndList)) {
			t.Errorf("%v, %v, up to %d of %d:\n%s", after.State, after.Yielded, after.Next(), before.Next(), after.Live.Body)
		}
		if r.reg.Timeline("live", "cam") != nil || r.reg.Recording("live", "cam", line.Recording()) != nil {
			t.Error("viewers are still answered from it")
		}
		if err := e.s.WriteFrame(&ingest.Frame{Track: e.video, Arrival: r.now}); !errors.Is(err, why) {
			t.Errorf("its publisher is told %v", err)
		}
		if id := r.reg.Yield(line.Key(), why); id != "" {
			t.Errorf("%q is let go of again", id)
		}
		next := r.mustPublish("cam")
		next.run(11 * time.Second)
		if now := r.reg.Timeline("live", "cam"); now == nil || now.Recording() <= line.Recording() || now.Snapshot().State != Live {
			t.Errorf("%+v", now)
		}
		held := r.reg.Stats().MemoryBytes.Load()
		r.now = r.now.Add(restoredTTL)
		next.run(time.Second)
		r.reg.Expire(r.now)
		if got := r.reg.Stats().MemoryBytes.Load(); got >= held {
			t.Errorf("%d bytes in memory, %d before", got, held)
		}
		if n := r.reg.Stats().Recordings.Load(); n != 1 {
			t.Errorf("%d recordings", n)
		}
	}
}

// Nobody waits to be shown what goes on elsewhere; until then, where the playlist will begin that shows more is known before.
func TestNobodyWaitsForWhatIsYielded(t *testing.T) {
	r := newRig(t, AppOptions{SegmentDuration: 2 * time.Second, Window: 20 * time.Second})
	r.reg.SetConfirmed(true)
	e := r.mustPublish("cam")
	e.run(61 * time.Second)
	line := r.reg.Timeline("live", "cam")
	for _, next := range []uint64{1, 5, 12, 13, 20} {
		begins := line.Begins(next)
		line.Confirm(next)
		if s := line.Snapshot(); s.Base+uint64(s.First) != begins || s.Next() != next {
			t.Errorf("up to %d of %d it begins with %d, was to begin with %d", s.Next(), next, s.First, begins)
		}
	}
	if n := r.reg.Unconfirmed(); n < 8 {
		t.Fatalf("%d are not shown", n)
	}
	r.reg.Yield(line.Key(), errors.New("another server has it"))
	if n := r.reg.Unconfirmed(); n != 0 {
		t.Errorf("viewers wait for %d segments that go on elsewhere", n)
	}
}

// A timestamped playlist that begins with the next segment is there with that.
func TestSplitBeginsWithTheNextSegment(t *testing.T) {
	r := newRig(t, AppOptions{SegmentDuration: 2 * time.Second, Window: 20 * time.Second, RestartGrace: time.Minute})
	rec := Recovered{Key: Key{"live", "cam"}, Recording: NewRecordingID(start), TargetDuration: 2, Next: 3, SplitFirst: 3, SplitName: NewRecordingID(start.Add(time.Hour)), LastFrame: start,
		Variant: variant.Variant{VideoCodec: "h264", AudioCodec: "aac"}}
	for i := range uint64(3) {
		rec.Rows = append(rec.Rows, Row{Sequence: i, Start: start.Add(time.Duration(i) * 2 * time.Second), Duration: 2 * Clock, Independent: true})
	}
	r.now = start.Add(7 * time.Second)
	rec.LastFrame = r.now
	if err := r.reg.Restore(rec); err != nil {
		t.Fatal(err)
	}
	if s := r.snapshot(); s.ArchiveName != rec.SplitName || s.Archive() != nil {
		t.Errorf("%s: %v", s.ArchiveName, s.Archive())
	}
	r.mustPublish("cam").run(11 * time.Second)
	m, err := m3u8.ParseMedia(r.snapshot().Archive().Body)
	if err != nil || m.MediaSequence != 3 || !m.Segments[0].Discontinuity || r.snapshot().Recording != rec.Recording {
		t.Errorf("%+v, %v", m, err)
	}
}
