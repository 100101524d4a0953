package webhook

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What Keep has returned for is on the disk, under the ID that was asked for; what is not there is an error, also where it is sent.
func TestKeepIsDurable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t, answer: down}
		log := &memoryLog{}
		g := begin(t, r, log, Options{}, to("a"))
		at := time.Now()
		if err := g.Keep(t.Context(), "evt_mine", JobFailed, at, Job{ID: "7", Reason: "why"}); err != nil {
			t.Fatal(err)
		}
		waiting, _, _ := decode(log.all())
		if len(waiting) != 1 || waiting[0].ID != "evt_mine" || waiting[0].Lane != "job/7" || !waiting[0].Time.Equal(at.UTC().Truncate(time.Millisecond)) {
			t.Errorf("%+v", waiting)
		}
		log.fail(errors.New("disk full"))
		if err := g.Keep(t.Context(), "evt_other", JobFailed, at, Job{ID: "8"}); err == nil {
			t.Error("it says that it is kept, and the disk is full")
		}
		r.set(nil)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := r.types("a"); len(got) != 2 {
			t.Errorf("sent %v", got)
		}
		g.stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Keep(ctx, "evt_late", JobFailed, at, Job{ID: "9"}); err == nil {
			t.Error("nobody writes any more")
		}
	})
}

// Where nobody wants the type, there is nothing to be kept, and it is on the feed all the same.
func TestKeepUnwanted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		some := to("a")
		some.Events = []string{"stream.*"}
		g := begin(t, &receiver{t: t}, nil, Options{}, some)
		if err := g.Keep(t.Context(), "evt_mine", JobSucceeded, time.Now(), Job{ID: "7"}); err != nil {
			t.Error(err)
		}
		for e := range g.Subscribe(t.Context(), All) {
			if e.ID != "evt_mine" {
				t.Errorf("%+v", e)
			}
			break
		}
		g.stop()
	})
}
