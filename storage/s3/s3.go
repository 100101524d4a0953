// Package s3 stores objects in an S3 bucket, at Amazon or at any store that speaks its protocol. It sends each object
// whole, without a copy and without retries of its own, and sorts what the store answers into the kinds of failure that
// package storage knows. It refuses to pace, to queue, to create buckets and to upload in parts.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Store is one bucket, or what lies under a prefix in it. It is safe for concurrent use. Keys given to it and got from
// it are relative to the prefix.
type Store struct {
	client   *s3.Client
	o        Options
	prefix   string // "" or with a trailing slash
	endpoint string // for messages
	// What this store turned out not to know, remembered so that it is asked only once.
	noCondition   atomic.Bool // If-None-Match
	noMultiDelete atomic.Bool // DeleteObjects
}

var (
	_ storage.Store   = (*Store)(nil)
	_ storage.Browser = (*Store)(nil)
)

// Put sends the body in one request. With IfAbsent, an object that exists with the same content is success: the answer
// to an earlier attempt was lost.
func (s *Store) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) error {
	size, err := body.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("put %s: read body: %w", key, err)
	}
	in := &s3.PutObjectInput{
		Bucket: &s.o.Bucket, Key: s.key(key), ContentLength: &size,
		ContentType: text(a.ContentType), CacheControl: text(a.CacheControl), ContentEncoding: text(a.ContentEncoding),
		ACL: types.ObjectCannedACL(s.o.ACL), StorageClass: types.StorageClass(s.o.StorageClass),
		ServerSideEncryption: types.ServerSideEncryption(s.o.Encryption), SSEKMSKeyId: text(s.o.KMSKey),
		Tagging: text(tagging(s.o.Tags)),
	}
	if size > 0 {
		in.Body = body
	} else {
		in.Body = bytes.NewReader(nil)
	}
	if err := s.checksum(in, body, a.MD5); err != nil {
		return fmt.Errorf("put %s: read body: %w", key, err)
	}
	conditional := a.IfAbsent && !s.noCondition.Load()
	if conditional {
		in.IfNoneMatch = aws.String("*")
	} else if a.IfAbsent {
		// The store has no conditions. Looking first narrows the race between two writers and shows the usual conflict;
		// it cannot close it.
		if err := s.compare(ctx, key, body, size, a.MD5); !isMissing(err) {
			return wrap("put", key, err)
		}
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("put %s: read body: %w", key, err)
		}
	}
	_, err = s.client.PutObject(ctx, in)
	if err == nil {
		return nil
	}
	switch status := statusOf(err); {
	case conditional && status == http.StatusPreconditionFailed:
		return wrap("put", key, s.compare(ctx, key, body, size, a.MD5))
	case conditional && status == http.StatusNotImplemented:
		s.noCondition.Store(true)
		return s.Put(ctx, key, body, a)
	}
	return wrap("put", key, s.kind(ctx, err))
}

// Get asks for the range only. An offset at or past the end reads as empty.
func (s *Store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	in := &s3.GetObjectInput{Bucket: &s.o.Bucket, Key: s.key(key)}
	switch {
	case off < 0:
		return nil, storage.Object{}, fmt.Errorf("get %s: offset %d is negative", key, off)
	case n == 0:
		return s.empty(ctx, key)
	case n > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		if statusOf(err) == http.StatusRequestedRangeNotSatisfiable {
			return s.empty(ctx, key)
		}
		return nil, storage.Object{}, wrap("get", key, s.kind(ctx, err))
	}
	o := storage.Object{
		Key: key, Size: aws.ToInt64(out.ContentLength), ETag: unquote(out.ETag), Modified: aws.ToTime(out.LastModified),
		ContentType: aws.ToString(out.ContentType), CacheControl: aws.ToString(out.CacheControl),
		ContentEncoding: aws.ToString(out.ContentEncoding),
	}
	skip := int64(0)
	if in.Range != nil {
		if total, ok := rangeTotal(aws.ToString(out.ContentRange)); ok {
			o.Size = total
		} else {
			skip = off // the store ignored the range and sends everything
		}
	}
	return &reader{ctx: ctx, s: s, key: key, body: out.Body, skip: skip, n: n}, o, nil
}

func (s *Store) empty(ctx context.Context, key string) (io.ReadCloser, storage.Object, error) {
	o, err := s.Stat(ctx, key)
	if err != nil {
		return nil, o, err
	}
	return http.NoBody, o, nil
}

// Stat asks for an object's headers.
func (s *Store) Stat(ctx context.Context, key string) (storage.Object, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.o.Bucket, Key: s.key(key)})
	if err != nil {
		return storage.Object{}, wrap("stat", key, s.kind(ctx, err))
	}
	return storage.Object{
		Key: key, Size: aws.ToInt64(out.ContentLength), ETag: unquote(out.ETag), Modified: aws.ToTime(out.LastModified),
		ContentType: aws.ToString(out.ContentType), CacheControl: aws.ToString(out.CacheControl),
		ContentEncoding: aws.ToString(out.ContentEncoding),
	}, nil
}

// reader gives a body's errors their kind.
type reader struct {
	ctx  context.Context
	s    *Store
	key  string
	body io.ReadCloser
	skip int64 // bytes to drop first
	n    int64 // bytes left to give; negative: all
}

func (r *reader) Read(p []byte) (int, error) {
	if r.skip > 0 {
		_, err := io.CopyN(io.Discard, r.body, r.skip)
		r.skip = 0
		if err == io.EOF {
			return 0, io.EOF
		}
		if err != nil {
			return 0, r.wrap(err)
		}
	}
	if r.n == 0 {
		return 0, io.EOF
	}
	if r.n > 0 && int64(len(p)) > r.n {
		p = p[:r.n]
	}
	n, err := r.body.Read(p)
	if r.n > 0 {
		r.n -= int64(n)
	}
	if err != nil && err != io.EOF {
		err = r.wrap(err)
	}
	return n, err
}

func (r *reader) wrap(err error) error { return wrap("get", r.key, r.s.kind(r.ctx, err)) }

func (r *reader) Close() error { return r.body.Close() }

// rangeTotal reads the size of the whole object out of "bytes 0-9/1000".
func rangeTotal(contentRange string) (int64, bool) {
	_, total, ok := strings.Cut(contentRange, "/")
	n, err := strconv.ParseInt(total, 10, 64)
	return n, ok && err == nil
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
