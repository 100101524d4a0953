package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter/vod"
	"github.com/hlsorigin/hlsorigin/storage"
)

// packageFolder is the folder of an adaptive package, where a name is one: "vod/lecture/", or its master.m3u8.
func packageFolder(name string) (folder string, ok bool) {
	folder = strings.TrimSuffix(name, "master.m3u8")
	return folder, strings.HasSuffix(folder, "/")
}

// packageReader reads the objects of a package.
type packageReader struct {
	store  storage.Getter
	folder string
}

// Get implements vod.Getter.
func (p packageReader) Get(ctx context.Context, key string) ([]byte, error) {
	body, _, err := p.store.Get(ctx, p.folder+key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	return io.ReadAll(body)
}

// packageReport is what verify says of a package, as JSON.
type packageReport struct {
	Package string `json:"package"`
	Whole   bool   `json:"whole"`
	*vod.Report
}

// verifyPackage reads a whole package, and says what is wrong with it.
func (a *archivist) verifyPackage(ctx context.Context, folder string) (packageReport, error) {
	r, err := vod.Verify(ctx, packageReader{a.store, folder})
	a.bar.clear()
	if err != nil {
		return packageReport{}, err
	}
	rep := packageReport{folder, len(r.Findings) == 0, r}
	if a.json {
		return rep, nil
	}
	verdict := "whole"
	if !rep.Whole {
		verdict = "NOT WHOLE"
	}
	fmt.Fprintf(a.env.out, "%s: %s, %d playlists and %d segments checked, %s read\n", folder, verdict, r.Playlists, r.Segments, size(r.Bytes))
	for _, f := range r.Findings {
		fmt.Fprintf(a.env.out, "  %s\n", f)
	}
	return rep, nil
}
