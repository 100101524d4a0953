package http1

import (
	"testing"
	"time"
)

// Who has waited before stands in the next lane by its old time, before those who came later.
func TestLaneGoesByTime(t *testing.T) {
	hold := make(chan struct{})
	r := script(t, Options{}, func(req *Request, res *Response) {
		if !req.Waited {
			res.Hold, res.HoldFor = hold, time.Minute
			if req.Path == "/soon" {
				res.HoldFor = 50 * time.Millisecond
			}
			return
		}
		res.Status = 404
		res.Add("Content-Length", "0")
	})
	late, soon := r.dial("plain"), r.dial("plain")
	ask(t, late, "/late")
	await(t, "one is held", func() bool { return r.s.stats.parked.Load() == 1 })
	ask(t, soon, "/soon")
	if got := replies(soon, "GET"); len(got) != 1 || got[0].status != 404 {
		t.Error("it waits for who came before")
	}
	if n := r.s.stats.parked.Load(); n != 1 {
		t.Errorf("%d are held", n)
	}
}
