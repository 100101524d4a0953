package library

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// List finds recordings: of all apps where app is "", of all streams where stream is "". They come in the order of app, stream
// and time, each as soon as it is known; a few playlists are in memory at once, however many there are. An error is the last
// that comes, with no recording.
func (l *Library) List(ctx context.Context, app, stream string) iter.Seq2[Recording, error] {
	return func(yield func(Recording, error) bool) {
		apps := []string{app}
		if app == "" {
			var err error
			if apps, err = l.Apps(ctx); err != nil {
				yield(Recording{}, err)
				return
			}
			slices.Sort(apps)
		}
		for _, app := range apps {
			refs, folders, err := l.refs(ctx, app, stream)
			if err != nil {
				yield(Recording{}, err)
				return
			}
			w := &listing{l: l, yield: yield}
			for len(refs)+len(folders) > 0 && err == nil && !w.stopped {
				var one string
				one, refs, folders = w.next(refs, folders)
				err = w.stream(ctx, app, one)
			}
			if err != nil && !w.stopped {
				yield(Recording{}, err)
			}
			if err != nil || w.stopped {
				return
			}
		}
	}
}

// listing is the recordings of one app on their way.
type listing struct {
	l       *Library
	yield   func(Recording, error) bool
	stopped bool // nobody wants more

	refs    []RecordingRef // of the stream that is looked at
	folders []folderRef
	named   map[folderRef]bool
	waiting []listed // in their order; the first is not decided
}

// listed is a recording that its playlist tells of, a folder, or both.
type listed struct {
	ref      RecordingRef
	playlist *Recording
	folder   bool
}

// next takes one stream's playlists and folders from those of all, the first by name.
func (w *listing) next(refs []RecordingRef, folders []folderRef) (stream string, _ []RecordingRef, _ []folderRef) {
	if len(folders) == 0 || len(refs) > 0 && refs[0].Stream <= folders[0].stream {
		stream = refs[0].Stream
	} else {
		stream = folders[0].stream
	}
	n, m := 0, 0
	for n < len(refs) && refs[n].Stream == stream {
		n++
	}
	for m < len(folders) && folders[m].stream == stream {
		m++
	}
	w.refs, w.folders, w.named, w.waiting = refs[:n], folders[:m], map[folderRef]bool{}, nil
	return stream, refs[n:], folders[m:]
}

// stream lists one stream. A folder is a recording of its own where no playlist names it, which is not known before all of
// them were read that may.
func (w *listing) stream(ctx context.Context, app, stream string) error {
	known := make(map[segmenter.RecordingID]bool, len(w.folders))
	for _, f := range w.folders {
		known[f.id] = true
	}
	folders := w.folders
	before := func(id segmenter.RecordingID) { // folders without a playlist of their name
		for ; len(folders) > 0 && folders[0].id < id; folders = folders[1:] {
			w.waiting = append(w.waiting, listed{ref: RecordingRef{app, stream, folders[0].id}, folder: true})
		}
		if len(folders) > 0 && folders[0].id == id {
			folders = folders[1:]
		}
	}
	for batch := range slices.Chunk(w.refs, max(1, 2*w.l.o.Workers)) {
		all, err := w.l.loadAll(ctx, "list", batch)
		if err != nil {
			return err
		}
		rs := make([]Recording, len(all))
		for i, a := range all {
			rs[i] = a.describe(w.named)
		}
		if err := w.l.each(ctx, len(rs), func(ctx context.Context, i int) error { return w.l.measure(ctx, &rs[i]) }); err != nil {
			return err
		}
		for i, a := range all {
			before(a.ref.ID)
			w.waiting = append(w.waiting, listed{ref: a.ref, playlist: &rs[i], folder: known[a.ref.ID]})
		}
		if err := w.give(ctx, false); err != nil || w.stopped {
			return err
		}
	}
	before(segmenter.RecordingID("\xff"))
	return w.give(ctx, true)
}

// give hands on what is decided, or with all set everything.
func (w *listing) give(ctx context.Context, all bool) error {
	for len(w.waiting) > 0 && !w.stopped {
		e := w.waiting[0]
		f := folderRef{e.ref.App, e.ref.Stream, e.ref.ID}
		var r *Recording
		switch {
		case !e.folder || w.named[f]:
			r = e.playlist
		case !all:
			return nil
		default:
			d, err := w.l.describeFolder(ctx, f)
			if err != nil {
				return err
			}
			if r = e.playlist; d.Segments > 0 {
				if r != nil { // its playlist is there, but says nothing
					d.Playlist, d.Damage = r.Playlist, r.Damage
				}
				r = &d
			}
		}
		w.waiting = w.waiting[1:]
		if r != nil && !w.yield(*r, nil) {
			w.stopped = true
		}
	}
	return nil
}

// compare orders folders by stream and time.
func (f folderRef) compare(o folderRef) int {
	if d := strings.Compare(f.stream, o.stream); d != 0 {
		return d
	}
	return strings.Compare(string(f.id), string(o.id))
}
