package storage

import (
	"context"
	"errors"
	"io/fs"
)

// FailureKind classifies the failures of a store by what to do about them.
type FailureKind uint8

// The kinds of failure.
const (
	None            FailureKind = iota // no failure
	Missing                            // fs.ErrNotExist: a final answer
	Exists                             // ErrExists: somebody else wrote this key
	Changed                            // ErrChanged: somebody else has written or removed what was to be replaced
	Permanent                          // ErrPermanent: repeating does not help until somebody acts
	Throttled                          // ErrThrottled: repeat, more slowly
	Cancelled                          // the caller's context ended
	Transient                          // all others: repeat
	NumFailureKinds                    // the number of kinds
)

func (k FailureKind) String() string {
	return [...]string{"none", "missing", "exists", "changed", "permanent", "throttled", "cancelled", "transient"}[k]
}

// KindOf returns the kind of an error of a Store.
func KindOf(err error) FailureKind {
	switch {
	case err == nil:
		return None
	case errors.Is(err, fs.ErrNotExist):
		return Missing
	case errors.Is(err, ErrExists):
		return Exists
	case errors.Is(err, ErrChanged):
		return Changed
	case errors.Is(err, ErrPermanent):
		return Permanent
	case errors.Is(err, ErrThrottled):
		return Throttled
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Cancelled
	}
	return Transient
}
