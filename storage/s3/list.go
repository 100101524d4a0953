package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/hlsorigin/hlsorigin/storage"
)

// List requests page by page, a thousand keys at a time. If a store does not sort, the listing is sorted in memory.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return s.list(ctx, prefix, "", fn)
}

// Browse lets the store group deeper keys into folders.
func (s *Store) Browse(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return s.list(ctx, prefix, "/", fn)
}

// list passes on each page as it comes, as long as they come in order.
func (s *Store) list(ctx context.Context, prefix, delimiter string, fn func(storage.Object) error) error {
	last, sorted := "", true
	var rest []storage.Object // of an unsorted listing
	var stop error            // fn's own
	err := s.pages(ctx, prefix, delimiter, func(page []storage.Object, ordered bool) error {
		sorted = sorted && ordered && (len(page) == 0 || last == "" || page[0].Key > last)
		if !sorted {
			if rest = append(rest, page...); len(rest) > maxUnsorted {
				return fmt.Errorf("%s lists more than %d objects and does not sort them (%w)", s.endpoint, maxUnsorted, storage.ErrPermanent)
			}
			return nil
		}
		for i := range page {
			last = page[i].Key
			if stop = fn(page[i]); stop != nil {
				return stop
			}
		}
		return nil
	})
	if stop != nil {
		return stop
	}
	if err != nil {
		return wrap("list", "keys that begin with "+strconv.Quote(prefix), err)
	}
	slices.SortFunc(rest, byKey)
	for i := range rest {
		if i > 0 && rest[i].Key == rest[i-1].Key {
			continue // without order, nothing else detects a page that repeats a key
		}
		if err := fn(rest[i]); err != nil {
			return err
		}
	}
	return nil
}

// maxUnsorted bounds the memory for a listing that must be sorted here, at about 200 bytes for each object.
const maxUnsorted = 2_000_000

func byKey(a, b storage.Object) int { return strings.Compare(a.Key, b.Key) }

// pages iterates over the pages of a listing; ordered reports that the store had sorted this one. An inconsistent page is not the end of a
// listing: that would mean that everything after it does not exist.
func (s *Store) pages(ctx context.Context, prefix, delimiter string, fn func(page []storage.Object, ordered bool) error) error {
	in := &s3.ListObjectsV2Input{Bucket: &s.o.Bucket, Prefix: s.key(prefix), Delimiter: text(delimiter)}
	tokens := make(map[string]bool)
	for {
		page, err := call(ctx, s, func() (*s3.ListObjectsV2Output, error) { return s.client.ListObjectsV2(ctx, in) })
		if err != nil {
			if err = s.kind(ctx, err); isMissing(err) {
				err = s.permanent(err, "bucket %q cannot be listed at %s: correct storage.url or storage.endpoint%s", s.o.Bucket, s.endpoint, s.hint())
			}
			return err
		}
		objects, ordered, err := s.objects(page, prefix, delimiter)
		if err != nil {
			return s.kind(ctx, err)
		}
		if err := fn(objects, ordered); err != nil {
			return err
		}
		if !aws.ToBool(page.IsTruncated) {
			return nil
		}
		switch token := aws.ToString(page.NextContinuationToken); {
		case token == "":
			return s.kind(ctx, foreign("a listing that goes on and does not say where: the store may know version 1 of ListObjects only"))
		case tokens[token]:
			return s.kind(ctx, foreign("a listing that goes on where it has been before"))
		default:
			tokens[token] = true
			in.ContinuationToken = &token
		}
	}
}

// objects returns a page's objects and folders together, in order.
func (s *Store) objects(page *s3.ListObjectsV2Output, prefix, delimiter string) (list []storage.Object, ordered bool, err error) {
	plain := func(key *string) string {
		k := aws.ToString(key)
		if page.EncodingType == types.EncodingTypeUrl { // although nobody requested it
			if decoded, err := url.QueryUnescape(k); err == nil {
				k = decoded
			}
		}
		return k
	}
	whole := s.prefix + prefix
	for i := range page.Contents {
		c := &page.Contents[i]
		key := plain(c.Key)
		if !strings.HasPrefix(key, whole) {
			return nil, false, foreign("a listing of %q with the key %q", whole, key)
		}
		if aws.ToInt64(c.Size) < 0 {
			return nil, false, foreign("a listing of %q with %d bytes for the key %q", whole, aws.ToInt64(c.Size), key)
		}
		if delimiter != "" && key == whole && strings.HasSuffix(key, delimiter) {
			continue // the marker of consoles for an empty folder
		}
		list = append(list, storage.Object{Key: key[len(s.prefix):], Size: aws.ToInt64(c.Size), ETag: unquote(c.ETag), Modified: aws.ToTime(c.LastModified)})
	}
	ordered = slices.IsSortedFunc(list, byKey)
	n := len(list)
	for i := range page.CommonPrefixes {
		folder := plain(page.CommonPrefixes[i].Prefix)
		if name, below := strings.CutPrefix(folder, whole); below && folder != "" && folder[len(folder)-1] != '/' && !strings.Contains(name, "/") {
			folder += "/" // rclone leaves it out
		}
		if !strings.HasPrefix(folder, whole) || !strings.HasSuffix(folder, "/") {
			return nil, false, foreign("a listing of %q with the folder %q", whole, folder)
		}
		list = append(list, storage.Object{Key: folder[len(s.prefix):]})
	}
	ordered = ordered && slices.IsSortedFunc(list[n:], byKey)
	slices.SortFunc(list, byKey)
	return list, ordered, nil
}

// deleteBatch is the maximum number of keys in one DeleteObjects.
const deleteBatch = 1000

// Remove deletes in batches, or one by one if the store has no batches.
func (s *Store) Remove(ctx context.Context, keys ...string) error {
	for len(keys) > 0 {
		n := min(len(keys), deleteBatch)
		batch := keys[:n]
		keys = keys[n:]
		var err error
		if n > 1 && !s.noMultiDelete.Load() {
			err = s.removeBatch(ctx, batch)
			switch statusOf(err) {
			case http.StatusNotImplemented, http.StatusMethodNotAllowed, http.StatusBadRequest:
				s.noMultiDelete.Store(true)
				err = s.removeSingly(ctx, batch)
			}
		} else {
			err = s.removeSingly(ctx, batch)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) removeSingly(ctx context.Context, keys []string) error {
	for _, key := range keys {
		_, err := call(ctx, s, func() (*s3.DeleteObjectOutput, error) {
			return s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.o.Bucket, Key: s.key(key)})
		})
		if err = s.kind(ctx, err); err != nil && !isMissing(err) {
			return wrap("remove", key, err)
		}
	}
	return nil
}

func (s *Store) removeBatch(ctx context.Context, keys []string) error {
	ids := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		ids[i].Key = s.key(key)
	}
	out, err := call(ctx, s, func() (*s3.DeleteObjectsOutput, error) {
		return s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &s.o.Bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
		})
	})
	if err != nil {
		return wrap("remove", fmt.Sprintf("%d objects", len(keys)), s.kind(ctx, err))
	}
	var errs []error
	for _, e := range out.Errors {
		key, code := strings.TrimPrefix(aws.ToString(e.Key), s.prefix), aws.ToString(e.Code)
		if code == "NoSuchKey" || code == "NotFound" {
			continue
		}
		if errs = append(errs, wrap("remove", key, s.kind(ctx, &deleteError{code, aws.ToString(e.Message)}))); len(errs) == 10 {
			break // ten are enough to see what is wrong
		}
	}
	return errors.Join(errs...)
}

// deleteError is one key's failure within an otherwise successful batch.
type deleteError struct{ code, message string }

func (e *deleteError) Error() string { return e.code + ": " + e.message }

// HTTPStatusCode returns the status that the same failure has on its own.
func (e *deleteError) HTTPStatusCode() int {
	switch e.code {
	case "AccessDenied":
		return http.StatusForbidden
	case "SlowDown":
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
