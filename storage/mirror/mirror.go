// Package mirror follows every timeline by position and copies it to the spool on local disk, and from there to one store or two. It never
// delays a timeline (where viewers are to wait for the first store, segmenter.Options.Confirmed, it says what that has), never lists in a playlist what the store has not confirmed, and refuses to know which store it talks to, to read
// recordings for others, or to change what another wrote. What leads to several recordings, the playlists of ladders, is package ladder's.
//
// # One segment
//
// A row that a snapshot has, and the table has not, is copied (follow.go): its bytes are kept in memory (memory.go), and it is added to the
// table (table.go). The recording's own goroutine (disk.go) writes row and bytes to the spool (journal.go). plan (plan.go), a function of
// table, lane and time, decides what goes next to a store; a worker sends it (send.go). Its outcome is recorded in the table (outcome.go)
// and in the journal, and only then may a playlist list the segment (playlist.go).
//
// After a start, Recover (recover.go) fills the tables from the journals, and everything goes on from there: all who work on a recording
// hold nothing but a position in its table, so there is nothing else to restore.
//
// # Locks
//
// A recording has one lock, recording.mu. It guards the table, the positions of the lanes, what the journal knows, and what is held in
// memory. It is never held during a request, a disk access, or a wait. Methods of recording and lane that take it themselves say so; all
// others are called with it held.
//
// Other locks are taken in this order, each before those below it, and none of them while recording.mu is held:
//
//	Mirror.mu      which recordings there are, and which is a stream's newest
//	Uploader.mu    whose turn it is, how many requests there are, how hard the store may be driven; lane.due
//	memory.mu      in which order segments were taken into memory
//	Spool.mu       (of package spool) which files there are; it calls recording.Need
//	recording.mu
//	Fence.mu, Tenure.mu (of packages fence and claim)
//	broadcast.mu, that of episodes
//
// A timeline's own lock is taken by recording.show alone, which is called without recording.mu; nothing is taken while it is held.
//
// What wakes others (wakeDisk, wakeLanes, the broadcasts) takes none of the first five, and may be called with any of them held. A lane's
// ready bits are atomic: they are set without a lock, and read under Uploader.mu.
package mirror

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/episode"
	"github.com/hlsorigin/hlsorigin/storage/pages"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// Mirror follows every recording by position and copies it to disk and to the stores. It reads timelines, and tells them what the first store
// has confirmed; nothing else that it does, or fails to do, affects them.
type Mirror struct {
	o         Options
	log       *slog.Logger
	stats     Stats
	memory    memory
	renderer  tracks.Renderer
	episodes  episode.Spool
	uploaders []*Uploader
	moved     broadcast
	crowded   atomic.Bool        // little of the spool is left for what no store has, and that was reported
	ladders   []*spool.Recovered // ladders that Recover found
	server    claim.Server       // see Name

	mu         sync.Mutex
	recordings map[recordingKey]*recording
	newest     map[segmenter.Key]segmenter.RecordingID
	seen       map[*segmenter.Timeline]bool
	run        *running // nil unless Run is running
}

type recordingKey struct {
	key segmenter.Key
	id  segmenter.RecordingID
}

// running is what one Run uses to start goroutines.
type running struct {
	src    Source
	follow func(*recording, *segmenter.Timeline)
	disk   func(*recording)
}

// New returns a mirror that is not running yet.
func New(o Options) *Mirror {
	o = o.withDefaults()
	m := &Mirror{
		o: o, log: o.Log, recordings: map[recordingKey]*recording{}, newest: map[segmenter.Key]segmenter.RecordingID{},
		seen: map[*segmenter.Timeline]bool{},
	}
	m.memory.budget = o.MemoryBytes
	if o.Store != nil {
		m.uploaders = append(m.uploaders, newUploader(m, "bucket", 0, o.Store))
	}
	if o.Replica != nil {
		m.uploaders = append(m.uploaders, newUploader(m, "replica", len(m.uploaders), o.Replica))
	}
	return m
}

// Options returns what the mirror goes by, with the defaults of what was not given.
func (m *Mirror) Options() Options { return m.o }

// Stats returns the mirror's counters.
func (m *Mirror) Stats() *Stats { return &m.stats }

// Uploaders returns one per store, the bucket first.
func (m *Mirror) Uploaders() []*Uploader { return m.uploaders }

// Retry tries at once what waits for a store that failed.
func (m *Mirror) Retry() {
	for _, u := range m.uploaders {
		u.Retry()
	}
}

// HeldBytes returns how many bytes of segments are held in memory, waiting for disk or bucket.
func (m *Mirror) HeldBytes() int64 { return m.memory.used.Load() }

// Run mirrors until ctx ends, and returns when everything it started has ended. What was listed by then is on disk; what is not in the
// stores is sent after the next start. For an orderly stop call Sync and Flush first.
func (m *Mirror) Run(ctx context.Context, src Source) error {
	follow, stopFollow := context.WithCancel(ctx)
	upload, stopUpload := context.WithCancel(context.WithoutCancel(ctx))
	disk, stopDisk := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFollow()
	defer stopUpload()
	defer stopDisk()
	var followers, uploads, disks sync.WaitGroup
	m.start(&running{
		src:    src,
		follow: func(r *recording, t *segmenter.Timeline) { followers.Go(func() { m.follow(follow, r, t) }) },
		disk:   func(r *recording) { disks.Go(func() { r.disk(disk) }) },
	})
	for _, u := range m.uploaders {
		uploads.Go(func() { u.run(upload) })
	}
	if m.o.Spool != nil {
		disks.Go(func() {
			if err := m.o.Spool.Inventory(disk); err != nil && disk.Err() == nil {
				m.log.Error("not all of the spool can be counted; what cannot is served from the bucket, and does not make room: check what lies in spool.dir", "err", err)
			}
		})
	}
	for {
		changed := src.Changed()
		m.discover()
		select {
		case <-changed:
			continue
		case <-ctx.Done():
		}
		break
	}
	m.discover()
	m.mu.Lock()
	m.run = nil // nothing new is started
	m.mu.Unlock()
	stopFollow()
	followers.Wait()
	stopUpload()
	inTime := within(m.o.HangLimit, uploads.Wait)
	stopDisk()
	if !inTime || !within(m.o.HangLimit, disks.Wait) {
		return errors.New("the spool's disk does not answer; what is not in the bucket may be lost with this process")
	}
	m.letGo()
	return nil
}

// within reports whether wait returned in time. If not, its goroutine stays until it does.
func within(d time.Duration, wait func()) bool {
	done := make(chan struct{})
	go func() {
		wait()
		close(done)
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// start takes over what Recover found. Recordings that are over, or must not go on, have no timeline to wait for.
func (m *Mirror) start(r *running) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.run = r
	for _, rec := range m.recordings {
		m.launch(rec)
	}
}

// launch starts disk and uploads for a recording. m.mu is held.
func (m *Mirror) launch(r *recording) {
	for _, l := range r.ways {
		l.u.add(l)
	}
	if r.folder != nil {
		m.run.disk(r)
	}
}

// What no store has takes up this percentage of the spool's cap when room is low, and when it is sufficient again.
const (
	spoolLow   = 80
	spoolRoomy = 70
)

// unsent returns how many bytes are missing in the store that lacks most.
func (m *Mirror) unsent() (most int64) {
	for _, u := range m.uploaders {
		most = max(most, u.stats.BacklogBytes.Load())
	}
	return most
}

// fills records that there is more to be stored, and roomy that there is less.
func (m *Mirror) fills() {
	if m.o.Spool != nil && m.unsent() >= m.o.Spool.MaxBytes()/100*spoolLow && m.crowded.CompareAndSwap(false, true) {
		m.low("what no bucket has fills the spool: when it is full the oldest is given up")
	}
}

func (m *Mirror) roomy() {
	if m.crowded.Load() && m.unsent() < m.o.Spool.MaxBytes()/100*spoolRoomy {
		m.crowded.Store(false)
	}
}

// low reports that the spool has little room.
func (m *Mirror) low(why string) {
	m.tell(Notice{Kind: SpoolLow, Reason: why, Bytes: m.unsent()})
}

// letGo releases what is still held in memory, at the very end, and reports what was only counted.
func (m *Mirror) letGo() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.recordings {
		r.mu.Lock()
		r.tellLost(true)
		for seq, seg := range r.memory {
			delete(r.memory, seq)
			m.memory.release(seg)
		}
		r.mu.Unlock()
	}
}

// find returns a recording that the mirror still works on, or nil.
func (m *Mirror) find(key segmenter.Key, id segmenter.RecordingID) *recording {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.recordings[recordingKey{key, id}]
}

// Pages returns small journals beside those of recordings, in the same spool: whether the disk fails is noticed and told for all together.
func (m *Mirror) Pages() *pages.Pages {
	return pages.New(pages.Options{
		Spool: m.o.Spool, Log: m.log, RetryMin: m.o.DiskRetryMin, RetryMax: m.o.DiskRetryMax,
		Failed: func(err error, first bool) {
			m.stats.DiskErrors.Add(1)
			m.episodes.DiskFailed(m.log, err, first, m.o.Now())
		},
		Healed: func() { m.episodes.DiskHealed(m.log, m.o.Now()) },
	})
}

// all returns a copy of the list of recordings.
func (m *Mirror) all() []*recording {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*recording, 0, len(m.recordings))
	for _, r := range m.recordings {
		list = append(list, r)
	}
	return list
}
