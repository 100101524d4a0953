package jobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hlsorigin/hlsorigin/storage"
)

// private is how everything is stored: nobody may keep it.
func private() storage.Attributes {
	return storage.Attributes{ContentType: "application/json", CacheControl: "no-store"}
}

// get reads an object whole, with its ETag.
func (q *Queue) get(ctx context.Context, key string) (data []byte, etag string, err error) {
	body, o, err := q.store.Get(ctx, key, 0, maxObject+1)
	if err != nil {
		return nil, "", err
	}
	data, err = io.ReadAll(body)
	body.Close()
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("get %s: %w", key, err)
	case o.ETag == "":
		return nil, "", fmt.Errorf("get %s: the store states no ETag, and jobs need one: %w", key, errors.ErrUnsupported)
	case o.Size > maxObject:
		return nil, o.ETag, errDamaged
	}
	return data, o.ETag, nil
}

// read reads a job that is open.
func (q *Queue) read(ctx context.Context, id string) (j Job, etag string, err error) {
	data, etag, err := q.get(ctx, openKey(id))
	if err == nil {
		j, err = parse(id, data)
	}
	return j, etag, err
}

// swap writes a job over what was read with an ETag; "": where there was none. The error is storage.ErrChanged or storage.ErrExists where
// somebody else was first.
func (q *Queue) swap(ctx context.Context, j *Job, etag string) (string, error) {
	data, err := j.encode()
	if err != nil {
		return "", err
	}
	a := private()
	a.IfMatch, a.IfAbsent = etag, etag == ""
	return q.store.Put(ctx, openKey(j.ID), bytes.NewReader(data), a)
}

// outrun reports whether a swap failed because another was first.
func outrun(err error) bool {
	return errors.Is(err, storage.ErrChanged) || errors.Is(err, storage.ErrExists)
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

func keyKey(hash string) string      { return keysFolder + hash + suffix }
func outputKey(output string) string { return outputFolder + hashOf(output) + suffix }
func rungKey(id, name string) string {
	return rungsFolder + id + "/" + hex.EncodeToString([]byte(name)) + suffix
}

// rungs reads what earlier tries of a job have finished.
func (q *Queue) rungs(ctx context.Context, id string) (map[string][]byte, error) {
	all := map[string][]byte{}
	var keys []string
	prefix := rungsFolder + id + "/"
	err := q.store.List(ctx, prefix, func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		name, err := hex.DecodeString(strings.TrimSuffix(strings.TrimPrefix(key, prefix), suffix))
		if err != nil {
			continue
		}
		body, _, err := q.store.Get(ctx, key, 0, -1)
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(body, maxRung+1))
		body.Close()
		if err != nil {
			return nil, fmt.Errorf("get %s: %w", key, err)
		}
		all[string(name)] = data
	}
	return all, nil
}

// maxRung bounds what a job may keep of one rung, bytes.
const maxRung = 16 << 20
