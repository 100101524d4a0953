//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hlsorigin/hlsorigin/bench/stub"
)

// play runs one of the servers that the runner starts as separate processes, so that their cost is their own.
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
		err = bucket(ctx, l, o)
	default:
		return fmt.Errorf("there is no role %q", o.role)
	}
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// bucket serves one bucket over http, and over https if it was given an address for that.
func bucket(ctx context.Context, l net.Listener, o options) error {
	s := &http.Server{Handler: new(stub.Bucket), ReadHeaderTimeout: 10 * time.Second}
	if o.listenTLS == "" {
		return s.Serve(l)
	}
	c, pem, err := stub.Certificate(time.Now())
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.certificate, pem, 0o644); err != nil {
		return err
	}
	secure, err := tls.Listen("tcp", o.listenTLS, &tls.Config{Certificates: []tls.Certificate{c}})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = secure.Close() })
	defer stop()
	failed := make(chan error, 2)
	go func() { failed <- s.Serve(secure) }()
	go func() { failed <- s.Serve(l) }()
	err = <-failed
	_ = s.Close()
	<-failed
	return err
}
