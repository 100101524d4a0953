package dir

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// attributesDir holds, at the key's path beneath it, a small JSON file for each object whose attributes are not those of its extension. In
// practice these are the playlists, whose Cache-Control depends on whether they still change.
const attributesDir = ".attributes"

// attributes is the content of such a file. What says how an object's bytes are to be read applies only to the file it was written for,
// identified by size and modification time, so that an object replaced by hand, or by a crash between two writes, never has another's. A
// Cache-Control alone is its name's: a live playlist is replaced with each segment, and a file made beside it each time would cost as much as
// the playlist.
type attributes struct {
	Size            int64  `json:"size,omitempty"`     // 0, as Modified: of any
	Modified        int64  `json:"modified,omitempty"` // Unix nanoseconds
	ContentType     string `json:"content_type"`
	CacheControl    string `json:"cache_control"`
	ContentEncoding string `json:"content_encoding,omitempty"`
}

// byName returns the attributes that need no file.
func byName(key string) attributes {
	a := storage.Usual(key)
	return attributes{ContentType: a.ContentType, CacheControl: a.CacheControl, ContentEncoding: a.ContentEncoding}
}

func attributesFile(key string) string {
	return filepath.Join(attributesDir, filepath.FromSlash(key)+".json")
}

func (s *Store) readAttributes(key string, fi fs.FileInfo, o *storage.Object) {
	a := byName(key)
	if data, err := s.readSmall(attributesFile(key)); err == nil {
		var kept attributes
		if json.Unmarshal(data, &kept) == nil && kept.plain() && kept.of(key, fi) {
			a = kept
		}
	}
	o.ContentType, o.CacheControl, o.ContentEncoding = a.ContentType, a.CacheControl, a.ContentEncoding
}

// ages reports whether nothing but the Cache-Control is not as usual.
func (a *attributes) ages(usual attributes) bool {
	return a.ContentType == usual.ContentType && a.ContentEncoding == usual.ContentEncoding
}

// of reports whether the attributes are those of a key's file.
func (a *attributes) of(key string, fi fs.FileInfo) bool {
	if a.Size == 0 && a.Modified == 0 {
		return a.ages(byName(key))
	}
	return a.Size == fi.Size() && a.Modified == fi.ModTime().UnixNano()
}

// writeAttributes is called with the key's lock held. A reader in between sees those of the extension.
func (s *Store) writeAttributes(key string, fi fs.FileInfo, a storage.Attributes) error {
	kept, usual := attributes{
		ContentType: a.ContentType, CacheControl: a.CacheControl, ContentEncoding: a.ContentEncoding,
	}, byName(key)
	if kept.ContentType == "" {
		kept.ContentType = usual.ContentType
	}
	if kept == usual {
		s.removeAttributes(key)
		return nil
	}
	ages := kept.ages(usual)
	if !ages {
		kept.Size, kept.Modified = fi.Size(), fi.ModTime().UnixNano()
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	name := attributesFile(key)
	if ages {
		if was, err := s.readSmall(name); err == nil && bytes.Equal(was, data) {
			return nil
		}
	}
	err = s.replace(name, data)
	for range 16 {
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		// Others may make and prune directories between any two calls: only the last one counts.
		if err = s.root.MkdirAll(filepath.Dir(name), 0o777); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			break
		}
		err = s.replace(name, data)
	}
	if err != nil {
		return fmt.Errorf("attributes: %w", err)
	}
	return nil
}

// replace writes a small file completely, replacing whatever has its name: writing to that might block, or write elsewhere.
func (s *Store) replace(name string, data []byte) error {
	temp := filepath.Join(tempDir, rand.Text())
	if err := s.root.WriteFile(temp, data, 0o666); err != nil {
		return err
	}
	if err := s.root.Rename(temp, name); err != nil {
		_ = s.root.Remove(temp) // the first error is the one that matters
		return err
	}
	return nil
}

// maxAttributes bounds the file of an object's attributes, in bytes.
const maxAttributes = 16 << 10

func (s *Store) readSmall(name string) ([]byte, error) {
	f, err := regular.OpenIn(s.root, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	data, err := regular.ReadAll(f, maxAttributes)
	return data, errors.Join(err, f.Close())
}

// plain reports whether the attributes are fit for the header of an answer.
func (a *attributes) plain() bool {
	for _, text := range []string{a.ContentType, a.CacheControl, a.ContentEncoding} {
		if len(text) > 256 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return false
		}
	}
	return true
}

func (s *Store) removeAttributes(key string) {
	name := attributesFile(key)
	if err := s.root.Remove(name); err == nil || errors.Is(err, os.ErrNotExist) {
		if err == nil {
			s.prune(path.Dir(filepath.ToSlash(name)))
		}
	}
}
