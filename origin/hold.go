package origin

import (
	"context"
	"time"
)

// await waits for a first playlist and answers again. An error says that the wait was cut short and that nobody is there
// to be answered. The client's patience, the server's stop and MaxHeld all end it early.
func (o *Origin) await(ctx context.Context, req *request, res *response) error {
	defer o.stats.Held.Add(-1)
	if o.stats.Held.Add(1) > int64(o.opts.MaxHeld) {
		req.waited = true
		*res = response{}
		o.answer(ctx, req, res)
		return nil
	}
	o.stats.HeldTotal.Add(1)
	deadline := time.NewTimer(o.holdFor(res.hold))
	defer deadline.Stop()
	for res.hold != nil {
		select {
		case <-res.hold.Changed():
		case <-deadline.C:
			req.waited = true
		case <-o.stopping:
			req.waited = true
		case <-ctx.Done():
			return ctx.Err()
		}
		*res = response{}
		o.answer(ctx, req, res)
	}
	return nil
}
