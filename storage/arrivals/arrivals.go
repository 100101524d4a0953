// Package arrivals finds new files below a prefix of a store, each once: also where several servers look, and after a restart. It looks by
// listing, and may be told by notifications to look at one key at once. A file that still grows is waited for.
//
// It refuses to decide what becomes of a file, and to judge by time whether one is new: what has not been handed on is new.
//
// Under storage.Shared + "_arrivals/" lies one empty object for each file that was handed on, for as long as the file is there.
package arrivals

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Arrival is a file that is there whole.
type Arrival struct {
	URL  string
	Size int64
	// Once is the same for the same file, as it is now, on every server, and no other's.
	Once string
}

// Options of a Watch. All but Log must be set.
type Options struct {
	Place  storage.Store // what is watched
	Prefix string        // in Place; "" or with a slash at its end
	URL    string        // of the prefix, with a slash at its end
	Own    storage.Store // where it is kept what was handed on
	// Skip reports whether a key is none of those that are watched for.
	Skip func(key string) bool
	// Found takes a file. After an error it is handed on again, later; and it may be by two servers at once: Once tells.
	Found func(ctx context.Context, a Arrival) error

	Poll time.Duration // between two looks; a file must be the same for so long
	Now  func() time.Time
	Log  *slog.Logger
}

// Watch is one watched prefix. Its methods are called by one goroutine.
type Watch struct {
	o      Options
	folder string
	files  map[string]*file // by key
	handed map[string]bool  // names of the objects that are known to be there
	loaded bool
	pruned time.Time
	absent map[string]time.Time // since when no file has the name of an object
	pages  int                  // of the last listing
	away   bool
	skips  int // files that were skipped in the last look
}

// file is a file as it was listed.
type file struct {
	version string
	since   time.Time
	done    bool
}

const (
	folder     = storage.Shared + "_arrivals/"
	perPage    = 1000
	pruneEvery = time.Hour
	// absentFor is how long a file must have been gone before it is forgotten: a disk that is not mounted for a while has no files either.
	absentFor = 24 * time.Hour
	maxPoll   = 5 * time.Minute
)

// New returns a Watch that has not looked yet.
func New(o Options) *Watch {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Watch{o: o, folder: folder + hash(o.URL) + "/", files: map[string]*file{}, handed: map[string]bool{}, absent: map[string]time.Time{}}
}

func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// Media reports whether a name is that of a film or of sound, by its ending, and not of one that is still being uploaded.
func Media(key string) bool {
	name := path.Base(key)
	ending := strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
	return !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "~") && slices.Contains(strings.Fields(
		"3g2 3gp aac asf avi dv f4v flac flv gxf m2ts m2v m4a m4v mkv mov mp3 mp4 mpe mpeg mpg mts mxf ogg ogv qt ts vob wav webm wmv y4m"), ending)
}

// Every is how long to wait until the next look: longer where there is very much to list.
func (w *Watch) Every() time.Duration {
	return min(max(w.o.Poll, w.o.Poll*time.Duration(w.pages)/4), max(maxPoll, w.o.Poll))
}

// Skipped is how many files the last look passed over, because they are none that are watched for.
func (w *Watch) Skipped() int { return w.skips }

// Look lists the prefix once, and hands on what is new and whole.
func (w *Watch) Look(ctx context.Context) error {
	err := w.look(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch {
	case err != nil && !w.away:
		w.o.Log.Warn("a watched place cannot be seen now: what comes there waits", "place", w.o.URL, "error", err)
	case err == nil && w.away:
		w.o.Log.Info("a watched place can be seen again", "place", w.o.URL)
	}
	w.away = err != nil
	return err
}

func (w *Watch) look(ctx context.Context) error {
	if !w.loaded {
		if err := w.load(ctx); err != nil {
			return err
		}
	}
	var found []storage.Object
	skips, all := 0, 0
	err := w.o.Place.List(ctx, w.o.Prefix, func(o storage.Object) error {
		all++
		if o.Size > 0 && !strings.HasSuffix(o.Key, "/") { // else an empty file, which will grow, or a folder's marker
			if w.o.Skip(o.Key) {
				skips++
			} else {
				found = append(found, o)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.pages, w.skips = all/perPage, skips
	now := w.o.Now()
	there, names := map[string]bool{}, map[string]bool{}
	var failed error
	for _, o := range found {
		there[o.Key] = true
		version := versionOf(o)
		name := w.name(o.Key, version)
		names[name] = true
		f := w.files[o.Key]
		if f == nil || f.version != version {
			f = &file{version: version, since: now}
			w.files[o.Key] = f
		}
		if f.done || now.Sub(f.since) < w.o.Poll {
			continue
		}
		if err := w.hand(ctx, o, name); err != nil {
			failed = err
			continue
		}
		f.done = true
	}
	for key := range w.files {
		if !there[key] {
			delete(w.files, key)
		}
	}
	if failed != nil {
		return failed
	}
	return w.prune(ctx, names, now)
}

// Hint looks at one URL at once, of which somebody says that it is there whole. It may be below the watched one or not.
func (w *Watch) Hint(ctx context.Context, url string) error {
	rest, ok := strings.CutPrefix(url, w.o.URL)
	key := w.o.Prefix + rest
	if !ok || w.o.Skip(key) {
		return nil
	}
	if !w.loaded {
		if err := w.load(ctx); err != nil {
			return err
		}
	}
	o, err := w.o.Place.Stat(ctx, key)
	switch {
	case storage.KindOf(err) == storage.Missing:
		return nil
	case err != nil:
		return err
	case o.Size == 0:
		return nil
	}
	o.Key = key
	version := versionOf(o)
	if err := w.hand(ctx, o, w.name(key, version)); err != nil {
		return err
	}
	w.files[key] = &file{version: version, since: w.o.Now(), done: true}
	return nil
}

// versionOf changes when a file does. A store dates an object to the second in one answer and more exactly in another.
func versionOf(o storage.Object) string {
	return fmt.Sprintf("%d %d", o.Size, o.Modified.Unix())
}

// name is what the object is called that says of a file that it was handed on.
func (w *Watch) name(key, version string) string { return hash(key, version) }

// hand hands a file on, unless that was done.
func (w *Watch) hand(ctx context.Context, o storage.Object, name string) error {
	if w.handed[name] {
		return nil
	}
	mark := w.folder + name
	switch _, err := w.o.Own.Stat(ctx, mark); storage.KindOf(err) { // another server may have been first
	case storage.None:
		w.handed[name] = true
		return nil
	case storage.Missing:
	default:
		return err
	}
	if err := w.o.Found(ctx, Arrival{URL: w.o.URL + strings.TrimPrefix(o.Key, w.o.Prefix), Size: o.Size, Once: name}); err != nil {
		return err
	}
	if _, err := w.o.Own.Put(ctx, mark, bytes.NewReader(nil), storage.Attributes{ContentType: "text/plain", CacheControl: "no-store"}); err != nil {
		return err
	}
	w.handed[name] = true
	return nil
}

// load reads what was handed on before.
func (w *Watch) load(ctx context.Context) error {
	handed := map[string]bool{}
	err := storage.Browse(ctx, w.o.Own, w.folder, func(o storage.Object) error {
		handed[path.Base(o.Key)] = true
		return nil
	})
	if err != nil {
		return err
	}
	w.handed, w.loaded = handed, true
	return nil
}

// prune forgets files that have been gone for long; names are those of the files that are there.
func (w *Watch) prune(ctx context.Context, names map[string]bool, now time.Time) error {
	if now.Sub(w.pruned) < pruneEvery {
		return nil
	}
	w.pruned = now
	if err := w.load(ctx); err != nil {
		return err
	}
	var gone []string
	for name := range w.absent {
		if names[name] || !w.handed[name] {
			delete(w.absent, name)
		}
	}
	for name := range w.handed {
		if names[name] {
			continue
		}
		since, known := w.absent[name]
		switch {
		case !known:
			w.absent[name] = now
		case now.Sub(since) >= absentFor:
			gone = append(gone, w.folder+name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if err := w.o.Own.Remove(ctx, gone...); err != nil {
		return err
	}
	for _, key := range gone {
		delete(w.handed, path.Base(key))
		delete(w.absent, path.Base(key))
	}
	return nil
}
