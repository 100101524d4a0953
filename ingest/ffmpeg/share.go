package ffmpeg

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Shared is a file that processes of ours read in ranges, as often as they like: at an address of the loopback interface, whose path is a
// secret. So a file that lies in a bucket needs no copy on a disk, and its name appears nowhere.
type Shared struct {
	server  http.Server
	url     string
	done    chan struct{}
	reading atomic.Int64
	read    atomic.Int64

	mu  sync.Mutex
	err error
}

// Share begins to serve a file. Its owner calls Close.
func Share(r io.ReaderAt, size int64) (*Shared, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // it never fails
	path := "/" + hex.EncodeToString(secret[:])
	s := &Shared{url: "http://" + l.Addr().String() + path, done: make(chan struct{})}
	s.server = http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != path {
			http.NotFound(w, q)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, q, "", time.Time{}, io.NewSectionReader(&observed{s, r}, 0, size))
	})}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(l)
	}()
	return s, nil
}

// URL is where the file is. Protocols are those that a process needs for it: its -protocol_whitelist.
func (s *Shared) URL() string { return s.url }

// Protocols is what -protocol_whitelist must have for a Shared, and no more: a file that names others is not followed.
const Protocols = "http,tcp,pipe"

// Read is how many bytes were read so far, with those that were read again.
func (s *Shared) Read() int64 { return s.read.Load() }

// Err is the first error with which the file could not be read; nil: there was none.
func (s *Shared) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the serving, and waits for it to end.
func (s *Shared) Close() {
	_ = s.server.Close()
	_ = s.server.Shutdown(context.Background()) // requests that were in hand
	<-s.done
}

// observed is the file, whose reading is counted.
type observed struct {
	s *Shared
	r io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (o *observed) ReadAt(p []byte, off int64) (int, error) {
	o.s.reading.Add(1)
	n, err := o.r.ReadAt(p, off)
	o.s.reading.Add(-1)
	o.s.read.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		o.s.mu.Lock()
		if o.s.err == nil {
			o.s.err = err
		}
		o.s.mu.Unlock()
	}
	return n, err
}
