package http1

import (
	"context"
	"time"
)

// await waits for what an answer waits for, and asks the handler again. An error means that the wait was interrupted and nobody is left to
// be answered. A client that leaves, the server's stop and MaxHeld all end it early.
func (s *Server) await(ctx context.Context, req *Request, res *Response) error {
	defer s.stats.Held.Add(-1)
	if s.stats.Held.Add(1)-s.stats.parked.Load() > int64(s.opts.MaxHeld) {
		req.Waited = true
		s.again(ctx, req, res)
		return nil
	}
	s.stats.HeldTotal.Add(1)
	req.Held = true
	deadline := time.NewTimer(res.HoldFor)
	defer deadline.Stop()
	for res.Hold != nil {
		select {
		case <-res.Hold:
		case <-deadline.C:
			req.Waited = true
		case <-s.stopping:
			req.Waited = true
		case <-ctx.Done():
			return ctx.Err()
		}
		s.again(ctx, req, res)
	}
	return nil
}

// again asks the handler once more. It must not wait again although the time is up.
func (s *Server) again(ctx context.Context, req *Request, res *Response) {
	*res = Response{}
	s.opts.Handler.Answer(ctx, req, res)
	if res.Hold != nil && req.Waited {
		*res = Response{}
		s.opts.Handler.Refuse(503, res)
	}
}
