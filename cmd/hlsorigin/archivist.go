package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/vodverify"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/dir"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/regular"
)

func (a *archivist) ls(ctx context.Context) error {
	app, stream := "", ""
	if len(a.names) > 0 {
		app, stream, _ = strings.Cut(a.names[0], "/")
	}
	if a.json {
		return a.lsJSON(ctx, app, stream)
	}
	n := 0
	for r, err := range a.library.List(ctx, app, stream) {
		a.bar.clear()
		if err != nil {
			return err
		}
		if n++; n == 1 {
			fmt.Fprintf(a.env.out, lsLine, "RECORDING", "LASTS", "SEGMENTS", "GAPS", "SIZE", "STATE")
		}
		fmt.Fprintf(a.env.out, lsLine, r.RecordingRef, time.Duration(r.Duration).Round(time.Second), fmt.Sprint(r.Segments), fmt.Sprint(r.Gaps), size(r.Bytes), state(&r))
	}
	a.bar.clear()
	if n == 0 {
		fmt.Fprintln(a.env.err, "no recordings")
	}
	return nil
}

// lsLine is one recording as ls shows it: each is printed when it is known, whatever is wide in those to come.
const lsLine = "%-48s  %9s  %8s  %5s  %9s  %s\n"

// lsJSON prints a list whose elements are not in memory together.
func (a *archivist) lsJSON(ctx context.Context, app, stream string) error {
	sep := "["
	for r, err := range a.library.List(ctx, app, stream) {
		a.bar.clear()
		if err != nil {
			return err
		}
		p, err := json.MarshalIndent(r, "  ", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(a.env.out, "%s\n  %s", sep, p)
		sep = ","
	}
	a.bar.clear()
	if sep == "[" {
		fmt.Fprintln(a.env.out, "[]")
		return nil
	}
	fmt.Fprintln(a.env.out, "\n]")
	return nil
}

// state is a recording's condition in a word or two.
func state(r *library.Recording) string {
	switch {
	case r.Damage != "":
		return "damaged: " + r.Damage
	case r.Clip != "":
		return "clip of " + r.Clip
	case r.Playlist == "":
		return "no playlist: repair it"
	case len(r.Group) > 0:
		return fmt.Sprintf("ladder of %d", len(r.Group))
	case r.Ended:
		return "finished"
	}
	return "growing"
}

func (a *archivist) show(ctx context.Context) error {
	ref, err := a.one(ctx)
	if err != nil {
		return err
	}
	r, media, err := a.library.Show(ctx, ref)
	a.bar.clear()
	if err != nil {
		return notThere(err, ref)
	}
	if a.json {
		return a.print(r)
	}
	w := tabwriter.NewWriter(a.env.out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "recording\t%s\n", r.RecordingRef)
	fmt.Fprintf(w, "playlist\t%s\n", r.Playlist)
	fmt.Fprintf(w, "state\t%s\n", state(&r))
	for _, g := range r.Group {
		fmt.Fprintf(w, "rung\t%s\n", g)
	}
	if media != nil {
		fmt.Fprintf(w, "from\t%s\n", r.Start.UTC().Format(time.RFC3339))
		fmt.Fprintf(w, "to\t%s\n", r.End().UTC().Format(time.RFC3339))
		fmt.Fprintf(w, "lasts\t%s\n", time.Duration(r.Duration).Round(time.Millisecond))
		fmt.Fprintf(w, "segments\t%d, %s, target duration %d s\n", r.Segments, size(r.Bytes), media.TargetDuration)
		fmt.Fprintf(w, "gaps\t%d\n", r.Gaps)
	}
	return w.Flush()
}

// errNotWhole is the exit status of verify.
var errNotWhole = errors.New("not every recording is whole")

func (a *archivist) verify(ctx context.Context) error {
	whole, reports, recordings := true, []any{}, a.names[:0:0]
	for _, name := range a.names {
		folder, ok := vodverify.Folder(name)
		if !ok {
			recordings = append(recordings, name)
			continue
		}
		r, err := vodverify.Verify(ctx, a.store, folder)
		a.bar.clear()
		if err != nil {
			return err
		}
		if !a.json {
			r.Print(a.env.out, size)
		}
		whole, reports = whole && r.Whole, append(reports, r)
	}
	var refs []library.RecordingRef
	if a.names = recordings; a.all || len(recordings) > 0 || len(reports) == 0 {
		var err error
		if refs, err = a.refs(ctx); err != nil {
			return err
		}
	}
	for _, ref := range refs {
		r, err := a.library.Verify(ctx, ref, library.VerifyOptions{Checksums: a.deep, Apart: a.all})
		a.bar.clear()
		if err != nil {
			return notThere(err, ref)
		}
		whole = whole && r.Whole
		reports = append(reports, r)
		if a.json {
			continue
		}
		verdict := "whole"
		if !r.Whole {
			verdict = "NOT WHOLE"
		}
		if r.Lost > 0 {
			verdict += fmt.Sprintf(", %.3f s are missing", time.Duration(r.Lost).Seconds())
		}
		fmt.Fprintf(a.env.out, "%s: %s, %d segments checked, %s read, %s\n", ref, verdict, r.Checked, size(r.ReadBytes), time.Duration(r.Took).Round(time.Millisecond))
		for _, f := range r.Findings {
			fmt.Fprintf(a.env.out, "  %-12s %s%s\n", f.Problem, f.Key, findingDetail(&f))
		}
	}
	if a.json {
		if err := a.print(reports); err != nil {
			return err
		}
	}
	if !whole {
		return errNotWhole
	}
	return nil
}

func findingDetail(f *library.Finding) string {
	s := ""
	if f.Want != "" || f.Got != "" {
		s = fmt.Sprintf(": wanted %s, got %s", f.Want, f.Got)
	}
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	return s
}

func (a *archivist) repair(ctx context.Context) error {
	refs, err := a.refs(ctx)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		r, err := a.library.Repair(ctx, ref, library.RepairOptions{DryRun: !a.yes, Force: a.force, Checksums: a.deep, Source: a.fromSpool()})
		a.bar.clear()
		if errors.Is(err, library.ErrAlive) {
			return fmt.Errorf("%w; -force repairs it all the same", err)
		} else if err != nil {
			return notThere(err, ref)
		}
		if a.json {
			if err := a.print(r); err != nil {
				return err
			}
			continue
		}
		did := "repaired"
		switch {
		case len(r.Written) == 0 && r.Uploaded == 0:
			did = "nothing to repair"
		case !a.yes:
			did = "would be repaired (-yes does it)"
		}
		fmt.Fprintf(a.env.out, "%s: %s: %d segments added, %d sent from the spool, %d returned, %d gaps\n", ref, did, r.Added, r.Uploaded, r.Returned, r.Gaps)
		for _, key := range r.Written {
			fmt.Fprintf(a.env.out, "  %s\n", key)
		}
	}
	return nil
}

// fromSpool gives segments that a spool on this machine still has; nil where there is none.
func (a *archivist) fromSpool() func(context.Context, segmenter.Name) (io.ReadSeekCloser, error) {
	if a.spool == nil {
		return nil
	}
	return func(_ context.Context, n segmenter.Name) (io.ReadSeekCloser, error) {
		f, _, err := a.spool.OpenUnchecked(n.String())
		return f, err
	}
}

func (a *archivist) export(ctx context.Context) error {
	ref, err := a.one(ctx)
	if err != nil {
		return err
	}
	if (a.file == "") == (a.dir == "") {
		return usageError{errors.New("recordings export: say where to: -o FILE for one file, or -dir DIR for a folder that plays")}
	}
	if err := a.chooseFormat(); err != nil {
		return err
	}
	var out *library.Exported
	if a.dir != "" {
		to, err := dir.Open(dir.Options{Path: a.dir})
		if err != nil {
			return err
		}
		defer to.Close()
		out, err = a.library.ExportFolder(ctx, ref, to, a.force)
		a.bar.clear()
		if errors.Is(err, storage.ErrExists) {
			return fmt.Errorf("%w: it lies in %s, and is none of this export's; -force replaces it", err, a.dir)
		}
		if err != nil {
			return notThere(err, ref)
		}
	} else if out, err = a.exportFile(ctx, ref); err != nil {
		return notThere(err, ref)
	}
	if a.json {
		return errors.Join(a.print(out), leftOut(out))
	}
	fmt.Fprintf(a.env.out, "%s: %d segments, %s, %d gaps\n", ref, out.Segments, size(out.Bytes), out.Gaps)
	for i := range out.Damaged {
		f := &out.Damaged[i]
		fmt.Fprintf(a.env.out, "  left out: %s %s%s\n", f.Problem, f.Key, findingDetail(f))
	}
	return leftOut(out)
}

// chooseFormat completes a.format by the file's name, and refuses what there is not.
func (a *archivist) chooseFormat() error {
	switch a.format {
	case "mp4", "fmp4":
		if a.dir != "" {
			return usageError{errors.New("recordings export: -dir is HLS as it lies in the bucket: -format is for -o FILE")}
		}
	case "ts":
	case "":
		if a.format = "ts"; strings.EqualFold(filepath.Ext(a.file), ".mp4") {
			a.format = "mp4"
		}
	default:
		return usageError{fmt.Errorf("recordings export: there is no format %q: it is one of mp4, fmp4, ts", a.format)}
	}
	return nil
}

// errLeftOut is the exit status of an export that is not all of the recording.
var errLeftOut = errors.New("the export is not the whole recording")

func leftOut(out *library.Exported) error {
	if out.Gaps+len(out.Damaged) > 0 {
		return errLeftOut
	}
	return nil
}

// exportFile writes beside the file and puts it in place when it is whole. What stands there already stays, unless it is a file and
// may be replaced.
func (a *archivist) exportFile(ctx context.Context, ref library.RecordingRef) (*library.Exported, error) {
	if err := a.mayWrite(); err != nil {
		return nil, err
	}
	// Not by CreateTemp: who may read the file is as for every other that the user makes.
	temp := filepath.Join(filepath.Dir(a.file), "."+filepath.Base(a.file)+"."+rand.Text())
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	var out *library.Exported
	if a.format == "ts" {
		out, err = a.library.Export(ctx, ref, f)
	} else {
		out, err = a.library.ExportMP4(ctx, ref, f, a.format == "fmp4")
	}
	a.bar.clear()
	switch {
	case errors.Is(err, fmp4.ErrNoForm):
		err = fmt.Errorf("%w: -format ts takes it", err)
	case errors.Is(err, fmp4.ErrChanges):
		err = fmt.Errorf("%w: -format mp4 and ts take it", err)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = a.place(f.Name())
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return out, nil
}

// mayWrite reports, by an error, whether something stands where the file is to be that may not be replaced.
func (a *archivist) mayWrite() error {
	info, err := os.Lstat(a.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is %s, and is not replaced: choose another name", a.file, regular.What(info.Mode()))
	case !a.force:
		return fmt.Errorf("%s exists: -force replaces it", a.file)
	}
	return nil
}

// place gives the finished file its name.
func (a *archivist) place(temp string) error {
	if !a.force {
		err := os.Link(temp, a.file)
		switch {
		case err == nil:
			return os.Remove(temp)
		case errors.Is(err, fs.ErrExist):
			return fmt.Errorf("%s was made by somebody else meanwhile, and is not replaced", a.file)
		}
	}
	if err := a.mayWrite(); err != nil { // a file system without links leaves a moment here
		return err
	}
	return os.Rename(temp, a.file)
}

func (a *archivist) rm(ctx context.Context) error {
	refs, err := a.refs(ctx)
	if err != nil {
		return err
	}
	out, err := a.library.Remove(ctx, refs, library.RemoveOptions{Really: a.yes, Force: a.force})
	a.bar.clear()
	if errors.Is(err, library.ErrAlive) {
		return fmt.Errorf("%w; -force removes it all the same", err)
	} else if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w; nothing was removed", err)
		}
		return err
	}
	if a.json {
		return a.print(out)
	}
	did := "removed"
	if !out.Removed {
		did = "would be removed (-yes does it)"
	}
	for _, r := range out.Recordings {
		fmt.Fprintln(a.env.out, r)
	}
	for _, c := range out.Clips {
		fmt.Fprintf(a.env.out, "the clip %s needs segments of it: they stay\n", c)
	}
	fmt.Fprintf(a.env.out, "%d recordings, %d playlists and %d segments, %s, %s\n", len(out.Recordings), len(out.Playlists), len(out.Segments), size(out.Bytes), did)
	if a.kept {
		fmt.Fprintln(a.env.out, "the replica keeps what it has of them: the same with -replica removes it there")
	}
	return nil
}
