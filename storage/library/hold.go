package library

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// hold is an object beside the streams that keeps segments for a clip: {app}/clips/{stream}/{recording}/{first}-{last}.{title}.json. Its
// name says all that removing has to know, so that a listing is enough; its content is the Clip. It is there before the clip's playlist
// and goes after it. One without a playlist, as a crash leaves it, counts for as long as somebody may still be making the clip.
type hold struct {
	folder      folderRef // of the segments; of a ladder's own clip, that of the ladder, which has none
	first, last uint64    // both included
	title       string
	object      storage.Object
}

// holdsFolder is the prefix of the holds of an app.
func holdsFolder(app string) string { return app + "/clips/" }

func (f folderRef) holds() string {
	return holdsFolder(f.app) + f.stream + "/" + string(f.id) + "/"
}

func (h *hold) key() string {
	return h.folder.holds() + fmt.Sprintf("%09d-%09d.%s.json", h.first, h.last, h.title)
}

// clip is the clip that the hold is for.
func (h *hold) clip() RecordingRef { return RecordingRef{h.folder.app, h.title, h.folder.id} }

func (h *hold) has(seq uint64) bool { return seq >= h.first && seq <= h.last }

// parseHold reads a key; it accepts exactly what key makes.
func parseHold(key string) (h hold, ok bool) {
	app, rest, ok := strings.Cut(key, "/clips/")
	dir, file := path.Split(rest)
	stream, id, two := strings.Cut(strings.TrimSuffix(dir, "/"), "/")
	span, title, dotted := strings.Cut(file, ".")
	title, suffixed := strings.CutSuffix(title, ".json")
	first, last, ranged := strings.Cut(span, "-")
	if !ok || !two || !dotted || !suffixed || !ranged {
		return h, false
	}
	h.folder, h.title = folderRef{app, stream, segmenter.RecordingID(id)}, title
	var errFirst, errLast error
	h.first, errFirst = strconv.ParseUint(first, 10, 63)
	h.last, errLast = strconv.ParseUint(last, 10, 63)
	_, isID := h.folder.id.Time()
	valid := errFirst == nil && errLast == nil && isID && segmenter.ValidName(app) && segmenter.KnownStream(stream) && segmenter.ValidStream(title)
	return h, valid && h.first <= h.last && h.key() == key
}

// holdsOf are the holds on segments of a folder.
func (l *Library) holdsOf(ctx context.Context, f folderRef) (list []hold, err error) {
	err = l.s.List(ctx, f.holds(), func(o storage.Object) error {
		if h, ok := parseHold(o.Key); ok {
			h.object = o
			list = append(list, h)
		}
		return nil
	})
	return list, err
}

// standing leaves out the holds that keep nothing any more: nobody makes their clip, and there is none.
func (l *Library) standing(ctx context.Context, all []hold) (list, stale []hold, err error) {
	for _, h := range all {
		if l.o.Now().Sub(h.object.Modified) > l.o.Alive {
			_, err := l.s.Stat(ctx, h.clip().key())
			if storage.KindOf(err) == storage.Missing {
				stale = append(stale, h)
				continue
			}
			if err != nil {
				return nil, nil, err
			}
		}
		list = append(list, h)
	}
	return list, stale, nil
}

// spared are the numbers of a folder that clips need.
type spared []hold

func (s spared) has(seq uint64) bool {
	for i := range s {
		if s[i].has(seq) {
			return true
		}
	}
	return false
}

// sparedIn are those of a folder.
func (l *Library) sparedIn(ctx context.Context, f folderRef) (spared, error) {
	all, err := l.holdsOf(ctx, f)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	list, _, err := l.standing(ctx, all)
	return list, err
}

// putHold writes a clip's hold. One that a crash left behind is replaced; one of a clip that somebody else makes now is ErrClipExists.
func (l *Library) putHold(ctx context.Context, c *Clip) (w written, err error) {
	h := c.hold()
	if w.body, err = json.MarshalIndent(c, "", "  "); err != nil {
		return w, err
	}
	a := storage.Usual(h.key())
	a.CacheControl, a.IfAbsent = "no-store", true
	_, err = l.s.Put(ctx, h.key(), bytes.NewReader(w.body), a)
	if errors.Is(err, storage.ErrExists) {
		o, err := l.s.Stat(ctx, h.key())
		switch {
		case storage.KindOf(err) == storage.Missing:
		case err != nil:
			return w, err
		case l.o.Now().Sub(o.Modified) <= l.o.Alive:
			return w, fmt.Errorf("%w: somebody else makes it now", ErrClipExists)
		}
		a.IfAbsent = false
		_, err = l.s.Put(ctx, h.key(), bytes.NewReader(w.body), a)
	}
	w.tried, w.sure = true, err == nil
	return w, err
}

// readHold reads what a hold says of its clip.
func (l *Library) readHold(ctx context.Context, h *hold) (*Clip, error) {
	body, _, err := l.readObject(ctx, h.key())
	if err != nil {
		return nil, err
	}
	c := &Clip{}
	if err := json.Unmarshal(body, c); err != nil || c.App != h.folder.app || c.Title != h.title || c.Recording != h.folder.id || c.Stream != h.folder.stream {
		return nil, fmt.Errorf("read %s: %w", h.key(), errUnreadable)
	}
	return c, nil
}
