package mirror_test

import (
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// During an outage it is seen which segments the bucket lacks and why, and that they are on disk; afterwards that it has them all.
func TestPlacesInAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.start()
		e := r.publish("cam", 4000)
		e.run(30 * time.Second)
		key := segmenter.Key{App: "live", Stream: "cam"}
		line := r.reg.Timeline("live", "cam")
		if line == nil {
			t.Fatal("nothing is on the air")
		}
		r.fault.set(errAway)
		e.run(20 * time.Second)
		places, earlier, known := r.mirror.Places(key, line.Recording(), 0)
		stored, spooled := 0, 0
		for i, p := range places {
			if p.Sequence != uint64(i) || p.Lost {
				t.Errorf("%+v", p)
			}
			if p.Stored {
				stored++
				if i != stored-1 {
					t.Errorf("%d is stored, and one before it is not", i)
				}
			}
			if p.Spool {
				spooled++
			}
		}
		b := r.mirror.Behind()[0]
		if !known || earlier.Segments != 0 || stored < 10 || len(places)-stored != int(b.Segments) || spooled < int(b.Segments) {
			t.Errorf("of %d segments %d are stored and %d on disk, %d wait, %+v", len(places), stored, spooled, b.Segments, earlier)
		}
		if b.Error != errAway.Error() || b.Act || b.Failing.IsZero() || b.Sent == 0 {
			t.Errorf("%+v", b)
		}
		if rest, before, _ := r.mirror.Places(key, line.Recording(), uint64(len(places)-2)); len(rest) != 2 || before.Segments != int(b.Segments)-2 || before.Bytes >= b.Bytes || before.Bytes == 0 {
			t.Errorf("from the last two on: %+v, before them %+v", rest, before)
		}
		r.fault.set(nil)
		e.run(45 * time.Second)
		e.end()
		time.Sleep(20 * time.Second)
		r.settled(time.Minute)
		if b := r.mirror.Behind()[0]; b.Error != "" || !b.Failing.IsZero() {
			t.Errorf("after the outage: %+v", b)
		}
		if places, _, known := r.mirror.Places(key, line.Recording(), 0); known && !places[len(places)-1].Stored {
			t.Errorf("%+v", places)
		}
		if _, _, known := r.mirror.Places(segmenter.Key{App: "live", Stream: "nobody"}, line.Recording(), 0); known {
			t.Error("what nobody published is known")
		}
	})
}
