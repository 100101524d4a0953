package segmenter

import (
	"testing"
	"time"
	"unsafe"
)

// step moves the wall clock of an instant by whole seconds, and leaves its monotonic one: so time.Now is after somebody has set
// the machine's clock.
func step(t *testing.T, at time.Time, by time.Duration) time.Time {
	t.Helper()
	stepped := at
	wall := (*uint64)(unsafe.Pointer(&stepped)) // seconds since 1885 lie in it, 30 bits up, beneath the mark of a monotonic reading
	if *wall>>63 == 0 {
		t.Fatal("the instant has no monotonic reading")
	}
	*wall += uint64(int64(by/time.Second)) << 30
	if stepped.Sub(at) != 0 || stepped.Round(0).Sub(at.Round(0)) != by {
		t.Skip("time.Time is not laid out as this test knows it")
	}
	return stepped
}

// A step forward of the clock while a stream runs is one discontinuity, by which PROGRAM-DATE-TIME is right again. One back by more
// than a segment cannot be followed, since times rise from row to row: the recording goes on as if nobody had set the clock. Nothing
// else changes.
func TestClockStepsWhileLive(t *testing.T) {
	for name, by := range map[string]time.Duration{"forward": time.Hour, "by minutes": 3 * time.Minute, "back": -time.Hour, "back by minutes": -3 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			d := newDrifting(t, AppOptions{}, "cam")
			d.now = time.Now()
			d.run(700, time.Second)
			before := d.reg.Timeline("live", "cam").Recording()
			d.now = step(t, d.now, by)
			d.run(1400, time.Second)
			if id := d.reg.Timeline("live", "cam").Recording(); id != before {
				t.Errorf("recording %s became %s", before, id)
			}
			breaks, last := 0, time.Duration(0)
			rows := d.reg.Timeline("live", "cam").Snapshot().Rows
			for i, r := range rows {
				if i > 0 && !r.Start.Round(0).After(rows[i-1].Start.Round(0)) {
					t.Errorf("row %d begins at %v, the one before at %v", i, r.Start, rows[i-1].Start)
				}
			}
			for i, r := range d.readings("cam") {
				if r.Gap {
					t.Errorf("row %d is a gap", i)
				}
				if r.Discontinuity {
					breaks++
				}
				last = r.off
			}
			want, off := 1, time.Duration(0)
			if by < 0 {
				want, off = 0, -by
			}
			if breaks != want {
				t.Errorf("%d discontinuities, want %d", breaks, want)
			}
			if (last - off).Abs() > 3*time.Second {
				t.Errorf("PROGRAM-DATE-TIME is %v off at the end", last)
			}
		})
	}
}

// Graces are as long as they are, whatever is done to the clock meanwhile: after a drop, and after a restart.
func TestClockStepsInAGrace(t *testing.T) {
	for name, by := range map[string]time.Duration{"forward": time.Hour, "backward": -time.Hour} {
		t.Run("dropped, "+name, func(t *testing.T) {
			d := newDrifting(t, AppOptions{}, "cam")
			d.now = time.Now()
			d.run(60, time.Second)
			d.drop(10 * time.Second)
			d.now = step(t, d.now, by)
			for _, c := range []struct {
				wait time.Duration
				want State
			}{{20 * time.Second, Stalled}, {2 * time.Minute, Ended}} {
				d.now = d.now.Add(c.wait)
				d.reg.Expire(d.now)
				if s := d.reg.Timeline("live", "cam").Snapshot().State; s != c.want {
					t.Errorf("%v after the drop it is %v, want %v", c.wait, s, c.want)
				}
			}
		})
		for when, ago := range map[string]time.Duration{"": 5 * time.Second, ", of which the last frame is of tomorrow": -24 * time.Hour} {
			t.Run("restarted, "+name+when, func(t *testing.T) {
				d := newDrifting(t, AppOptions{}, "cam")
				d.now = time.Now()
				last := d.now.Add(-ago).Round(0).UTC() // as a journal has it
				id := NewRecordingID(last.Add(-10 * time.Second))
				err := d.reg.Restore(Recovered{Key: Key{"live", "cam"}, Recording: id, TargetDuration: 10, Next: 1, LastFrame: last,
					Rows: []Row{{Start: last.Add(-10 * time.Second), Duration: 10 * Clock, Size: 188}}})
				if err != nil {
					t.Fatal(err)
				}
				d.now = step(t, d.now, by)
				for _, c := range []struct {
					wait time.Duration
					want State
				}{{4 * time.Minute, Stalled}, {65 * time.Second, Ended}} {
					d.now = d.now.Add(c.wait)
					d.reg.Expire(d.now)
					if s := d.reg.Timeline("live", "cam").Snapshot().State; s != c.want {
						t.Errorf("%v later it is %v, want %v", c.wait, s, c.want)
					}
				}
			})
		}
	}
}
