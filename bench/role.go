//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/hlsorigin/hlsorigin/bench/stub"
)

// play runs one of the servers that the runner starts as processes of their own, so that their cost is theirs.
func play(ctx context.Context, o options) error {
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	switch o.role {
	case "sink":
		err = stub.Sink(l, 64<<10, o.pause)
	case "bucket":
		s := &http.Server{Handler: new(stub.Bucket), ReadHeaderTimeout: 10 * time.Second}
		err = s.Serve(l)
	default:
		return fmt.Errorf("there is no role %q", o.role)
	}
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
