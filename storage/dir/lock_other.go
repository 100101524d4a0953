//go:build !unix

package dir

import (
	"context"
	"errors"
	"fmt"
)

// exclude fails on systems without locks that end with their process.
func (s *Store) exclude(context.Context, string) (unlock func(), err error) {
	return nil, fmt.Errorf("lock: %w", errors.ErrUnsupported)
}
