package library

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// CheckClip reports why a clip can be none, whatever was recorded: its range and its name.
func (l *Library) CheckClip(ctx context.Context, o ClipOrder) error {
	w := &clipWork{l: l, o: o}
	if err := w.check(ctx); err != nil {
		return fmt.Errorf("clip %s/%s: %w", o.App, o.Stream, err)
	}
	return nil
}

// check refuses a range and a name that cannot be clipped.
func (w *clipWork) check(ctx context.Context) error {
	switch length := w.o.End.Sub(w.o.Start); {
	case length <= 0:
		return fmt.Errorf("%w: its end is not after its start", ErrClipRange)
	case length > MaxClip:
		return fmt.Errorf("%w: it is longer than %s: make several clips", ErrClipRange, MaxClip)
	}
	return w.name(ctx, w.o.Title)
}

// name refuses what a clip cannot be called.
func (w *clipWork) name(ctx context.Context, title string) error {
	if w.o.Taken != nil {
		if what := w.o.Taken(title); what != "" {
			return fmt.Errorf("%w: %s is called %s: choose another name", ErrClipName, what, title)
		}
	}
	return w.l.clipName(ctx, w.o.App, title)
}

// clipName refuses what is taken in the store already, or could be mistaken for something else.
func (l *Library) clipName(ctx context.Context, app, title string) error {
	if !segmenter.ValidName(app) {
		return fmt.Errorf("%w: there is no app %q", ErrClipNothing, app)
	}
	if !segmenter.ValidStream(title) || title == "live" || title == "ll" {
		return fmt.Errorf("%w: %q: take letters, digits, dots, dashes and underscores, and nothing that is the name of a playlist", ErrClipName, title)
	}
	base := app + "/streams/" + title
	taken := fmt.Errorf("%w: a stream is called %s: choose another name", ErrClipName, title)
	for _, key := range []string{base + ".m3u8", base + "_adaptive.m3u8"} {
		_, err := l.s.Stat(ctx, key)
		if err == nil {
			return taken
		}
		if storage.KindOf(err) != storage.Missing {
			return err
		}
	}
	found := errors.New("found")
	if err := l.s.List(ctx, base+"/", func(storage.Object) error { return found }); errors.Is(err, found) {
		return taken
	} else if err != nil {
		return err
	}
	refs, err := l.archivesOf(ctx, app, title)
	if err != nil || len(refs) == 0 {
		return err
	}
	newest, err := l.load(ctx, refs[len(refs)-1])
	switch {
	case storage.KindOf(err) == storage.Missing:
		return nil
	case err != nil:
		return err
	case newest.clip() == "":
		return taken
	}
	return nil
}

// rungTitle is what the clip of a rung is called.
func rungTitle(title, ladder, rung string) string {
	if rest := strings.TrimPrefix(rung, ladder); rest != rung && rest != "" {
		rung = strings.TrimLeft(rest, "_.-")
	}
	return title + "_" + rung
}
