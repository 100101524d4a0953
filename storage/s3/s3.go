// Package s3 stores objects in an S3 bucket, at Amazon or in any store with the same protocol. It sends each object in one request, without
// copying and without retries of its own, and maps the store's answers to the kinds of failure of package storage. It refuses to pace, to
// queue, to create buckets and to upload in parts.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Store is one bucket, or the part of it under a prefix. It is safe for concurrent use. Keys passed to it and returned by it are relative
// to the prefix.
type Store struct {
	client   *s3.Client
	direct   *direct // nil: the client puts as well
	clock    clock
	o        Options
	prefix   string // "" or with a trailing slash
	endpoint string // for messages
	keys     *keyring

	versioned sync.Once // it was logged that the bucket is versioned

	// What this store turned out not to support, remembered so that it is tried only once.
	noCondition   atomic.Bool // If-None-Match
	noMatch       atomic.Bool // If-Match
	noMultiDelete atomic.Bool // DeleteObjects
}

var (
	_ storage.Store   = (*Store)(nil)
	_ storage.Browser = (*Store)(nil)
)

// Put sends the body in one request. With IfAbsent or IfMatch, it succeeds if the object exists with the same content: the answer to an
// earlier attempt was lost. An answer without an ETag is believed if the object is there, with its size.
func (s *Store) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (etag string, err error) {
	size, err := body.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return "", fmt.Errorf("put %s: read body: %w", key, err)
	}
	in := &s3.PutObjectInput{
		Bucket: &s.o.Bucket, Key: s.key(key), ContentLength: &size,
		ContentType: text(a.ContentType), CacheControl: text(a.CacheControl), ContentEncoding: text(a.ContentEncoding),
		ACL: types.ObjectCannedACL(s.o.ACL), StorageClass: types.StorageClass(s.o.StorageClass),
		ServerSideEncryption: types.ServerSideEncryption(s.o.Encryption), SSEKMSKeyId: text(s.o.KMSKey),
		Tagging: text(tagging(s.o.Tags)),
	}
	if err := s.checksum(in, body, a); err != nil {
		return "", fmt.Errorf("put %s: read body: %w", key, err)
	}
	switch {
	case a.IfMatch != "" && !s.noMatch.Load():
		etag, err = s.swap(ctx, in, key, body, size, a)
		return etag, wrap("put", key, err)
	case !a.IfAbsent:
		etag, err = s.send(ctx, in, key, body, size)
		return etag, wrap("put", key, err)
	case s.noCondition.Load():
		etag, err = s.putUnconditional(ctx, in, key, body, size, a.MD5)
		return etag, wrap("put", key, err)
	}
	in.IfNoneMatch = aws.String("*")
	etag, err = s.send(ctx, in, key, body, size)
	switch {
	case statusOf(err) == http.StatusPreconditionFailed:
		etag, err = s.compare(ctx, key, body, size, a.MD5)
	case mayLackConditions(err):
		in.IfNoneMatch = nil
		if e, without := s.putUnconditional(ctx, in, key, body, size, a.MD5); without == nil || errors.Is(without, storage.ErrExists) {
			s.noCondition.Store(true)
			etag, err = e, without
		}
	}
	return etag, wrap("put", key, err)
}

// swap replaces the object that has the ETag a.IfMatch. If the store refuses to be asked so, and takes the same without the condition, it is
// not asked again.
func (s *Store) swap(ctx context.Context, in *s3.PutObjectInput, key string, body io.ReadSeeker, size int64, a storage.Attributes) (etag string, err error) {
	in.IfMatch = aws.String(`"` + a.IfMatch + `"`)
	etag, err = s.send(ctx, in, key, body, size)
	switch {
	case statusOf(err) == http.StatusPreconditionFailed:
	case statusOf(err) == http.StatusNotFound && codeOf(err) == "NoSuchKey": // Amazon's answer if there is none
		return "", fmt.Errorf("%w: there is none", storage.ErrChanged)
	case mayLackConditions(err):
		in.IfMatch = nil
		if e, without := s.send(ctx, in, key, body, size); without == nil {
			s.noMatch.Store(true)
			etag, err = e, nil
		}
		return etag, err
	default:
		return etag, err
	}
	switch etag, err = s.compare(ctx, key, body, size, a.MD5); {
	case isMissing(err):
		return "", fmt.Errorf("%w: there is none", storage.ErrChanged)
	case errors.Is(err, storage.ErrExists):
		return "", fmt.Errorf("%w: %v", storage.ErrChanged, err)
	}
	return etag, err
}

// putUnconditional is for a store without conditions. Looking first narrows the race between two writers and detects the usual conflict,
// but cannot close it.
func (s *Store) putUnconditional(ctx context.Context, in *s3.PutObjectInput, key string, body io.ReadSeeker, size int64, sum []byte) (etag string, err error) {
	if etag, err := s.compare(ctx, key, body, size, sum); !isMissing(err) {
		return etag, err
	}
	return s.send(ctx, in, key, body, size)
}

// send makes the request and checks that the store has done what it says. It returns the ETag of what is stored.
func (s *Store) send(ctx context.Context, in *s3.PutObjectInput, key string, body io.ReadSeeker, size int64) (etag string, err error) {
	out, err := call(ctx, s, func() (*s3.PutObjectOutput, error) {
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("read body: %w", err)
		}
		in.Body = body
		if size == 0 {
			in.Body = bytes.NewReader(nil)
		}
		if s.direct != nil {
			return s.direct.put(ctx, in, body, size)
		}
		return s.client.PutObject(ctx, in)
	})
	if err != nil {
		return "", s.putKind(ctx, err, size)
	}
	if v := aws.ToString(out.VersionId); v != "" && v != "null" {
		s.versioned.Do(func() {
			s.o.Log.Warn("the bucket keeps every version of an object, and playlists are written every few seconds: let a lifecycle rule expire "+
				"noncurrent versions, as docs/bucket.md says; removed recordings go on costing until then", "bucket", s.o.Bucket)
		})
	}
	if etag := unquote(out.ETag); etag != "" {
		return etag, nil
	}
	if in.IfMatch != nil {
		etag, err = s.compare(ctx, key, body, size, nil) // something of another writer may have the same size
		if isMissing(err) || errors.Is(err, storage.ErrExists) {
			err = s.kind(ctx, foreign("success without an ETag, and the object is not there"))
		}
		return etag, err
	}
	o, err := s.stat(ctx, key)
	switch {
	case isMissing(err):
		return "", s.kind(ctx, foreign("success without an ETag, and the object is not there"))
	case err != nil:
		return "", err
	case o.Size != size:
		return "", s.kind(ctx, foreign("success without an ETag, and the object has %d bytes instead of %d", o.Size, size))
	}
	return o.ETag, nil
}

func (s *Store) key(key string) *string { return aws.String(s.prefix + key) }

func text(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}

func unquote(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

func wrap(act, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", act, key, err)
}

func isMissing(err error) bool { return errors.Is(err, errMissing) }
