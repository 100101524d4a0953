// Package watch detects changed files by looking at them now and then: that works on every file system, and on mounted files. It refuses to
// read them.
package watch

import (
	"maps"
	"os"
)

// Watch detects changed files. It looks at them by name, and so sees what a link currently points to: Kubernetes replaces the link to a
// directory when a ConfigMap or a Secret changes. It belongs to one goroutine at a time.
type Watch struct {
	config []string // names that are always checked: the configuration file
	stat   func(string) (os.FileInfo, error)

	read map[string]os.FileInfo // as they were when last read
	last map[string]os.FileInfo // as they were at the last look
}

// New returns a Watch that considers files read in their current state. An empty name means no file.
func New(config string, stat func(string) (os.FileInfo, error)) *Watch {
	w := &Watch{stat: stat, read: map[string]os.FileInfo{}}
	if config != "" {
		w.config = []string{config}
	}
	w.Look(w.config)
	return w
}

// Config returns the name of the configuration file, if there is one.
func (w *Watch) Config() []string { return w.config }

// Look considers files read in their current state.
func (w *Watch) Look(files []string) {
	w.last = w.now(files)
	maps.Copy(w.read, w.last) // a missing one counts as unchanged
}

// Changed reports whether a file differs from when it was read, and has not changed since the last call. It then counts as read. A file
// that cannot be examined counts as unchanged for as long; a new name counts as unchanged.
func (w *Watch) Changed(files []string) bool {
	now := w.now(files)
	changed, still := false, true
	for name, is := range now {
		was, ok := w.read[name]
		if !ok {
			w.read[name] = is
			continue
		}
		changed = changed || !sameFile(was, is)
		before, ok := w.last[name]
		still = still && ok && sameFile(before, is)
	}
	w.last = now
	if !changed || !still {
		return false
	}
	maps.Copy(w.read, now)
	return true
}

func (w *Watch) now(files []string) map[string]os.FileInfo {
	now := make(map[string]os.FileInfo, len(files))
	for _, name := range files {
		if info, err := w.stat(name); err == nil {
			now[name] = info
		}
	}
	return now
}

func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
