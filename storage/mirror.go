package storage

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// Source is where the mirror finds the recordings; segmenter.Registry is one. Changed is closed when Timelines has a new
// one.
type Source interface {
	Timelines() []*segmenter.Timeline
	Changed() <-chan struct{}
}

// MirrorOptions of a Mirror. Zero values take the defaults that stand beside them.
type MirrorOptions struct {
	Store   Putter       // the bucket; nil: nothing is uploaded, the spool keeps what fits
	Replica Putter       // a second store that gets everything, too, independently of the first; may be nil
	Spool   *spool.Spool // nil: segments wait in memory only

	Workers     int           // requests at once per store; 4
	MemoryBytes int64         // of segments held for want of disk or bucket; 256 MiB
	SpoolFirst  time.Duration // how long an upload lets the disk go first; 200ms
	// ArchiveSplit is the length at which a timestamped playlist is finished and the next begins; 24h. Negative: never.
	ArchiveSplit time.Duration
	// ArchiveLag is the longest that a stored segment waits to be named in the growing timestamped playlist; 4m30s.
	ArchiveLag time.Duration

	RetryMin, RetryMax         time.Duration // pauses after failures: 50ms, 30s
	ProbeMin, ProbeMax         time.Duration // pauses while a store refuses for good: 30s, 5m
	DiskRetryMin, DiskRetryMax time.Duration // pauses while the disk fails: 1s, 30s
	// HangLimit is how long Run waits, once told to stop, for a disk that does not answer; 10s.
	HangLimit time.Duration

	Log *slog.Logger
	Now func() time.Time // the clock of retries and of what a playlist may lag; time.Now
}

func (o MirrorOptions) withDefaults() MirrorOptions {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if o.Workers == 0 {
		o.Workers = 4
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 256 << 20
	}
	def(&o.SpoolFirst, 200*time.Millisecond)
	def(&o.ArchiveSplit, 24*time.Hour)
	def(&o.ArchiveLag, 270*time.Second)
	def(&o.RetryMin, 50*time.Millisecond)
	def(&o.RetryMax, 30*time.Second)
	def(&o.ProbeMin, 30*time.Second)
	def(&o.ProbeMax, 5*time.Minute)
	def(&o.DiskRetryMin, time.Second)
	def(&o.DiskRetryMax, 30*time.Second)
	def(&o.HangLimit, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// MirrorStats may be read at any time. Those of the disk are spool.Stats, those of the uploads UploadStats.
type MirrorStats struct {
	Recordings   atomic.Int64 // gauge: recordings that something is still to be done for
	Segments     atomic.Int64 // segments taken from timelines
	Gaps         atomic.Int64 // segments whose bytes were lost
	DroppedBytes atomic.Int64 // their bytes
	DiskErrors   atomic.Int64 // attempts of the disk that failed
	Recovered    atomic.Int64 // recordings found in the spool at start
}

// Mirror follows every recording by position and brings it to disk and into the stores. It reads timelines and never
// writes them; nothing it does, or cannot do, is felt there.
type Mirror struct {
	o         MirrorOptions
	log       *slog.Logger
	stats     MirrorStats
	memory    memory
	episodes  episodes
	uploaders []*Uploader
	moved     broadcast

	mu         sync.Mutex
	recordings map[recordingKey]*recording
	newest     map[segmenter.Key]segmenter.RecordingID
	seen       map[*segmenter.Timeline]bool
	run        *running // nil unless Run is at work
}

type recordingKey struct {
	key segmenter.Key
	id  segmenter.RecordingID
}

// running is what one Run starts goroutines with.
type running struct {
	src    Source
	follow func(*recording, *segmenter.Timeline)
	disk   func(*recording)
}

// NewMirror makes a mirror that is not at work yet.
func NewMirror(o MirrorOptions) *Mirror {
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

// Stats are the mirror's counters.
func (m *Mirror) Stats() *MirrorStats { return &m.stats }

// Uploaders are one per store, the bucket first.
func (m *Mirror) Uploaders() []*Uploader { return m.uploaders }

// HeldBytes is how much memory holds segments that wait for disk or bucket.
func (m *Mirror) HeldBytes() int64 { return m.memory.used.Load() }

// Run mirrors until ctx ends, and returns when all it started has ended. What was listed by then is on disk; what is not
// in the stores goes on after the next start. Call Sync and Flush before, for a stop in good order.
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
	var inventory error
	if m.o.Spool != nil {
		disks.Go(func() { inventory = m.o.Spool.Inventory(disk) })
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
	m.run = nil // nothing is begun any more
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
	if errors.Is(inventory, context.Canceled) {
		inventory = nil
	}
	return inventory
}

// within tells whether wait returned in time. Where it did not, its goroutine stays until it does.
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

// start takes up what Recover found. Recordings that are over, or may not go on, have no timeline to wait for.
func (m *Mirror) start(r *running) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.run = r
	for _, rec := range m.recordings {
		m.launch(rec)
	}
}

// launch lets disk and uploads work on a recording. m.mu is held.
func (m *Mirror) launch(r *recording) {
	for i, u := range m.uploaders {
		u.add(r.lanes[i])
	}
	if r.folder != nil {
		m.run.disk(r)
	}
}

// discover begins to follow the timelines that are new.
func (m *Mirror) discover() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		return
	}
	known := make(map[*segmenter.Timeline]bool, len(m.seen))
	for _, t := range m.run.src.Timelines() {
		known[t] = true
		if !m.seen[t] {
			m.begin(t)
		}
	}
	m.seen = known
	for _, r := range m.recordings {
		m.orphan(r)
	}
}

// begin follows one timeline. m.mu is held.
func (m *Mirror) begin(t *segmenter.Timeline) {
	k := recordingKey{t.Key(), t.Recording()}
	r := m.recordings[k]
	if r == nil {
		r = newRecording(m, k.key, k.id)
		if m.o.Spool != nil {
			folder, err := m.o.Spool.Folder(spool.ID{App: k.key.App, Stream: k.key.Stream, Recording: string(k.id)}, r)
			if err != nil {
				m.log.Error("recording is not spooled", "err", err)
			}
			r.folder = folder
		}
		m.enlist(r)
		m.launch(r)
	}
	r.mu.Lock()
	r.following = true
	r.mu.Unlock()
	m.run.follow(r, t)
}

// orphan ends a recovered recording that no timeline goes on with. m.mu is held.
func (m *Mirror) orphan(r *recording) {
	r.mu.Lock()
	lost := !r.following && !r.ended
	if lost {
		r.ended = true
	}
	r.mu.Unlock()
	if lost {
		r.changed()
	}
}

// enlist adds a recording, and settles to whom the stream's stable entry belongs. m.mu is held.
func (m *Mirror) enlist(r *recording) {
	m.recordings[recordingKey{r.key, r.id}] = r
	m.stats.Recordings.Add(1)
	switch newest, ok := m.newest[r.key]; {
	case !ok || r.id > newest:
		m.newest[r.key] = r.id
		if old := m.recordings[recordingKey{r.key, newest}]; ok && old != nil {
			old.supersede()
		}
	case r.id < newest:
		r.supersede()
	}
}

// forget drops a recording that is complete.
func (m *Mirror) forget(r *recording) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.recordings[recordingKey{r.key, r.id}] != r {
		return
	}
	delete(m.recordings, recordingKey{r.key, r.id})
	m.stats.Recordings.Add(-1)
	for i, u := range m.uploaders {
		u.remove(r.lanes[i])
	}
	r.mu.Lock()
	r.journal.gone = true
	empty := len(r.rows) == 0
	r.mu.Unlock()
	r.moved.wake()
	m.moved.wake()
	if m.newest[r.key] == r.id {
		delete(m.newest, r.key) // whatever is older knows that it is, and journals it
	}
	if empty {
		return // nobody ever saw it
	}
	m.log.Info("recording is complete in the bucket", "stream", r.key.String(), "recording", string(r.id))
}

// follow copies one timeline by position until it has ended or ctx has.
func (m *Mirror) follow(ctx context.Context, r *recording, t *segmenter.Timeline) {
	for {
		s := t.Snapshot()
		n := r.takeAndHand(ctx, s)
		m.stats.Segments.Add(int64(n))
		if s.State == segmenter.Ended {
			if r.folder == nil && r.complete() {
				m.forget(r)
			}
			return
		}
		select {
		case <-s.Changed():
		case <-ctx.Done():
			r.takeAndHand(ctx, t.Snapshot())
			return
		}
	}
}

// takeAndHand copies a snapshot, lets the disk go first for a moment, and hands over to the uploads.
func (r *recording) takeAndHand(ctx context.Context, s *segmenter.Snapshot) (n int) {
	n = r.take(s)
	r.wakeDisk()
	if n > 0 {
		r.awaitDisk(ctx)
	}
	r.handOver()
	return n
}

// letGo releases what is still held in memory, at the very end.
func (m *Mirror) letGo() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.recordings {
		r.mu.Lock()
		for seq, seg := range r.memory {
			delete(r.memory, seq)
			m.memory.release(seg)
		}
		r.mu.Unlock()
	}
}

// all is a copy of the list of recordings.
func (m *Mirror) all() []*recording {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*recording, 0, len(m.recordings))
	for _, r := range m.recordings {
		list = append(list, r)
	}
	return list
}
