// Package roster says which servers share a bucket: each writes one small object when it starts, and nothing after that. It refuses to judge
// whether a server still runs, which only asking it can tell, and to remove what another wrote.
package roster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Entry is what a server says of itself.
type Entry struct {
	Node     string `json:"node"`     // its name
	Address  string `json:"address"`  // where other servers reach it
	Version  string `json:"version"`  // as it was when it started
	Instance string `json:"instance"` // drawn at each start

	Written time.Time `json:"-"` // by the store's clock; only from List
}

// folder is where the entries are. No app has such a name, and a directory as a store takes none that begins with a dot.
const folder = storage.Shared + "_nodes/"

// Key returns the key of a server's entry.
func Key(node string) string { return folder + node + ".json" }

// Scratch returns a key for a start of a server, of something that it writes and removes again.
func Scratch(node, instance string) string { return folder + node + "." + instance + ".probe" }

// Bounds on entries.
const (
	maxEntry   = 4 << 10 // bytes
	maxText    = 256     // bytes
	maxEntries = 1000
)

// ErrDamaged means that something is there, and is no entry.
var ErrDamaged = errors.New("it is no server's entry")

// parse reads an entry. What it does not know, because a later version wrote it, it ignores.
func parse(data []byte) (e Entry, err error) {
	if err := json.Unmarshal(data, &e); err != nil {
		return Entry{}, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	for _, text := range []string{e.Node, e.Address, e.Version, e.Instance} {
		if len(text) > maxText || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return Entry{}, fmt.Errorf("%w: a text in it is too long, or not plain", ErrDamaged)
		}
	}
	if e.Node == "" || e.Instance == "" {
		return Entry{}, fmt.Errorf("%w: node or instance is missing", ErrDamaged)
	}
	return e, nil
}

// Read returns the entry under a server's name with its ETag; if there is none, "". Of something that is no entry it returns the ETag and
// ErrDamaged.
func Read(ctx context.Context, store storage.Getter, node string) (e Entry, etag string, err error) {
	body, o, err := store.Get(ctx, Key(node), 0, maxEntry+1)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Entry{}, "", nil
	case err != nil:
		return Entry{}, "", fmt.Errorf("get %s: %w", Key(node), err)
	}
	data, err := io.ReadAll(body)
	body.Close()
	switch {
	case err != nil:
		return Entry{}, "", fmt.Errorf("get %s: %w", Key(node), err)
	case o.Size > maxEntry:
		return Entry{}, o.ETag, ErrDamaged
	}
	e, err = parse(data)
	return e, o.ETag, err
}

// Write puts a server's entry over what Read found there: etag is that one's. If another was written since, the error is storage.ErrChanged
// or storage.ErrExists.
func Write(ctx context.Context, store storage.Putter, e Entry, etag string) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	a := storage.Attributes{ContentType: "application/json", CacheControl: "no-store", IfMatch: etag, IfAbsent: etag == ""}
	if _, err := store.Put(ctx, Key(e.Node), bytes.NewReader(append(data, '\n')), a); err != nil {
		return fmt.Errorf("put %s: %w", Key(e.Node), err)
	}
	return nil
}

// errEnough ends a listing.
var errEnough = errors.New("enough")

// List returns the entries of all servers, in the order of their names: the first thousand. What is no entry is left out.
func List(ctx context.Context, store storage.Store) (all []Entry, err error) {
	written := map[string]time.Time{}
	var names []string
	err = storage.Browse(ctx, store, folder, func(o storage.Object) error {
		name, ok := strings.CutSuffix(path.Base(o.Key), ".json")
		if !ok {
			return nil
		}
		if len(names) == maxEntries {
			return errEnough
		}
		names, written[name] = append(names, name), o.Modified
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	for _, name := range names {
		e, etag, err := Read(ctx, store, name)
		switch {
		case errors.Is(err, ErrDamaged), err == nil && (etag == "" || e.Node != name):
			continue
		case err != nil:
			return nil, err
		}
		e.Written = written[name]
		all = append(all, e)
	}
	return all, nil
}
