// Package source finds what jobs read and where they write: objects of the server's own store and of others that the operator has named,
// files below directories that he has named, and recordings. It reads in ranges, a little ahead, and never a whole file at once.
//
// It refuses every place that was not named, whoever asks and in whatever spelling: what a server's credentials could read is not what
// everybody may read who may order a job. URLs are taken literally, character by character: nothing in them is decoded.
package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// The reasons for which a place is refused; test with errors.Is. One that does not exist is fs.ErrNotExist.
var (
	ErrForm       = errors.New("it is no place that can be read")
	ErrNotAllowed = errors.New("it is outside of what may be used")
	ErrChanged    = errors.New("it was replaced while it was read")
	ErrGrowing    = errors.New("it is not finished")
)

// RecordingScheme is before the name of a recording, as recordings ls shows it: recording:live/cam-2023-08-24_16-02-52.970.
const RecordingScheme = "recording:"

// Places are what may be read and written. They are safe for concurrent use.
type Places struct {
	Store storage.Store // the server's own, with retries
	At    string        // its URL, s3://bucket/prefix/ or file://directory/, with a slash at the end
	// Inputs and Outputs are what may be read and written besides, as s3://bucket/prefix, and file:///directory for reading.
	Inputs, Outputs []string
	// Bucket opens another bucket, with the credentials of the store and with retries.
	Bucket func(ctx context.Context, name string) (storage.Store, error)
}

// place is where a URL leads.
type place struct {
	store storage.Store // nil: it is a file
	key   string        // in the store
	root  string        // of a file
}

// below returns what a URL has beyond another, which it must be below of as folders are.
func below(url, at string) (rest string, ok bool) {
	if !strings.HasSuffix(at, "/") {
		at += "/"
	}
	return strings.CutPrefix(url, at)
}

// names is what plain wants, for people.
const names = "rename it, in UTF-8 and at most 1024 bytes, without control characters, backslashes, and folders that are empty or called . or .."

// plain reports whether a key or path leads nowhere else than it seems to.
func plain(rest string) bool {
	return rest != "" && len(rest) <= 1024 && fs.ValidPath(rest) && rest != "." && !strings.ContainsAny(rest, "\\") &&
		!strings.ContainsFunc(rest, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// find finds the place of a URL among those that are allowed besides the store itself.
func (p *Places) find(ctx context.Context, url string, also []string) (place, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || scheme != "s3" && scheme != "file" {
		return place{}, fmt.Errorf("%q is not s3://bucket/key, file:///path or %sAPP/NAME: %w", url, RecordingScheme, ErrForm)
	}
	if key, ok := below(url, p.At); ok && p.At != "" {
		if !plain(key) || strings.HasPrefix(key, storage.Shared) {
			return place{}, fmt.Errorf("%q does not name an object of the bucket: %s: %w", url, names, ErrForm)
		}
		return place{store: p.Store, key: key}, nil
	}
	i := slices.IndexFunc(also, func(at string) bool { _, ok := below(url, at); return ok })
	if i < 0 {
		return place{}, fmt.Errorf("%q lies neither in the bucket of this server nor below one of jobs.inputs and jobs.outputs: %w", url, ErrNotAllowed)
	}
	if scheme == "file" {
		name, _ := below(url, also[i])
		if !plain(name) {
			return place{}, fmt.Errorf("%q does not name a file: %s: %w", url, names, ErrForm)
		}
		return place{root: strings.TrimPrefix(also[i], "file://"), key: name}, nil
	}
	bucket, key, _ := strings.Cut(rest, "/")
	if !plain(key) {
		return place{}, fmt.Errorf("%q does not name an object: %s: %w", url, names, ErrForm)
	}
	store, err := p.Bucket(ctx, bucket)
	return place{store: store, key: key}, err
}

// Check returns an error where an input can never be read, whether it exists or not.
func (p *Places) Check(ctx context.Context, url string) error {
	if name, ok := strings.CutPrefix(url, RecordingScheme); ok {
		_, err := library.ParseRecordingRef(name)
		if err != nil {
			err = fmt.Errorf("%w: %w", err, ErrForm)
		}
		return err
	}
	_, err := p.find(ctx, url, p.Inputs)
	return err
}

// Open opens an input. The caller closes it; ctx applies until then.
func (p *Places) Open(ctx context.Context, url string) (*Input, error) {
	if name, ok := strings.CutPrefix(url, RecordingScheme); ok {
		return p.recording(ctx, name)
	}
	at, err := p.find(ctx, url, p.Inputs)
	switch {
	case err != nil:
		return nil, err
	case at.store == nil:
		return openFile(at.root, at.key)
	}
	return openObject(ctx, at.store, at.key)
}

// Output returns the store and the prefix in it, with a slash at the end, of where a job writes. The URL ends with a slash.
func (p *Places) Output(ctx context.Context, url string) (storage.Store, string, error) {
	name, ok := strings.CutSuffix(url, "/")
	if !ok {
		return nil, "", fmt.Errorf("%q does not end with a slash: %w", url, ErrForm)
	}
	at, err := p.find(ctx, name, p.Outputs)
	switch {
	case err != nil:
		return nil, "", err
	case at.store == nil:
		return nil, "", fmt.Errorf("%q is no place in a bucket: %w", url, ErrNotAllowed)
	}
	for element := range strings.SplitSeq(at.key, "/") {
		if element[0] == '.' {
			return nil, "", fmt.Errorf("%q has a folder that begins with a dot: %w", url, ErrForm)
		}
	}
	return at.store, at.key + "/", nil
}

// Base is the name of an input, for the name of an output: without folders and without the ending of a file.
func Base(url string) string {
	name := path.Base(strings.TrimPrefix(url, RecordingScheme))
	if strings.HasPrefix(url, RecordingScheme) {
		return name
	}
	if stem := strings.TrimSuffix(name, path.Ext(name)); stem != "" {
		return stem
	}
	return name
}

func openFile(dir, name string) (*Input, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("jobs.inputs: %w", err)
	}
	defer root.Close()
	f, err := regular.OpenIn(root, filepath.FromSlash(name), os.O_RDONLY)
	if errors.Is(err, regular.ErrNotFile) {
		err = fmt.Errorf("%w: %w", err, ErrForm)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Input{ReaderAt: f, size: info.Size(), name: path.Base(name), close: f.Close, version: fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())}, nil
}
