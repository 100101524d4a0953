package rtmpclient

import (
	"context"
	"errors"
	"io"
	"time"
)

// Source returns tags in the order of their times, and io.EOF at the end.
type Source interface {
	Next() (Tag, error)
}

// Publish sends src at its own pace: the first tag at once, each other at its time. At the end of src, and when ctx is done, it ends the
// stream properly. It returns nil, ctx's error, or the server's (*StatusError).
func Publish(ctx context.Context, rawURL string, src Source) error {
	c, err := Dial(ctx, rawURL)
	if err != nil {
		return err
	}
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // for a write that hangs
		_ = c.net.SetWriteDeadline(time.Now())
		close(cut)
	})
	err = c.pace(ctx, src)
	if !stop() {
		<-cut // or it would cut the last commands short
	}
	if err != nil && ctx.Err() == nil {
		c.Abort()
		return err
	}
	return errors.Join(ctx.Err(), c.Close())
}

func (c *Conn) pace(ctx context.Context, src Source) error {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var first uint32
	for begun := false; ; begun = true {
		tag, err := src.Next()
		if errors.Is(err, io.EOF) {
			return c.Flush()
		}
		if err != nil {
			return err
		}
		if !begun {
			first = tag.Timestamp
		}
		due := start.Add(time.Duration(int32(tag.Timestamp-first)) * time.Millisecond)
		if wait := time.Until(due); wait > 0 {
			if err := c.Flush(); err != nil {
				return err
			}
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := c.Write(tag); err != nil {
			return err
		}
	}
}
