//go:build !linux

package http1

import (
	"context"
	"syscall"
)

// parking is a visitor's place at a poller. On this system each connection keeps a goroutine.
type parking struct{}

type polls struct{}

type lanes struct{}

func (r *run) startPolls(context.Context) {}
func (r *run) stopPolls()                 {}
func (r *run) poll(*visitor) bool         { return false }

func (v *visitor) claim() bool { return false }
func (v *visitor) park() bool  { return false }
func (v *visitor) drop() bool  { return false }

// limitUnsent does nothing here.
func limitUnsent(syscall.Conn, int) {}
