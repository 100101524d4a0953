package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/printable"
	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

const recordingsHelp = `hlsorigin recordings reads and mends what lies in the bucket. It needs the bucket's credentials and no running server.

  hlsorigin recordings ls [APP[/STREAM]]         what is there
  hlsorigin recordings show NAME                 one recording, as its playlist says
  hlsorigin recordings verify [-deep] NAME…      is every second there? -deep reads every byte. Exit status 1: no, and which
  hlsorigin recordings repair [-yes] NAME…       send what the spool still has, and make the playlist say what is true
  hlsorigin recordings export -o FILE NAME       one file: MP4 where it is called .mp4, or else a transport stream; -format mp4,
                                                 fmp4 (in fragments) or ts says so. Or -dir DIR: a folder that plays.
                                                 Exit status 1: not all of it. Nothing that exists is replaced without -force
  hlsorigin recordings rm [-yes] NAME…           whole recordings, playlists first; without -yes it only says what it would do

A NAME is like live/cam-2023-08-24_16-02-52.970, as ls shows it. verify -all takes every recording there is; it knows adaptive packages
of files as well, by their folders: vod/lecture/.
All take -config FILE and -json, and -replica to work on storage.replica instead of the bucket; repair and rm take -force for a
recording that may still be growing.
`

// recordingsCommand is the archivist's tool.
func recordingsCommand(args []string, env environment) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Fprint(env.out, recordingsHelp)
		return nil
	}
	acts := map[string]func(*archivist, context.Context) error{
		"ls": (*archivist).ls, "show": (*archivist).show, "verify": (*archivist).verify,
		"repair": (*archivist).repair, "export": (*archivist).export, "rm": (*archivist).rm,
	}
	act := acts[args[0]]
	if act == nil {
		return usageError{fmt.Errorf("recordings: there is no act %q: it is one of ls, show, verify, repair, export, rm", args[0])}
	}
	a := &archivist{env: env}
	a.env.out = printable.Writer(env.out) // names and addresses are the bucket's
	f := flags("recordings " + args[0])
	config := configFlag(f, env)
	f.BoolVar(&a.json, "json", false, "")
	f.BoolVar(&a.deep, "deep", false, "")
	f.BoolVar(&a.all, "all", false, "")
	f.BoolVar(&a.yes, "yes", false, "")
	f.BoolVar(&a.force, "force", false, "")
	f.BoolVar(&a.replica, "replica", false, "")
	f.StringVar(&a.file, "o", "", "")
	f.StringVar(&a.dir, "dir", "", "")
	f.StringVar(&a.format, "format", "", "")
	names, err := parseMixed(f, args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(env.out, recordingsHelp)
		return nil
	} else if err != nil {
		return err
	}
	a.names = names
	cfg, err := configs.Load(*config, env.vars)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal(env.signals)
	defer stop()
	if err := a.open(cfg); err != nil {
		return err
	}
	defer a.bucket.close()
	err = act(a, ctx)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("stopped by a signal before it was done: %w", err)
	}
	return err
}

// parseMixed lets flags and names stand in any order.
func parseMixed(f *flag.FlagSet, args []string) (names []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usageError{err}
		}
		if f.NArg() == 0 {
			return names, nil
		}
		names, args = append(names, f.Arg(0)), f.Args()[1:]
	}
}

// untilSignal is a context that the first signal ends.
func untilSignal(signals <-chan os.Signal) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// archivist is one run of the tool.
type archivist struct {
	env                         environment
	names                       []string
	json, deep, all, yes, force bool
	replica                     bool // it works on the replica, not on the bucket
	file, dir, format           string

	bucket  *bucket
	kept    bool // there is a replica, which keeps what is removed here
	spool   *spool.Spool
	library *library.Library
	store   storage.Getter
	bar     *progressBar
}

// archivistAttempts is how often a request is made before the tool gives up.
const archivistAttempts = 5

func (a *archivist) open(cfg configs.Config) error {
	setting, of := "storage", &cfg.Storage.Bucket
	if a.replica {
		if setting, of = "storage.replica", cfg.Storage.Replica; of == nil {
			return errors.New("storage.replica is not set: there is no replica to look into")
		}
	}
	b, err := openBucket(setting, *of, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if b == nil {
		return fmt.Errorf("%s.url is empty: there is no bucket to look into", setting)
	}
	a.bucket, a.kept = b, !a.replica && cfg.Storage.Replica != nil
	if cfg.Spool.Dir != "" {
		a.spool = spool.New(spool.Options{Dir: cfg.Spool.Dir})
	}
	a.bar = newProgressBar(a.env.err)
	store := storage.Retry(b, storage.RetryOptions{Attempts: archivistAttempts})
	a.store = store
	a.library = library.New(store, library.Options{Progress: a.bar.show})
	return nil
}

// refs are the recordings that the command line names; all there are with -all.
func (a *archivist) refs(ctx context.Context) ([]library.RecordingRef, error) {
	var refs []library.RecordingRef
	if a.all {
		for r, err := range a.library.List(ctx, "", "") {
			if err != nil {
				return nil, err
			}
			refs = append(refs, r.RecordingRef)
		}
		return refs, nil
	}
	if len(a.names) == 0 {
		return nil, usageError{errors.New("recordings: name a recording; hlsorigin recordings ls shows them")}
	}
	for _, name := range a.names {
		ref, err := library.ParseRecordingRef(name)
		if err != nil {
			return nil, usageError{err}
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// one is the only recording that the command line names.
func (a *archivist) one(ctx context.Context) (library.RecordingRef, error) {
	refs, err := a.refs(ctx)
	if err == nil && len(refs) != 1 {
		err = usageError{errors.New("recordings: name one recording")}
	}
	if err != nil {
		return library.RecordingRef{}, err
	}
	return refs[0], nil
}

func (a *archivist) print(v any) error {
	e := json.NewEncoder(a.env.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func notThere(err error, ref library.RecordingRef) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no recording %s in the bucket; hlsorigin recordings ls shows those that are", ref)
	}
	return err
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
