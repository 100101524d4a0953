package main

import (
	"sync/atomic"

	"github.com/hlsorigin/hlsorigin/origin/admin"
)

// readiness is what /readyz says. What is wrong with disk or bucket is shown but does not block: live works without
// them, and a load balancer that took the server out for it would make the outage total.
type readiness struct {
	up      atomic.Bool
	archive *archive
}

func (r *readiness) set(up bool) { r.up.Store(up) }

// Checks implements admin.Readiness.
func (r *readiness) Checks() []admin.Check {
	listeners := admin.Check{Name: "listeners"}
	if !r.up.Load() {
		listeners.Reason, listeners.Blocks = "the server is starting or stopping", true
	}
	return append([]admin.Check{listeners}, r.archive.checks()...)
}
