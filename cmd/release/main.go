// Command release builds what is published of a version: static programs for each platform, packed with what belongs to them, a bill of
// materials for each, and checksums. The same commit, Go version and hls.js give the same bytes wherever they are built. It tags and
// uploads nothing, and downloads nothing but Go modules.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// platforms are those that programs are published for.
const platforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run is the whole program. It is run in the root of the source.
func run(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("release", flag.ContinueOnError)
	dir := f.String("out", "dist", "the folder for all that is made; it is emptied first")
	version := f.String("version", "", "what the program says that it is; default: what git describe says")
	list := f.String("platforms", platforms, "GOOS/GOARCH, with commas")
	program := f.String("sbom", "", "print the bill of materials of this program, and make nothing")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *program != "" {
		m, err := readMaterials(*program, *version)
		if err != nil {
			return err
		}
		_, err = out.Write(m.cycloneDX())
		return err
	}
	script, err := readScript()
	if err != nil {
		return err
	}
	if script == nil {
		return fmt.Errorf("there is no %s: make web fetches it, and the programs of a release have it inside", scriptFile)
	}
	described, err := git(ctx, "describe", "--tags", "--always", "--dirty")
	if err != nil {
		return err
	}
	folders, err := moduleFolders(ctx)
	if err != nil {
		return err
	}
	r := release{version: cmp.Or(*version, described), dir: *dir, folders: folders}
	if err := os.RemoveAll(*dir); err != nil {
		return err
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	for platform := range strings.SplitSeq(*list, ",") {
		file, err := r.make(ctx, platform)
		if err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		fmt.Fprintln(out, filepath.Join(*dir, file))
	}
	return r.sums()
}
