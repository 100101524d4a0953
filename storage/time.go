package storage

import (
	"context"
	"time"
)

// Timekeeper is what a store may implement that has a clock of its own: the one that its objects' Modified is told by. Find
// it with As.
type Timekeeper interface {
	Time(ctx context.Context) (time.Time, error)
}
