package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/hlsorigin/hlsorigin/storage"
)

// maxPuts is how often an object is written that changes meanwhile.
const maxPuts = 5

// put stores an object of the job's work: over what an earlier try has left there, and over nothing of a later one. It is written where there
// is none, or where there still is what was there before the job was last seen to be this server's. So what a server had on its way when it
// was frozen does not replace what another has made since.
func (r *run) put(ctx context.Context, store storage.Store, key string, body [][]byte, a storage.Attributes) error {
	if err := r.hold(ctx); err != nil {
		return err
	}
	a.IfAbsent, a.IfMatch = true, ""
	for range maxPuts {
		_, err := store.Put(ctx, key, storage.Body(body), a)
		if !outrun(err) {
			return err
		}
		there, err := store.Stat(ctx, key)
		if storage.KindOf(err) == storage.Missing { // it went meanwhile
			a.IfAbsent, a.IfMatch = true, ""
			continue
		}
		if err != nil {
			return err
		}
		if there.ETag == "" {
			return fmt.Errorf("put %s: the store states no ETag of what is there: %w", key, errors.ErrUnsupported)
		}
		// In this order: who has the job after this changes what is there, or finds it as this server leaves it.
		if err := r.sure(ctx); err != nil {
			return err
		}
		a.IfAbsent, a.IfMatch = false, there.ETag
	}
	return fmt.Errorf("put %s: it changes as often as it is written: %w", key, storage.ErrChanged)
}
