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

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/hlsorigin/hlsorigin/storage"
)

// maxUnsized bounds an object whose answer does not state its length: it is read completely before any of it is passed on, since its size
// must be known.
const maxUnsized = 256 << 20

// Get requests only the range. An offset at or past the end reads as empty. The body ends with io.EOF only when everything requested has
// been read.
func (s *Store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	in := &s3.GetObjectInput{Bucket: &s.o.Bucket, Key: s.key(key)}
	switch {
	case off < 0:
		return nil, storage.Object{}, fmt.Errorf("get %s: offset %d is negative", key, off)
	case n == 0:
		o, err := s.Stat(ctx, key)
		if err != nil {
			return nil, o, err
		}
		return http.NoBody, o, nil
	case n > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	body, o, err := s.get(ctx, in, key, off, n)
	return body, o, wrap("get", key, err)
}

func (s *Store) get(ctx context.Context, in *s3.GetObjectInput, key string, off, n int64) (io.ReadCloser, storage.Object, error) {
	out, err := call(ctx, s, func() (*s3.GetObjectOutput, error) { return s.client.GetObject(ctx, in) })
	if in.Range != nil && statusOf(err) == http.StatusRequestedRangeNotSatisfiable {
		o, err := s.stat(ctx, key)
		if err == nil && o.Size > off {
			err = s.kind(ctx, foreign("no range from %d, and the object has %d bytes", off, o.Size))
		}
		if err != nil {
			return nil, storage.Object{}, err
		}
		return http.NoBody, o, nil
	}
	if err != nil {
		return nil, storage.Object{}, s.kind(ctx, err)
	}
	o := storage.Object{
		Key: key, Size: aws.ToInt64(out.ContentLength), ETag: unquote(out.ETag), Modified: aws.ToTime(out.LastModified),
		ContentType: aws.ToString(out.ContentType), CacheControl: aws.ToString(out.CacheControl),
		ContentEncoding: aws.ToString(out.ContentEncoding),
	}
	r := &reader{ctx: ctx, s: s, key: key, body: out.Body}
	if part := aws.ToString(out.ContentRange); part != "" {
		first, last, size, ok := parseRange(part)
		end := size
		if n >= 0 {
			end = min(size, off+n)
		}
		// Some stores send more than was requested, and say so.
		if !ok || in.Range == nil || first > off || last < end-1 || last >= size || out.ContentLength != nil && o.Size != last-first+1 {
			out.Body.Close()
			return nil, storage.Object{}, s.kind(ctx, foreign("the range %q with %d bytes, where %s was asked for", part, o.Size, aws.ToString(in.Range)))
		}
		o.Size, r.skip, r.left = size, off-first, end-off
		return r, o, nil
	}
	if out.ContentLength == nil {
		if err := s.measure(ctx, r, &o); err != nil {
			out.Body.Close()
			return nil, storage.Object{}, err
		}
	}
	// All of it, whatever was requested.
	r.skip = min(off, o.Size)
	if r.left = o.Size - r.skip; n >= 0 {
		r.left = min(r.left, n)
	}
	return r, o, nil
}

// measure reads a body whose length the answer does not state, and puts it into the reader.
func (s *Store) measure(ctx context.Context, r *reader, o *storage.Object) error {
	data, err := io.ReadAll(io.LimitReader(r.body, maxUnsized+1))
	if err != nil {
		return s.kind(ctx, err)
	}
	if len(data) > maxUnsized {
		return s.kind(ctx, foreign("no Content-Length, and more than %d bytes", maxUnsized))
	}
	// A connection that ends early looks the same as one that ends properly.
	head, sized, err := s.head(ctx, o.Key)
	switch {
	case err != nil:
		return err
	case sized && head.ContentEncoding == o.ContentEncoding && head.Size != int64(len(data)):
		return s.kind(ctx, fmt.Errorf("%d of %d bytes: %w", len(data), head.Size, io.ErrUnexpectedEOF))
	case !sized && len(data) == 0:
		return s.kind(ctx, foreign("no Content-Length, and nothing"))
	}
	o.Size = int64(len(data))
	r.body.Close()
	r.body = io.NopCloser(bytes.NewReader(data))
	return nil
}

// Stat requests an object's headers.
func (s *Store) Stat(ctx context.Context, key string) (storage.Object, error) {
	o, err := s.stat(ctx, key)
	return o, wrap("stat", key, err)
}

func (s *Store) stat(ctx context.Context, key string) (storage.Object, error) {
	o, sized, err := s.head(ctx, key)
	if err != nil || sized {
		return o, err
	}
	// Some front ends do not state the size of what they would send in another encoding.
	body, o, err := s.get(ctx, &s3.GetObjectInput{Bucket: &s.o.Bucket, Key: s.key(key)}, key, 0, -1)
	if err != nil {
		return storage.Object{}, err
	}
	return o, body.Close()
}

// head is Stat for a store that may not state the size.
func (s *Store) head(ctx context.Context, key string) (o storage.Object, sized bool, err error) {
	out, err := call(ctx, s, func() (*s3.HeadObjectOutput, error) {
		return s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.o.Bucket, Key: s.key(key)})
	})
	if err != nil {
		return o, false, s.kind(ctx, err)
	}
	return storage.Object{
		Key: key, Size: aws.ToInt64(out.ContentLength), ETag: unquote(out.ETag), Modified: aws.ToTime(out.LastModified),
		ContentType: aws.ToString(out.ContentType), CacheControl: aws.ToString(out.CacheControl),
		ContentEncoding: aws.ToString(out.ContentEncoding),
	}, out.ContentLength != nil, nil
}

// reader returns the requested part of a body, and an error if that breaks off. It gives errors their kind.
type reader struct {
	ctx  context.Context
	s    *Store
	key  string
	body io.ReadCloser
	skip int64 // bytes to drop first
	left int64 // bytes to return then
}

func (r *reader) Read(p []byte) (int, error) {
	if r.skip > 0 {
		n, err := io.CopyN(io.Discard, r.body, r.skip)
		r.skip -= n
		if err != nil {
			return 0, r.fail(err)
		}
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.body.Read(p)
	r.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case r.left == 0:
		return n, io.EOF
	}
	return n, r.fail(err)
}

func (r *reader) fail(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return wrap("get", r.key, r.s.kind(r.ctx, err))
}

func (r *reader) Close() error { return r.body.Close() }

// parseRange reads "bytes 0-9/1000". It rejects a range of unknown total size.
func parseRange(v string) (first, last, size int64, ok bool) {
	v, ok = strings.CutPrefix(v, "bytes ")
	part, total, found := strings.Cut(v, "/")
	from, to, dash := strings.Cut(part, "-")
	if !ok || !found || !dash {
		return 0, 0, 0, false
	}
	var errs [3]error
	first, errs[0] = strconv.ParseInt(from, 10, 64)
	last, errs[1] = strconv.ParseInt(to, 10, 64)
	size, errs[2] = strconv.ParseInt(total, 10, 64)
	return first, last, size, errors.Join(errs[:]...) == nil && first >= 0 && last >= first
}
