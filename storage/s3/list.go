package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/hlsorigin/hlsorigin/storage"
)

// List asks page by page, a thousand keys at a time.
func (s *Store) List(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return s.list(ctx, prefix, "", fn)
}

// Browse lets the store fold what lies deeper.
func (s *Store) Browse(ctx context.Context, prefix string, fn func(storage.Object) error) error {
	return s.list(ctx, prefix, "/", fn)
}

func (s *Store) list(ctx context.Context, prefix, delimiter string, fn func(storage.Object) error) error {
	in := &s3.ListObjectsV2Input{Bucket: &s.o.Bucket, Prefix: s.key(prefix), Delimiter: text(delimiter)}
	for {
		page, err := s.client.ListObjectsV2(ctx, in)
		if err != nil {
			return wrap("list", prefix, s.kind(ctx, err))
		}
		// Both halves of a page are sorted; merged they are in key order.
		folders := page.CommonPrefixes
		for _, c := range page.Contents {
			key := strings.TrimPrefix(aws.ToString(c.Key), s.prefix)
			if delimiter != "" && key == prefix {
				continue // the marker that consoles create for an empty folder
			}
			if folders, err = s.folders(folders, key, fn); err != nil {
				return err
			}
			o := storage.Object{Key: key, Size: aws.ToInt64(c.Size), ETag: unquote(c.ETag), Modified: aws.ToTime(c.LastModified)}
			if err := fn(o); err != nil {
				return err
			}
		}
		if _, err := s.folders(folders, "", fn); err != nil {
			return err
		}
		if !aws.ToBool(page.IsTruncated) || aws.ToString(page.NextContinuationToken) == "" {
			return nil
		}
		in.ContinuationToken = page.NextContinuationToken
	}
}

// folders reports those that sort before key, all where key is "", and returns the rest.
func (s *Store) folders(list []types.CommonPrefix, key string, fn func(storage.Object) error) ([]types.CommonPrefix, error) {
	for len(list) > 0 {
		folder := strings.TrimPrefix(aws.ToString(list[0].Prefix), s.prefix)
		if key != "" && folder > key {
			break
		}
		if err := fn(storage.Object{Key: folder}); err != nil {
			return nil, err
		}
		list = list[1:]
	}
	return list, nil
}

// deleteBatch is the most that S3 takes in one DeleteObjects.
const deleteBatch = 1000

// Remove deletes in batches; where the store knows none, one by one.
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
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.o.Bucket, Key: s.key(key)})
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
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &s.o.Bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
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

// deleteError is one key's failure within a batch that succeeded otherwise.
type deleteError struct{ code, message string }

func (e *deleteError) Error() string { return e.code + ": " + e.message }

// HTTPStatusCode is the status that the same failure has alone.
func (e *deleteError) HTTPStatusCode() int {
	switch e.code {
	case "AccessDenied":
		return http.StatusForbidden
	case "SlowDown":
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
