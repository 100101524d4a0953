// Package vodverify is what `hlsorigin recordings verify` does with an adaptive package in a store: it finds its objects, and says what is wrong
// with them. It refuses to know what makes a package whole, which segmenter/vod does, and to mend anything.
package vodverify

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter/vod"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Folder is the folder of a package, where a name is one: "vod/lecture/", or its master.m3u8.
func Folder(name string) (folder string, ok bool) {
	folder = strings.TrimSuffix(name, "master.m3u8")
	return folder, strings.HasSuffix(folder, "/")
}

// Report is what is said of a package.
type Report struct {
	Package string `json:"package"` // its folder
	Whole   bool   `json:"whole"`
	*vod.Report
}

// Verify reads a whole package. The error is the store's.
func Verify(ctx context.Context, store storage.Getter, folder string) (Report, error) {
	r, err := vod.Verify(ctx, getter{store, folder})
	if err != nil {
		return Report{}, err
	}
	return Report{folder, len(r.Findings) == 0, r}, nil
}

// Print says it to a person. size says a number of bytes.
func (r *Report) Print(w io.Writer, size func(int64) string) {
	verdict := "whole"
	if !r.Whole {
		verdict = "NOT WHOLE"
	}
	_, _ = fmt.Fprintf(w, "%s: %s, %d playlists and %d segments checked, %s read\n", r.Package, verdict, r.Playlists, r.Segments, size(r.Bytes))
	for _, f := range r.Findings {
		_, _ = fmt.Fprintf(w, "  %s\n", f)
	}
}

// getter reads the objects of a package.
type getter struct {
	store  storage.Getter
	folder string
}

// Get implements vod.Getter.
func (g getter) Get(ctx context.Context, key string) ([]byte, error) {
	body, _, err := g.store.Get(ctx, g.folder+key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(body)
}
