//go:build linux

// Command bench runs hlsorigin beside other servers on this machine, with the same load on each in turn, and prints what each of them
// costs: docs/performance.md says how to read it. It sends nothing beyond loopback, is bounded in time and count, and ends what it starts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	files    []string // of the adapters
	only     list
	measures list
	programs programs

	rounds                int
	seconds               time.Duration
	warm                  time.Duration
	streams               list
	connections           list
	mixed                 time.Duration
	mixedStreams          int
	players, pollers      int
	step, most            int
	hold                  time.Duration
	tmp, out, into, clips string
	profiles              string
	prime                 bool
	limit                 time.Duration
	role, listen          string
	listenTLS             string
	certificate           string
	pause                 time.Duration
}

func run(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	systems := f.String("systems", "bench/systems/*.json", "adapter files: a pattern, and further files as arguments")
	f.Var(&o.only, "only", "names of the systems to run, with commas; empty: all that are here")
	o.measures = list{"ingest", "serve", "latency", "mixed", "capacity"}
	f.Var(&o.measures, "measures", "what to measure")
	f.Var(&o.programs, "program", "NAME=PATH of a program that is not in PATH; may be repeated")
	f.IntVar(&o.rounds, "rounds", 3, "of all systems, in turn; the tables show medians")
	f.DurationVar(&o.seconds, "time", 10*time.Second, "of each measurement")
	f.DurationVar(&o.warm, "warm", 25*time.Second, "how long publishers run before ingest is measured: windows of 20s fill, buffers find their size")
	o.streams = list{"1", "20", "100", "200"}
	f.Var(&o.streams, "streams", "numbers of publishers to measure ingest at")
	o.connections = list{"64", "1000"}
	f.Var(&o.connections, "connections", "numbers of kept-alive connections to measure serving at")
	f.DurationVar(&o.mixed, "mixed-time", time.Minute, "of the mixed scenario; ten minutes for a full one")
	f.IntVar(&o.mixedStreams, "mixed-streams", 100, "publishers of the mixed scenario")
	f.IntVar(&o.players, "players", 10, "of each stream in the mixed scenario")
	f.IntVar(&o.pollers, "pollers", 1000, "viewers in the mixed scenario that only poll playlists, over all streams")
	f.IntVar(&o.step, "step", 100, "publishers that are added at a time in the search for the capacity")
	f.IntVar(&o.most, "most", 1500, "publishers at which that search ends")
	f.DurationVar(&o.hold, "hold", 8*time.Second, "how long each step has to hold")
	f.StringVar(&o.tmp, "tmp", "/dev/shm", "where servers keep their files: a tmpfs, for figures without a disk")
	f.StringVar(&o.out, "out", "", "directory for tables.md, results.json and plots; empty: print the tables only")
	f.StringVar(&o.into, "into", "", "Markdown page whose tables are to be replaced, with plots in the directory of its name: docs/performance.md")
	f.StringVar(&o.clips, "clips", "", "where recorded clips are kept; empty: in the user's cache directory")
	f.StringVar(&o.profiles, "profiles", "", "directory for CPU profiles of the servers that offer them")
	f.BoolVar(&o.prime, "prime", true, "use most of the memory once before anything is measured, so that no system pays for the host's bringing it")
	f.DurationVar(&o.limit, "limit", 4*time.Hour, "of the whole run")
	f.StringVar(&o.role, "role", "", "internal: sink or bucket, the servers that the runner starts beside the others")
	f.StringVar(&o.listen, "listen", "", "internal: address of the role")
	f.StringVar(&o.listenTLS, "listen-tls", "", "internal: address of the bucket over TLS")
	f.StringVar(&o.certificate, "certificate", "", "internal: file for its certificate")
	f.DurationVar(&o.pause, "pause", 0, "internal: of the sink between two reads of a socket")
	if err := f.Parse(args); err != nil {
		return err
	}
	if err := raiseFiles(); err != nil {
		return err
	}
	if o.role != "" {
		return play(ctx, o)
	}
	if o.rounds < 1 || o.seconds <= 0 {
		return errors.New("-rounds and -time have to be above 0")
	}
	var err error
	if o.files, err = filepath.Glob(*systems); err != nil {
		return fmt.Errorf("-systems: %w", err)
	}
	o.files = append(o.files, f.Args()...)
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	return bench(ctx, o)
}

// raiseFiles raises the limit of open files for this process, and those it starts, to what the machine allows.
func raiseFiles() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	return nil
}

// list is a flag of comma-separated values.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }
func (l *list) Set(s string) error {
	*l = strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
	return nil
}

func (l list) has(s string) bool {
	for _, v := range l {
		if v == s {
			return true
		}
	}
	return false
}

func (l list) numbers() ([]int, error) {
	var all []int
	for _, s := range l {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a number above 0", s)
		}
		all = append(all, n)
	}
	return all, nil
}

// programs is a flag of NAME=PATH.
type programs map[string]string

func (p *programs) String() string { return "" }
func (p *programs) Set(s string) error {
	name, path, ok := strings.Cut(s, "=")
	if !ok {
		return errors.New("want NAME=PATH")
	}
	if *p == nil {
		*p = programs{}
	}
	(*p)[name] = path
	return nil
}
