//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/bench/publish"
	"github.com/hlsorigin/hlsorigin/bench/report"
	"github.com/hlsorigin/hlsorigin/bench/system"
)

// runner is one run.
type runner struct {
	options
	systems []contestant
	results report.Results
	bucket  string // host:port
	secure  string // the same over TLS
	dir     string // of everything that the run writes, removed at the end
	started int
	round   int
}

type contestant struct {
	*system.Adapter
	binary string
}

// job is one measurement, run on each system in each round.
type job struct {
	measure string
	title   string
	ingest  bool // only systems that accept streams
	serve   bool // only systems that serve them
	run     func(context.Context, contestant) error
}

func bench(ctx context.Context, o options) error {
	if _, err := os.Stat(o.tmp); err != nil {
		return fmt.Errorf("-tmp: %w", err)
	}
	dir, err := os.MkdirTemp(o.tmp, "hlsorigin-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := &runner{options: o, dir: dir}
	if o.clips == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("-clips: %w", err)
		}
		r.clips = filepath.Join(cache, "hlsorigin-bench")
	}
	if err := r.gather(); err != nil {
		return err
	}
	jobs, err := r.jobs()
	if err != nil {
		return err
	}
	r.results.Machine = fmt.Sprintf("%d × %s, %s, %d rounds of %v", runtime.NumCPU(), processor(), runtime.Version(), o.rounds, o.seconds)
	stop, err := r.startBucket(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if o.prime {
		release, err := prime(dir)
		if err != nil {
			return err
		}
		defer release()
	}
	for _, j := range jobs {
		r.interleave(ctx, j)
	}
	if err := ctx.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	r.derive()
	return r.publish()
}

// gather loads the adapters whose programs are installed, ours first.
func (r *runner) gather() error {
	for _, file := range r.files {
		a, err := system.Load(file)
		if err != nil {
			return err
		}
		if len(r.only) > 0 && !r.only.has(a.Name) {
			continue
		}
		binary, err := a.Find(r.dir, r.programs)
		if errors.Is(err, system.ErrAbsent) {
			say("%s is left out: %v", a.Name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		r.systems = append(r.systems, contestant{a, binary})
	}
	if len(r.systems) == 0 {
		return errors.New("no system to measure: see -systems and -only")
	}
	slices.SortStableFunc(r.systems, func(a, b contestant) int {
		// Ours are built, the others found; ours with a bucket comes after ours without.
		return cmp.Or(cmp.Compare(len(b.Build), len(a.Build)), cmp.Compare(a.Name, b.Name))
	})
	for _, s := range r.systems {
		r.results.Systems = append(r.results.Systems, s.Name)
	}
	return nil
}

func (r *runner) jobs() ([]job, error) {
	streams, err := r.streams.numbers()
	if err != nil {
		return nil, fmt.Errorf("-streams: %w", err)
	}
	connections, err := r.connections.numbers()
	if err != nil {
		return nil, fmt.Errorf("-connections: %w", err)
	}
	var all []job
	for _, n := range streams {
		all = append(all, job{"ingest", fmt.Sprintf("ingest of %d", n), true, false, func(ctx context.Context, s contestant) error { return r.ingest(ctx, s, n) }})
	}
	all = append(all,
		job{"serve", "serve", false, true, func(ctx context.Context, s contestant) error { return r.serve(ctx, s, connections) }},
		job{"latency", "latency", true, true, r.latency},
		job{"mixed", "mixed", true, true, r.mix},
		job{"capacity", "capacity", true, true, r.capacity})
	return slices.DeleteFunc(all, func(j job) bool { return !r.measures.has(j.measure) }), nil
}

// interleave runs a job on all systems, round by round, each round beginning with a different one.
func (r *runner) interleave(ctx context.Context, j job) {
	for r.round = 1; r.round <= r.rounds; r.round++ {
		for i := range r.systems {
			s := r.systems[(i+r.round-1)%len(r.systems)]
			if !s.Takes(j.measure) || j.ingest && s.Ingest == "" || j.serve && s.Playlist == "" {
				continue
			}
			if ctx.Err() != nil {
				r.results.Note("the run was cut short before round %d of %s", r.round, j.title)
				return
			}
			say("round %d/%d: %s: %s", r.round, r.rounds, j.title, s.Name)
			if err := j.run(ctx, s); err != nil && ctx.Err() == nil {
				say("  %v", err)
				r.results.Note("%s, %s, round %d: %v", s.Name, j.title, r.round, firstLine(err))
			}
		}
	}
}

// start starts a system in its own directory.
func (r *runner) start(ctx context.Context, s contestant) (*system.Running, error) {
	r.started++
	p := system.Place{Binary: s.binary, Dir: filepath.Join(r.dir, fmt.Sprint(r.started)), S3: r.bucket, S3TLS: r.secure, Certificate: r.certificate(), Root: os.Getuid() == 0}
	if s.Ingest == "" {
		if err := lay(p.Dir); err != nil {
			return nil, err
		}
	}
	return s.Start(ctx, p)
}

// certificate returns the file with which the bucket is trusted.
func (r *runner) certificate() string { return filepath.Join(r.dir, "bucket", "certificate.pem") }

// startBucket starts the S3 server that keeps nothing.
func (r *runner) startBucket(ctx context.Context) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	a := &system.Adapter{
		Name: "bucket",
		Command: []string{"{{.Binary}}", "-role", "bucket", "-listen", `127.0.0.1:{{port "s3"}}`, "-listen-tls", `127.0.0.1:{{port "s3tls"}}`,
			"-certificate", "{{.Certificate}}"},
		Playlist: `http://127.0.0.1:{{port "s3"}}/`,
		Ingest:   `https://127.0.0.1:{{port "s3tls"}}/`,
	}
	running, err := a.Start(ctx, system.Place{Binary: self, Dir: filepath.Join(r.dir, "bucket"), Certificate: r.certificate()})
	if err != nil {
		return nil, err
	}
	r.bucket = strings.Trim(strings.TrimPrefix(running.PlaylistURL(""), "http://"), "/")
	r.secure = strings.Trim(strings.TrimPrefix(running.IngestURL(""), "https://"), "/")
	return running.Stop, nil
}

func (r *runner) clip(ctx context.Context, q publish.Quality) (*publish.Clip, error) {
	return publish.Record(ctx, r.clips, q)
}

// profile fetches a CPU profile of the measurement that begins now; wait waits for it, and fetches a memory profile too.
func (r *runner) profile(ctx context.Context, running *system.Running, name string, length time.Duration) (wait func()) {
	seconds := int(length / time.Second)
	if r.profiles == "" || running.Profile == "" || r.round > 1 || seconds == 0 {
		return func() {}
	}
	fetch := func(what, kind string) {
		path := filepath.Join(r.profiles, running.Name+"-"+name+"-"+kind+".pprof")
		if err := fetchProfile(ctx, running.ProfileURL()+what, path); err != nil {
			say("  profile: %v", err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fetch(fmt.Sprintf("profile?seconds=%d", seconds), "cpu")
	}()
	return func() {
		<-done
		fetch("heap", "heap")
	}
}

func fetchProfile(ctx context.Context, url, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	a, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", a.StatusCode)
	}
	b, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

// publish prints the tables, and writes everything where it was told to.
func (r *runner) publish() error {
	var tables strings.Builder
	fmt.Fprintf(&tables, "%s.\n", r.results.Machine)
	r.results.Tables(&tables)
	fmt.Print(tables.String())
	if r.into != "" {
		if err := replace(r.into, tables.String()); err != nil {
			return err
		}
		if err := r.draw(strings.TrimSuffix(r.into, ".md")); err != nil {
			return err
		}
	}
	if r.out == "" {
		return nil
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(&r.results, "", "\t")
	if err != nil {
		return err
	}
	if err := errors.Join(
		os.WriteFile(filepath.Join(r.out, "tables.md"), []byte(tables.String()), 0o644),
		os.WriteFile(filepath.Join(r.out, "results.json"), append(b, '\n'), 0o644)); err != nil {
		return err
	}
	return r.draw(r.out)
}

// replace puts the tables into a page, between the two comments that mark their place.
func replace(page, tables string) error {
	b, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	const begin, end = "<!-- measured -->\n", "<!-- end of measured -->"
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, found := strings.Cut(rest, end)
	if !ok || !found {
		return fmt.Errorf("-into: %s has no place between %q and %q", page, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(page, []byte(before+begin+"\n"+tables+"\n"+end+after), 0o644)
}

// draw writes the plots into a directory.
func (r *runner) draw(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, p := range r.plots() {
		f, err := os.Create(filepath.Join(dir, name+".svg"))
		if err != nil {
			return err
		}
		if err := errors.Join(r.results.Draw(f, p), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// pause waits, or returns early if the run ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
