// Package storage says what an object store is, and what can be put around one: limits, retries, measures. Who uses stores
// is in packages of its own: storage/mirror brings what the timeline published to them, storage/readback reads it back for
// viewers, storage/library knows recordings where the store knows keys. It refuses to know which store it talks to: S3 and
// directories are packages of their own, too.
package storage

import (
	"context"
	"errors"
	"io"
	"time"
)

// Attributes travel with an object and come back with it.
type Attributes struct {
	ContentType     string
	CacheControl    string
	ContentEncoding string // "" or "gzip"
	// IfAbsent asks that the object is created only where none exists: an existing one fails with ErrExists. A store
	// that cannot promise it overwrites.
	IfAbsent bool
	// CRC32C of the whole body, big-endian, where the caller knows it; a store may send it as a checksum.
	CRC32C []byte
	// MD5 of the whole body where the caller knows it; a store may send it as a checksum and compare it with what exists.
	MD5 []byte
}

// Object describes a stored object.
type Object struct {
	Key             string
	Size            int64
	ETag            string // as the store shows it, without quotes; the hex MD5 of the body for plain S3 puts; may be empty
	Modified        time.Time
	ContentType     string // empty from List
	CacheControl    string // empty from List
	ContentEncoding string // empty from List
}

// Putter stores one object whole. The body is read from its start on every attempt, so a retry needs no thought.
// Nothing of a failed Put is visible under the key.
type Putter interface {
	Put(ctx context.Context, key string, body io.ReadSeeker, a Attributes) error
}

// Getter reads. A key that does not exist is fs.ErrNotExist.
type Getter interface {
	// Get streams n bytes from offset off; n < 0 means to the end, and what lies beyond the end is cut off, so that an
	// offset past it reads as empty. The Object has the size of the whole object. The caller closes the body, and ctx
	// governs it until then.
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Object, error)
	Stat(ctx context.Context, key string) (Object, error)
}

// Lister walks all keys that begin with prefix, in ascending order, until fn returns an error, which it returns.
type Lister interface {
	List(ctx context.Context, prefix string, fn func(Object) error) error
}

// Browser is what a Lister may implement besides, to show one level of the key space without walking what lies deeper.
// Use the function Browse, which does without.
type Browser interface {
	// Browse calls fn for each object directly under prefix, which is "" or ends with a slash, and for each folder in it:
	// then the Object has nothing but a Key, and that ends with a slash.
	Browse(ctx context.Context, prefix string, fn func(Object) error) error
}

// Remover deletes keys. One that does not exist is no error.
type Remover interface {
	Remove(ctx context.Context, keys ...string) error
}

// Store is an object store: flat keys with slashes, whole objects, read-after-write.
type Store interface {
	Putter
	Getter
	Lister
	Remover
}

// Kinds of failure; test with errors.Is. A missing object is fs.ErrNotExist. What is none of these is transient.
var (
	ErrPermanent = errors.New("permanent") // wrong keys, no such bucket, access denied: somebody must act
	ErrThrottled = errors.New("throttled") // the store asks for a slower pace
	ErrExists    = errors.New("object exists with other content")
)
