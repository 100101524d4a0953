package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hlsorigin/hlsorigin/storage"
)

// note is what an object says that gives something to a job.
type note struct {
	ID    string `json:"id"`
	Order string `json:"order,omitempty"` // hash of what was asked for
}

// putNote writes a note over what was read with an ETag; "": where there was none. It fails as swap does.
func (q *Queue) putNote(ctx context.Context, key string, n note, etag string) error {
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	a := private()
	a.IfMatch, a.IfAbsent = etag, etag == ""
	_, err = q.store.Put(ctx, key, bytes.NewReader(data), a)
	return err
}

// claim writes a note where there is none, and returns the one that is there, with its ETag where it is another's.
func (q *Queue) claim(ctx context.Context, key string, n note) (there note, etag string, err error) {
	if err := q.putNote(ctx, key, n, ""); !errors.Is(err, storage.ErrExists) {
		return n, "", err
	}
	data, etag, err := q.get(ctx, key)
	if err != nil {
		return note{}, "", err
	}
	if err := json.Unmarshal(data, &there); err != nil || !idForm.MatchString(there.ID) {
		return note{}, "", fmt.Errorf("%s: %w", key, errDamaged)
	}
	return there, etag, nil
}

// reserve gives an output to a job, unless another that is not over has it, or one of which removals may come yet.
func (q *Queue) reserve(ctx context.Context, output, id string) error {
	key := outputKey(output)
	for range 3 {
		n, etag, err := q.claim(ctx, key, note{ID: id})
		switch {
		case storage.KindOf(err) == storage.Missing: // it went meanwhile
			continue
		case err != nil || n.ID == id:
			return err
		}
		j, err := q.Get(ctx, n.ID)
		switch {
		case err == nil && !j.State.Final():
			return fmt.Errorf("%w: %s", ErrOutput, n.ID)
		case err == nil && j.Late:
			return fmt.Errorf("%w: %s, and a server that went silent may still be removing what that had left there", ErrOutput, n.ID)
		case err != nil && storage.KindOf(err) != storage.Missing && !errors.Is(err, errDamaged):
			return err
		}
		// Its job is over, or never came to be. One that is being added this very moment loses its output, and is refused by Do.
		if err := q.putNote(ctx, key, note{ID: id}, etag); !outrun(err) {
			return err
		}
	}
	return fmt.Errorf("%w, which changes as often as it is asked for", ErrOutput)
}

// Holds reports whether a job has its output still.
func (q *Queue) Holds(ctx context.Context, j Job) (bool, error) {
	n, _, err := q.claim(ctx, outputKey(j.Output), note{ID: j.ID})
	return err == nil && n.ID == j.ID, err
}
