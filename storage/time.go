package storage

import (
	"context"
	"time"
)

// Timekeeper is an optional interface of a store with its own clock: the one behind Modified of its objects. Find it with As.
type Timekeeper interface {
	Time(ctx context.Context) (time.Time, error)
}
