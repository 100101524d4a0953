// Package storage defines what an object store is, and decorators for one: limits, retries, measurements. The users of stores are separate
// packages: storage/mirror writes what the timeline published to them, storage/readback reads it back for viewers, storage/library knows
// recordings where the store knows keys. The package refuses to know which store it talks to: S3 and directories are separate packages,
// too.
package storage

import (
	"context"
	"errors"
	"io"
	"time"
)

// Attributes are stored with an object and returned with it.
type Attributes struct {
	ContentType     string
	CacheControl    string
	ContentEncoding string // "" or "gzip"
	// IfAbsent requests that the object is created only if none exists: if one does, Put fails with ErrExists. A store that cannot
	// guarantee that overwrites it.
	IfAbsent bool
	// IfMatch requests that the object is replaced only if its ETag is this one, as Put, Stat or Get returned it; "": whatever is there. If
	// there is another, or none, Put fails with ErrChanged. If what is there has the body's own content, Put succeeds: the answer to an
	// earlier attempt was lost. At most one of IfAbsent and IfMatch is set. A store that cannot guarantee that overwrites it, or fails with
	// errors.ErrUnsupported: package fence finds out which it is.
	IfMatch string
	// CopyOf is the key of an object in the same folder that most likely has the same bytes: a store to which that is cheaper may take them
	// from there. It makes sure that they are the body's.
	CopyOf string
	// CRC32C of the whole body, big-endian, if the caller knows it; a store may send it as a checksum.
	CRC32C []byte
	// MD5 of the whole body if the caller knows it; a store may send it as a checksum and compare it with what exists.
	MD5 []byte
}

// Object describes a stored object.
type Object struct {
	Key             string
	Size            int64
	ETag            string // as the store states it, without quotes; the hex MD5 of the body for plain S3 puts; may be empty, from List above all
	Modified        time.Time
	ContentType     string // empty from List
	CacheControl    string // empty from List
	ContentEncoding string // empty from List
}

// Putter stores one object in one piece. Every attempt reads the body from its start, so retries need no special care. Nothing of a failed
// Put is visible under the key.
type Putter interface {
	// Put returns the ETag of what it stored, as Stat states it; empty where the store has none.
	Put(ctx context.Context, key string, body io.ReadSeeker, a Attributes) (etag string, err error)
}

// Getter reads objects. If a key does not exist, the error is fs.ErrNotExist.
type Getter interface {
	// Get streams n bytes from offset off; n < 0 means to the end. A range beyond the end is truncated, so an offset past it reads as
	// empty. The Object has the size of the whole object. The caller closes the body; ctx applies until then.
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Object, error)
	Stat(ctx context.Context, key string) (Object, error)
}

// Lister walks all keys that begin with prefix, in ascending order, until fn returns an error, which it returns.
type Lister interface {
	List(ctx context.Context, prefix string, fn func(Object) error) error
}

// Browser is an optional interface of a Lister, for listing one level of the key space without walking deeper ones. Use the function
// Browse, which also works without it.
type Browser interface {
	// Browse calls fn for each object whose key begins with prefix and has no slash beyond it, and for each folder in its place; for a folder
	// the Object has only a Key, which ends with a slash. What is in a folder is listed under a prefix that ends with a slash.
	Browse(ctx context.Context, prefix string, fn func(Object) error) error
}

// Remover deletes keys. Deleting one that does not exist is no error.
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

// Shared is the folder of what servers tell one another through a store, and of nothing that viewers ask for.
const Shared = ".cluster/"

// Kinds of failure; test with errors.Is. For a missing object the error is fs.ErrNotExist. Any other error is transient.
var (
	ErrPermanent = errors.New("permanent") // wrong keys, no such bucket, access denied: somebody must act
	ErrThrottled = errors.New("throttled") // the store asks to slow down
	ErrExists    = errors.New("object exists with other content")
	ErrChanged   = errors.New("object is not the one that was to be replaced")
)
