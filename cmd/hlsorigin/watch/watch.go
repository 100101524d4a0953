// Package watch notices that files are not what they were, by looking at them now and then: that works on every file system, and
// on files that are mounted. It refuses to read them.
package watch

import (
	"maps"
	"os"
)

// Watch notices that files are not what they were. It looks at them by name, so that it sees what a link points to now:
// Kubernetes exchanges the link to a directory when a ConfigMap or a Secret changes. It belongs to one goroutine at a time.
type Watch struct {
	config []string // names that are always looked at: the configuration file
	stat   func(string) (os.FileInfo, error)

	read map[string]os.FileInfo // as they were when they were read last
	last map[string]os.FileInfo // as they were at the last look
}

// New makes a Watch that takes files for read as they are now. An empty name is no file.
func New(config string, stat func(string) (os.FileInfo, error)) *Watch {
	w := &Watch{stat: stat, read: map[string]os.FileInfo{}}
	if config != "" {
		w.config = []string{config}
	}
	w.Look(w.config)
	return w
}

// Config is the name of the configuration file, where there is one.
func (w *Watch) Config() []string { return w.config }

// Look takes files for read as they are now.
func (w *Watch) Look(files []string) {
	w.last = w.now(files)
	maps.Copy(w.read, w.last) // one that is away is what it was
}

// Changed reports whether a file is not what it was when it was read, and has stayed as it is since the last call. It is then
// taken for read. One that cannot be looked at has not changed as long as that lasts; one that was not looked at before is as it
// should be.
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
