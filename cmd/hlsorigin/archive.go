package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin"
	"github.com/hlsorigin/hlsorigin/origin/admin"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/readback"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// archive is everything behind the timeline: spool, mirror, buckets, and the way back.
type archive struct {
	log      *slog.Logger
	registry *segmenter.Registry
	dir      string       // of the spool
	spool    *spool.Spool // nil without spool.dir
	unlock   func() error // of the spool; nil where it could not be locked
	stores   []*bucket    // the bucket first, then its replica
	mirror   *mirror.Mirror
	reading  *readback.Cache // nil without a bucket
	names    *finder         // nil without a bucket
	keep     map[string]time.Duration
	groups   bool // there are ladders
	running  *service
	ladders  *service   // nil without groups
	expiring []*service // one for each store; none where every app keeps everything
}

// openArchive makes spool, buckets and mirror, and touches none of them: that begins with takeUp. A bucket that cannot be had
// is no error: what is for it waits in the spool.
func openArchive(cfg configs.Config, b *budget, registry *segmenter.Registry, log *slog.Logger) (*archive, error) {
	a := &archive{log: log, registry: registry, keep: map[string]time.Duration{}}
	for name, app := range cfg.Apps {
		a.groups = a.groups || len(app.Groups) > 0
		if app.Keep > 0 {
			a.keep[name] = app.Keep.Std()
		}
	}
	if cfg.Spool.Dir != "" {
		a.dir = cfg.Spool.Dir
		a.spool = spool.New(spool.Options{Dir: cfg.Spool.Dir, MaxBytes: int64(cfg.Spool.MaxBytes), Sync: spool.Sync(cfg.Spool.Fsync)})
	}
	o := mirror.Options{
		Spool: a.spool, Workers: cfg.Storage.Workers, MemoryBytes: b.share[archiveShare], ArchiveSplit: time.Duration(cfg.HLS.ArchiveSplit),
		Log: log.With("part", "archive"), Now: time.Now,
	}
	if o.ArchiveSplit == 0 {
		o.ArchiveSplit = -1
	}
	main, err := openBucket("storage", cfg.Storage.Bucket, log)
	if err != nil {
		return nil, err
	}
	if main != nil {
		a.stores, o.Store = append(a.stores, main), main
		a.reading = readback.New(storage.Retry(main, storage.RetryOptions{Attempts: readAttempts}), readback.Options{MaxBytes: b.share[readbackShare] / 2, MaxPassed: b.share[readbackShare] / 2, Now: time.Now, Inspect: readback.InspectSegments})
	}
	if cfg.Storage.Replica != nil {
		replica, err := openBucket("storage.replica", *cfg.Storage.Replica, log)
		if err != nil {
			return nil, errors.Join(err, a.close())
		}
		if replica != nil {
			a.stores, o.Replica = append(a.stores, replica), replica
		}
	}
	if len(a.stores) > 0 {
		a.names = newFinder(registry, a.stores[0], time.Now)
	}
	a.mirror = mirror.New(o)
	return a, nil
}

// takeUp locks the spool and hands the recordings in it that are not finished to the registry. It is called when the ports are
// had: a start that fails on one has touched nothing.
func (a *archive) takeUp() error {
	if a.spool == nil {
		return nil
	}
	unlock, err := spool.Lock(a.dir)
	switch {
	case errors.Is(err, spool.ErrLocked):
		return fmt.Errorf("spool.dir: %s is in use by another hlsorigin: stop that one, or choose another directory", a.dir)
	case err != nil:
		a.log.Error("the spool cannot be used now, segments go from memory to the bucket", "error", err)
	default:
		a.unlock = unlock
	}
	if err := a.recover(); err != nil {
		a.log.Error("part of the spool cannot be read or understood; nothing of it is removed", "error", err)
	}
	return nil
}

// readAttempts is how often an object is asked for before a viewer is told that it cannot be had now.
const readAttempts = 3

func (a *archive) recover() error {
	found, err := a.mirror.Recover(context.Background())
	for _, r := range found {
		if e := a.registry.Restore(r); e != nil {
			err = errors.Join(err, e)
			continue
		}
		a.log.Info("recording taken up again", "stream", r.Key.String(), "recording", r.Recording, "segments", len(r.Rows), "next", r.Next)
	}
	return err
}

func (a *archive) begin(failed chan<- error) {
	a.running = start("archive", failed, func(ctx context.Context) error { return a.mirror.Run(ctx, a.registry) })
	if a.groups {
		a.ladders = start("ladders", failed, mirror.NewLadders(a.mirror, a.registry).Run)
	}
	if len(a.keep) > 0 {
		for i, name := range []string{"bucket", "replica"}[:len(a.stores)] {
			r := newRetention(name, a.stores[i], a.keep, a.log)
			a.expiring = append(a.expiring, start("retention of the "+name, failed, r.run))
		}
	}
}

// settle brings all that was listed to the disk: what is not in the bucket by the end goes on at the next start.
func (a *archive) settle(ctx context.Context) error {
	if a.spool == nil {
		return nil
	}
	return a.mirror.Sync(ctx)
}

// flush waits for the buckets until ctx is done, and ends the mirror. What is left behind is said, and is no failure
// where a spool keeps it.
func (a *archive) flush(ctx context.Context) error {
	err := a.mirror.Flush(ctx)
	if err != nil && a.spool != nil {
		a.log.Warn("what the bucket does not have yet stays in the spool for the next start", "behind", err)
		err = nil
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), durableStop)
	defer cancel()
	return errors.Join(err, stopAll(stop, append(a.expiring, a.ladders)...), a.running.stop(stop))
}

func (a *archive) close() error {
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
	return shelves{a.spool, a.reading, a.names}
}

// disk is where the files of segments are that may still be in memory; nil without a spool.
func (a *archive) disk() origin.Archive {
	if a.spool == nil {
		return nil
	}
	return shelves{spool: a.spool}
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
	reasons := a.mirror.Health()
	if len(reasons) == 0 {
		return []admin.Check{{Name: "archive"}}
	}
	var checks []admin.Check
	for _, r := range reasons {
		checks = append(checks, admin.Check{Name: "archive", Reason: r})
	}
	return checks
}

func (a *archive) metrics(m meters) {
	s := a.mirror.Stats()
	m.gauge("archive_recordings", "Recordings that spool or bucket are not finished with.", nil, of(&s.Recordings))
	m.counter("archive_gaps_total", "Segments whose bytes were lost; each is EXT-X-GAP in the archive.", nil, of(&s.Gaps))
	m.counter("archive_lost_bytes_total", "Bytes of segments that were lost.", nil, of(&s.DroppedBytes))
	m.counter("archive_disk_errors_total", "Attempts of the spool's disk that failed.", nil, of(&s.DiskErrors))
	m.counter("archive_damaged_journals_total", "Recordings whose journal was damaged when the server started.", nil, of(&s.Damaged))
	m.counter("archive_salvaged_total", "Segments that no journal told of and that were found in their own bytes, on disk or in the bucket.", nil, of(&s.Salvaged))
	m.gauge("archive_memory_bytes", "Bytes of segments held in memory for want of disk or bucket.", nil, func() float64 { return float64(a.mirror.HeldBytes()) })
	if a.spool != nil {
		d := a.spool.Stats()
		m.gauge("spool_bytes", "Bytes of segments in the spool.", nil, of(&d.Bytes))
		m.gauge("spool_segments", "Segments in the spool.", nil, of(&d.Files))
		m.gauge("spool_max_bytes", "The spool's cap.", nil, func() float64 { return float64(a.spool.MaxBytes()) })
		m.gauge("spool_aside_folders", "Folders of the spool that could not be understood and were put aside, into .aside in spool.dir: look at the log, and remove them when they are repaired.", nil, of(&d.Aside))
		m.counter("spool_evicted_total", "Segments removed from the spool after every bucket had them.", nil, of(&d.Evicted))
		m.counter("spool_dropped_total", "Segments removed from the spool, for want of room, before every bucket had them.", nil, of(&d.Dropped))
		m.counter("spool_dropped_bytes_total", "Their bytes.", nil, of(&d.DroppedBytes))
		m.counter("spool_errors_total", "Failed writes to the spool.", nil, of(&d.Errors))
	}
	for _, u := range a.mirror.Uploaders() {
		a.uploadMetrics(m, u)
	}
	if a.reading != nil {
		r := &a.reading.Stats
		m.counter("readback_hits_total", "Objects answered from the memory of what was read back.", nil, of(&r.Hits))
		m.counter("readback_fetches_total", "Requests to the bucket for viewers.", nil, of(&r.Fetches))
		m.counter("readback_failures_total", "Of them, failed.", nil, of(&r.Failures))
		m.gauge("readback_memory_bytes", "Memory of what was read back.", nil, of(&r.Bytes))
	}
}

func (a *archive) uploadMetrics(m meters, u *mirror.Uploader) {
	s, l := u.Stats(), prometheus.Labels{"target": u.Name()}
	m.gauge("upload_backlog_segments", "Segments not yet confirmed by the bucket.", l, of(&s.BacklogSegments))
	m.gauge("upload_backlog_bytes", "Their bytes.", l, of(&s.BacklogBytes))
	m.gauge("upload_oldest_unsent_seconds", "Age of the oldest segment that the bucket has not confirmed; 0 where there is none.", l, func() float64 {
		for _, behind := range a.mirror.Behind() {
			if behind.Target == u.Name() && !behind.Oldest.IsZero() {
				return max(0, time.Since(behind.Oldest).Seconds())
			}
		}
		return 0
	})
	m.counter("upload_segments_total", "Segments confirmed by the bucket.", l, of(&s.Segments))
	m.counter("upload_bytes_total", "Their bytes.", l, of(&s.Bytes))
	m.counter("upload_playlists_total", "Playlists written to the bucket.", l, of(&s.Playlists))
	m.counter("upload_playlist_bytes_total", "Their bytes.", l, of(&s.PlaylistBytes))
	m.counter("upload_retries_total", "Attempts after a failed one of the same object.", l, of(&s.Retries))
	m.counter("upload_conflicts_total", "Names that held other content already: two writers, or a bucket that was tampered with.", l, of(&s.Conflicts))
	m.gauge("upload_in_flight", "Requests on their way.", l, of(&s.Inflight))
	m.gauge("upload_parallel", "Requests allowed at once.", l, of(&s.Parallel))
	s.EachFailure(func(k storage.FailureKind, _ int64) {
		m.counter("upload_failures_total", "Failed attempts, by kind.",
			prometheus.Labels{"target": u.Name(), "kind": k.String()}, of(&s.Failures[k]))
	})
}

// shelves are where a segment is looked for when memory does not have it: the spool, then the bucket.
type shelves struct {
	spool   *spool.Spool
	reading *readback.Cache
	names   *finder // knows what the bucket cannot have; nil: nothing is known
}

// Open implements origin.Archive.
func (s shelves) Open(ctx context.Context, key string) (origin.Object, error) {
	var missing error
	if s.spool != nil {
		f, size, err := s.spool.Open(key)
		if err == nil {
			o := origin.Object{Size: size, Body: f}
			if info, err := f.Stat(); err == nil {
				o.Modified = info.ModTime()
			}
			return o, nil
		}
		missing = err // a disk that fails is no reason not to ask the bucket
	}
	if s.reading == nil {
		return origin.Object{}, fmt.Errorf("open %s: %w", key, missing)
	}
	if s.names != nil && !s.names.Holds(ctx, key) {
		return origin.Object{}, fmt.Errorf("open %s: %w", key, fs.ErrNotExist)
	}
	c, err := s.reading.Open(ctx, key)
	if errors.Is(err, readback.ErrFull) {
		return origin.Object{}, fmt.Errorf("%w: %w", origin.ErrOverload, err)
	}
	if err != nil {
		return origin.Object{}, err
	}
	return origin.Object{Size: c.Size, Modified: c.Modified, Encoding: c.ContentEncoding, Gap: c.CacheControl == segmenter.AgeGap, Body: c}, nil
}
