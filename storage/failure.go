package storage

import (
	"context"
	"errors"
	"io/fs"
)

// FailureKind sorts the failures of a store by what to do about them.
type FailureKind uint8

// The kinds of failure.
const (
	None            FailureKind = iota // no failure
	Missing                            // fs.ErrNotExist: the answer is final
	Exists                             // ErrExists: somebody else wrote this key
	Permanent                          // ErrPermanent: repeating does not help until somebody acts
	Throttled                          // ErrThrottled: repeat, more slowly
	Cancelled                          // the caller's context ended
	Transient                          // all others: repeat
	NumFailureKinds                    // how many there are
)

func (k FailureKind) String() string {
	return [...]string{"none", "missing", "exists", "permanent", "throttled", "cancelled", "transient"}[k]
}

// KindOf sorts an error of a Store.
func KindOf(err error) FailureKind {
	switch {
	case err == nil:
		return None
	case errors.Is(err, fs.ErrNotExist):
		return Missing
	case errors.Is(err, ErrExists):
		return Exists
	case errors.Is(err, ErrPermanent):
		return Permanent
	case errors.Is(err, ErrThrottled):
		return Throttled
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Cancelled
	}
	return Transient
}
