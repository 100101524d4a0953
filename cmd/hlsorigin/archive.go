package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/budget"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/keeping"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/notices"
	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/part"
	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin"
	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/gate"
	"github.com/hlsorigin/hlsorigin/storage/held"
	"github.com/hlsorigin/hlsorigin/storage/ladder"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/readback"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// archive is everything behind the timeline: spool, mirror, buckets, and the way back.
type archive struct {
	log       *slog.Logger
	registry  *segmenter.Registry
	dir       string          // of the spool
	spool     *spool.Spool    // nil without spool.dir
	keeper    *keeping.Keeper // nil without spool.dir
	unlock    func() error    // of the spool; nil where it could not be locked
	unusable  error           // why it could not
	behind    bool            // the bucket did not have everything at the stop
	unsettled error           // why the spool did not take everything at the stop
	stores    []*bucket       // the bucket first, then its replica
	mirror    *mirror.Mirror
	cluster   configs.Cluster
	node      string               // under which this server claims streams; known when it has been taken up
	reading   *readback.Cache      // nil without a bucket
	names     *readback.Finder     // nil without a bucket
	retention []*library.Retention // one for each store
	running   *part.Service
	keeping   *part.Service
	ladders   *part.Service
	expiring  []*part.Service // one for each store
	over      *notices.Queue  // recordings of streams that another server has
	ending    *part.Service   // of those
	gate      *gate.Gate      // in front of the registry; nil: there is no cluster
	gating    *part.Service
}

// openArchive makes spool, buckets and mirror, and touches none of them: that begins with takeUp. A bucket that cannot be had
// is no error: what is for it waits in the spool. messages is how much publishers' unfinished messages and what waits of them may take, 0: all;
// tell is told what happens.
func openArchive(cfg configs.Config, b *budget.Budget, messages int64, registry *segmenter.Registry, tell func(mirror.Notice), log *slog.Logger) (*archive, error) {
	a := &archive{log: log, registry: registry, cluster: cfg.Cluster, over: notices.New()}
	if cfg.Spool.Dir != "" {
		a.dir = cfg.Spool.Dir
		a.spool = spool.New(spool.Options{Dir: cfg.Spool.Dir, MaxBytes: int64(cfg.Spool.MaxBytes), Sync: spool.Sync(cfg.Spool.Fsync)})
		a.keeper = keeping.New(held.Options{Dir: cfg.Spool.Dir, Sync: spool.Sync(cfg.Spool.Fsync) == spool.Always, MaxBytes: messages, Now: time.Now, Log: log.With("part", "put"), Room: a.spool.Spare})
	}
	o := mirror.Options{
		Spool: a.spool, Workers: cfg.Storage.Workers, MemoryBytes: b.Shares[budget.Archive], ArchiveSplit: time.Duration(cfg.HLS.ArchiveSplit),
		Log: log.With("part", "archive"), Now: time.Now,
	}
	if a.keeper != nil {
		o.Kept = a.keeper.Find
	}
	if o.ArchiveSplit == 0 {
		o.ArchiveSplit = -1
	}
	o.Tell = func(n mirror.Notice) {
		if n.Kind == mirror.StoodDown {
			a.over.Add(n)
		}
		if tell != nil {
			tell(n)
		}
	}
	o.CMAF = storesCMAF(cfg)
	main, err := openBucket("storage", cfg.Storage.Bucket, log)
	if err != nil {
		return nil, err
	}
	if main != nil {
		a.stores, o.Store = append(a.stores, main), main
		a.reading = readback.New(storage.Retry(main, storage.RetryOptions{Attempts: readAttempts}), readback.Options{
			MaxBytes: b.Shares[budget.Readback] / 2, MaxPassed: b.Shares[budget.Readback] / 2, Now: time.Now,
			Inspect: readback.InspectSegments, Known: readback.KnownSegments(registry.Recording),
		})
	}
	if cfg.Storage.Replica != nil {
		replica, err := openBucket("storage.replica", *cfg.Storage.Replica, log)
		if err != nil {
			return nil, errors.Join(err, a.close(context.Background()))
		}
		if replica != nil {
			a.stores, o.Replica = append(a.stores, replica), replica
		}
	}
	if len(a.stores) > 0 {
		a.names = readback.NewFinder(registry, a.stores[0], time.Now)
	}
	a.mirror = mirror.New(o)
	for i, name := range []string{"bucket", "replica"}[:len(a.stores)] {
		patient := storage.Retry(a.stores[i], storage.RetryOptions{Attempts: readAttempts})
		a.retention = append(a.retention, library.NewRetention(patient, library.RetentionOptions{Name: name, Keep: keeps(cfg), Log: log, Now: time.Now}))
	}
	return a, nil
}

// storesCMAF tells the apps whose recordings are stored as CMAF, too: those that are served so, where storage.packagings asks for it. It is
// nil where there are none.
func storesCMAF(cfg configs.Config) func(app string) bool {
	if !slices.Contains(cfg.Storage.Packagings, configs.PackagingCMAF) {
		return nil
	}
	return func(app string) bool {
		a, ok := cfg.Apps[app]
		return ok && a.HLS.Over(cfg.HLS).CMAF || !ok && cfg.HLS.CMAF
	}
}

// keeps is how long apps keep their recordings; those that keep everything are not in it.
func keeps(cfg configs.Config) map[string]time.Duration {
	keep := map[string]time.Duration{}
	for name, app := range cfg.Apps {
		if app.Keep > 0 {
			keep[name] = app.Keep.Std()
		}
	}
	return keep
}

// takeUp locks the spool and hands the recordings in it that are not finished to the registry. It is called when the ports are
// had: a start that fails on one has touched nothing.
func (a *archive) takeUp(ctx context.Context) error {
	if a.spool == nil {
		a.name("")
		return nil
	}
	unlock, err := spool.Lock(a.dir)
	switch {
	case errors.Is(err, spool.ErrLocked):
		return fmt.Errorf("spool.dir: %s is in use by another hlsorigin: stop that one, or choose another directory", a.dir)
	case err != nil:
		a.unusable = err
		a.log.Error("the spool cannot be used now, segments go from memory to the bucket: correct spool.dir, or what is there, and start again", "dir", a.dir, "error", err)
	default:
		a.unlock = unlock
	}
	if a.unusable == nil {
		a.name(a.dir)
	} else {
		a.name("")
	}
	if err := a.recover(ctx); ctx.Err() != nil {
		return context.Cause(ctx)
	} else if err != nil && a.unusable == nil {
		a.log.Error("part of the spool cannot be read or understood; nothing of it is removed", "error", err)
	}
	return nil
}

// name says under which name this server claims streams in the bucket: the one that is set, or that of its spool, so that it is the same after a
// restart.
func (a *archive) name(dir string) {
	host, _ := os.Hostname() // where there is none, the name says so
	node := cmp.Or(a.cluster.Node, claim.NewNode(host))
	if dir != "" && a.cluster.Node == "" {
		var err error
		if node, err = claim.Node(dir, host); err != nil {
			a.log.Warn("this server's name cannot be kept in the spool: after the next start, recordings that it has now count as another server's and are stood down; correct spool.dir, or what is there", "dir", dir, "error", err)
		}
	}
	a.node = node
	a.mirror.Name(claim.Server{Node: node, Address: a.cluster.Address})
}

// endOver ends a recording of a stream that another server has, so that a publisher who comes back here begins a new one: the old one's
// playlists are not written any more. One that has a publisher goes on for its viewers, unless it has been ended in the bucket: its publisher is
// sent away, and begins a new one when it is back. In a cluster every publisher is sent away, and finds at the gate which server to go to.
func (a *archive) endOver(ctx context.Context, n mirror.Notice) {
	if a.gate != nil { // it goes on there, for viewers, too
		a.gate.Lost(ctx, n.Key, n.Recording, n.Node)
		return
	}
	line := a.registry.Timeline(n.Key.App, n.Key.Stream)
	if _, fed := a.registry.Publisher(n.Key); fed && !n.Ended || line == nil || line.Recording() != n.Recording {
		return
	}
	if _, err := a.registry.End(n.Key, errElsewhere); err != nil {
		a.log.Info("a recording of which another server has the stream is not ended here", "stream", n.Key.String(), "error", err)
	}
}

// errElsewhere is what a publisher is told who comes back at the very moment when his recording is ended.
var errElsewhere = errors.New("another server has had the stream meanwhile: connect again")

// readAttempts is how often an object is asked for before a viewer is told that it cannot be had now.
const readAttempts = 3

func (a *archive) recover(ctx context.Context) error {
	found, err := a.mirror.Recover(ctx)
	for key, rungs := range ladder.Unended(a.mirror) {
		if e := a.registry.Form(key, rungs); e != nil {
			a.log.Info("the rungs of a ladder are taken up as streams of their own", "ladder", key.String(), "reason", e)
		}
	}
	for _, r := range found {
		a.keeper.Spooled(&r)
		if e := a.registry.Restore(r); e != nil {
			err = errors.Join(err, e)
			continue
		}
		a.log.Info("recording taken up again", "stream", r.Key.String(), "recording", r.Recording, "segments", len(r.Rows), "next", r.Next)
	}
	return err
}

func (a *archive) begin(failed chan<- error) {
	a.running = part.Run("archive", failed, func(ctx context.Context) error { return a.mirror.Run(ctx, a.registry) })
	if a.keeper != nil {
		a.keeping = part.Run("held segments", failed, a.keeper.Run)
	}
	a.ending = part.Run("claims", failed, func(ctx context.Context) error { return a.over.Run(ctx, a.endOver) })
	if a.gate != nil {
		a.gating = part.Run("gate", failed, a.gate.Run)
	}
	a.ladders = part.Run("ladders", failed, ladder.New(a.mirror, a.registry).Run)
	for _, r := range a.retention {
		a.expiring = append(a.expiring, part.Run("retention", failed, r.Run))
	}
}

// settle brings all that was listed to the disk: what is not in the bucket by the end goes on at the next start. Where the disk
// does not take it there is still the bucket, see flush.
func (a *archive) settle(ctx context.Context) error {
	if a.spool == nil {
		return nil
	}
	a.unsettled = a.mirror.Sync(ctx)
	if len(a.stores) == 0 {
		return a.unsettled
	}
	return nil
}

// flush waits for the buckets until ctx is done, and ends the mirror. What is left behind is said, and is no failure
// where a spool keeps it; nor is a spool that did not take what the buckets have.
func (a *archive) flush(ctx context.Context) error {
	err := a.mirror.Flush(ctx)
	a.behind = err != nil
	switch {
	case a.unsettled == nil:
	case err == nil:
		a.log.Warn("the spool did not take everything, but the bucket has it all", "error", a.unsettled)
	default:
		err = fmt.Errorf("what the bucket does not have yet is lost with this process: %w: %w", err, a.unsettled)
	}
	if err != nil && a.spool != nil && a.unsettled == nil {
		a.log.Warn("what the bucket does not have yet stays in the spool for the next start", "behind", err)
		err = nil
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), durableStop)
	defer cancel()
	return errors.Join(err, part.StopAll(stop, append(a.expiring, a.keeping, a.gating, a.ending, a.ladders)...), a.running.Stop(stop))
}

func (a *archive) close(context.Context) error {
	if a.reading != nil {
		a.reading.Close()
	}
	var err error
	if a.unlock != nil {
		err = a.unlock()
	}
	for _, b := range a.stores {
		err = errors.Join(err, b.close())
	}
	return err
}

// reader is where viewers' requests go for what has left memory.
func (a *archive) reader() origin.Archive {
	if a.spool == nil && a.reading == nil {
		return nil
	}
	return shelves{readback.Shelves{Spool: a.spool, Cache: a.reading, Names: a.names, Own: a.own}}
}

// own reports whether what the spool has under a key may be shown: where viewers wait for the bucket, only what that has from this server.
func (a *archive) own(key string) bool {
	if !a.registry.Confirmed() {
		return true
	}
	n, ok := segmenter.ParseName(key)
	return !ok || n.Kind != segmenter.KindSegment || a.mirror.Stored(segmenter.Key{App: n.App, Stream: n.Stream}, n.Recording, n.Sequence)
}

// finder names recordings by time; nil without a bucket.
func (a *archive) finder() origin.Recordings {
	if a.names == nil {
		return nil
	}
	return a.names
}

// disk is where the files of segments are that may still be in memory; nil without a spool.
func (a *archive) disk() origin.Archive {
	if a.spool == nil {
		return nil
	}
	return shelves{readback.Shelves{Spool: a.spool}}
}

func (a *archive) settled(app, stream string, id segmenter.RecordingID) bool {
	return a.mirror.Standing(segmenter.Key{App: app, Stream: stream}, id).Settled
}

func (a *archive) unsent(key segmenter.Key, id segmenter.RecordingID) int64 {
	return a.mirror.Standing(key, id).Unsent
}

// Sync implements admin.Syncer.
func (a *archive) Sync(ctx context.Context) error { return a.mirror.Barrier(ctx) }

// checks is what /readyz says about disk and buckets.
func (a *archive) checks() []admin.Check {
	var checks []admin.Check
	for _, t := range a.mirror.Health() {
		checks = append(checks, admin.Check{Name: "archive", Reason: t.Text, Kind: t.Kind, Of: t.Target})
	}
	if a.unusable != nil && a.spool.Stats().Files.Load() == 0 { // else something was written there since
		reason := fmt.Sprintf("the spool cannot be used: %v: correct spool.dir, or what is there, and start again", a.unusable)
		checks = append(checks, admin.Check{Name: "archive", Reason: reason, Kind: "spool"})
	}
	if len(checks) == 0 {
		return []admin.Check{{Name: "archive"}}
	}
	return checks
}

// shelves are the shelves below memory, as origin wants them.
type shelves struct{ readback.Shelves }

// Open implements origin.Archive.
func (s shelves) Open(ctx context.Context, key string) (origin.Object, error) {
	o, err := s.Shelves.Open(ctx, key)
	if errors.Is(err, readback.ErrFull) {
		return origin.Object{}, fmt.Errorf("%w: %w", origin.ErrOverload, err)
	}
	if err != nil {
		return origin.Object{}, err
	}
	return origin.Object{Size: o.Size, Modified: o.Modified, Encoding: o.ContentEncoding, Age: o.CacheControl, Gap: o.CacheControl == segmenter.AgeGap, Body: o.Body}, nil
}
