package http1

import (
	"math/rand/v2"
	"slices"
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

// Those who come and those who have waited before leave a lane in the order in which their time is up, however they came, and whoever left
// meanwhile.
func TestLaneKeepsOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var l lane
		r := &run{Server: &Server{}}
		left := map[int64]int{}
		var all []*visitor
		for range rnd.IntN(40) {
			v := &visitor{}
			v.turn = turn{row: []*row{&l.fresh, &l.again}[rnd.IntN(2)], until: rnd.Int64N(30)}
			v.turn.row.insert(v)
			all = append(all, v)
			left[v.turn.until]++
			if rnd.IntN(4) == 0 {
				gone := rnd.IntN(len(all))
				left[all[gone].turn.until]--
				all[gone].leaveRow()
				all = slices.Delete(all, gone, gone+1)
			}
		}
		due := rnd.Int64N(30)
		got := r.leave(&l, func(v *visitor) bool { return v.turn.until <= due }, false)
		got = append(got, r.leave(&l, func(*visitor) bool { return true }, true)...)
		if len(got) != len(all) || l.first() != nil || l.fresh.last != nil || l.again.last != nil {
			t.Fatalf("%d of %d leave", len(got), len(all))
		}
		last := int64(0)
		for _, v := range got {
			if v.turn.until < last || v.turn.row != nil {
				t.Fatalf("%d after %d", v.turn.until, last)
			}
			last = v.turn.until
			left[last]--
		}
		for at, n := range left {
			if n != 0 {
				t.Fatalf("%d too few of %d", n, at)
			}
		}
	}
}
