package mirror_test

import (
	"fmt"
	"testing"
	"time"
)

// Who was given the low-latency address of a stream is sent to what is recorded now, when it has no low latency any more. Where there was no such
// address none is made.
func TestLowLatencyIsSwitchedOff(t *testing.T) {
	for _, low := range []bool{true, false} {
		t.Run(fmt.Sprint("it had it: ", low), func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.low = low
				for range 2 {
					r.start()
					e := r.publish("cam", 4000)
					e.run(20 * time.Second)
					e.end()
					time.Sleep(20 * time.Minute)
					r.settled(time.Minute)
					if err := r.stop(); err != nil {
						t.Error(err)
					}
					r.low = false
				}
				r.stop = nil
				entry, _ := r.bucket.object("live/streams/cam.m3u8")
				old, there := r.bucket.object("live/streams/cam_ll.m3u8")
				if there != low || there && string(old.body) != string(entry.body) {
					t.Errorf("there %t:\n%s\n%s", there, old.body, entry.body)
				}
			})
		})
	}
}
