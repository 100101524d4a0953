package mirror

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/episode"
	"github.com/hlsorigin/hlsorigin/storage/fence"
	"github.com/hlsorigin/hlsorigin/storage/pace"
	"github.com/hlsorigin/hlsorigin/storage/shared"
)

// TookBounds are the upper bounds of UploadStats.Took; the last bucket has none. Near stores take some 100 ms for a segment, and an upload
// without progress is given up after some seconds.
var TookBounds = [...]time.Duration{
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 30 * time.Second, 60 * time.Second,
}

// UploadStats may be read at any time.
type UploadStats struct {
	BacklogSegments atomic.Int64                          // gauge: segments not yet in the store
	BacklogBytes    atomic.Int64                          // gauge: their bytes
	BacklogTracks   atomic.Int64                          // gauge: segments not yet in the store as CMAF
	Segments        atomic.Int64                          // segments stored
	Bytes           atomic.Int64                          // their bytes
	Tracks          atomic.Int64                          // segments stored as CMAF
	TrackBytes      atomic.Int64                          // their bytes
	Unrendered      atomic.Int64                          // segments of which no CMAF can be made
	Playlists       atomic.Int64                          // playlists written
	PlaylistBytes   atomic.Int64                          // their bytes as stored
	Retries         atomic.Int64                          // attempts after a failure of the same object
	Failures        [storage.NumFailureKinds]atomic.Int64 // failed attempts by FailureKind
	Conflicts       atomic.Int64                          // names that already had different content
	Took            [len(TookBounds) + 1]atomic.Int64     // segments stored by how long that took: from taking it up, and the disk's reading, to the store's confirmation
	TookSum         atomic.Int64                          // nanoseconds, of all
	Inflight        atomic.Int64                          // gauge: requests in progress
	Parallel        atomic.Int64                          // gauge: requests allowed at once
}

// took counts a segment that was stored.
func (s *UploadStats) took(d time.Duration) {
	i, _ := slices.BinarySearch(TookBounds[:], d)
	s.Took[i].Add(1)
	s.TookSum.Add(int64(d))
}

// EachFailure calls fn for each kind of failure with its count.
func (s *UploadStats) EachFailure(fn func(k storage.FailureKind, n int64)) {
	for k := storage.Missing; k < storage.NumFailureKinds; k++ {
		fn(k, s.Failures[k].Load())
	}
}

// Uploader copies the mirror's content to one store. It retries endlessly, never lists in a playlist what the store has not confirmed, and
// drives no store harder than it can take.
type Uploader struct {
	m      *Mirror
	name   string // "bucket" or "replica", for logs
	target int
	store  storage.Putter
	stats  UploadStats
	log    *slog.Logger
	wakeup chan struct{}
	stills *stills

	shared   *shared.Store // what playlists are written to
	flushing atomic.Bool   // growing playlists are written without waiting

	mu        sync.Mutex // taken before recording.mu
	lanes     ring
	tracks    ring // of CMAF: nothing of it delays what is in lanes
	picks     int
	putting   int
	rendering int       // jobs of CMAF
	refusals  int       // of what is CMAF, in a row
	refuses   time.Time // until then nothing of it is sent
	loading   int       // jobs that still read the spool: they delay only one another
	pace      pace.Pace
	entries   map[entryOf]bool // stable entries that are being written: of two writes the older could arrive last
	alone     episode.Alone
	spell     episode.Spell // of failures
	trouble   error
	permanent bool
}

// entryOf is a stream's stable entry, or that over its tracks.
type entryOf struct {
	key    segmenter.Key
	tracks bool
}

func newUploader(m *Mirror, name string, target int, store storage.Putter) *Uploader {
	u := &Uploader{
		m: m, name: name, target: target, store: store, log: m.log.With("target", name), wakeup: make(chan struct{}, 1),
		stills: newStills(), pace: m.o.pace(), entries: map[entryOf]bool{},
	}
	u.shared = shared.New(shared.Options{
		Store: store, Log: u.log, Now: m.o.Now, Pauses: m.o.pauses(),
		Takes: func() bool { return u.stats.Segments.Load()+u.stats.Playlists.Load() > 0 },
	})
	u.stats.Parallel.Store(int64(u.pace.Limit()))
	return u
}

// Stats returns the uploader's counters.
func (u *Uploader) Stats() *UploadStats { return &u.stats }

// Name returns "bucket" or "replica".
func (u *Uploader) Name() string { return u.name }

// Shared returns what all playlists are written through that go to the store.
func (u *Uploader) Shared() *shared.Store { return u.shared }

// Conditions tells whether the store keeps to conditional writes.
func (u *Uploader) Conditions() fence.Fitness { return u.shared.Fence.Fitness() }

func (u *Uploader) poke() {
	select {
	case u.wakeup <- struct{}{}:
	default:
	}
}

// ring is lanes of which each has its turn.
type ring struct {
	lanes []*lane
	turn  int // index of the next one
}

// ringOf is the ring that a lane is in.
func (u *Uploader) ringOf(l *lane) *ring {
	if l.of != nil {
		return &u.tracks
	}
	return &u.lanes
}

func (u *Uploader) add(l *lane) {
	u.mu.Lock()
	r := u.ringOf(l)
	r.lanes = append(r.lanes, l)
	u.mu.Unlock()
	l.wake()
}

func (u *Uploader) remove(l *lane) {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.ringOf(l)
	if i := slices.Index(r.lanes, l); i >= 0 {
		r.lanes = append(r.lanes[:i:i], r.lanes[i+1:]...)
	}
}

// all returns a copy of the list of all lanes. u.mu is held.
func (u *Uploader) all() []*lane { return slices.Concat(u.lanes.lanes, u.tracks.lanes) }

// run uploads until ctx ends, and returns when no request is in progress any more.
func (u *Uploader) run(ctx context.Context) {
	var jobs sync.WaitGroup
	defer jobs.Wait()
	jobs.Go(func() { u.stills.run(ctx, u.store, &u.m.moved) })
	jobs.Go(func() { u.shared.Run(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		j, due := u.next(u.m.o.Now())
		if j.kind != noJob {
			jobs.Go(func() { u.do(ctx, j) })
			continue
		}
		var alarm <-chan time.Time
		if !due.IsZero() {
			timer.Reset(max(due.Sub(u.m.o.Now()), time.Millisecond))
			alarm = timer.C
		}
		select {
		case <-u.wakeup:
		case <-alarm:
		case <-ctx.Done():
		}
	}
}

// next picks the next job. If there is none, due is when to look again unless poked before.
func (u *Uploader) next(now time.Time) (j job, due time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	ok, due := u.pace.Allows(u.putting, now)
	if !ok {
		return j, due
	}
	// A store in trouble is first asked for something other than what it refused: it may refuse only that.
	if u.pace.Gated() {
		if j = u.choose(&u.lanes, now, true); j.kind != noJob {
			return j, time.Time{}
		}
	}
	if j = u.choose(&u.lanes, now, false); j.kind != noJob {
		return j, time.Time{}
	}
	due = time.Time{}
	if free, at := u.roomToRender(now); free {
		if j = u.choose(&u.tracks, now, false); j.kind != noJob {
			return j, due
		}
		due = earliest(due, u.tracks.lanes)
	} else {
		due = at
	}
	return j, earliest(due, u.lanes.lanes)
}

// earliest is the earliest of an instant and those at which lanes may have something to do; zero: there is none.
func earliest(due time.Time, lanes []*lane) time.Time {
	for _, l := range lanes {
		for c := range l.due {
			if t := l.due[c]; !t.IsZero() && (due.IsZero() || t.Before(due)) {
				due = t
			}
		}
	}
	return due
}

// maxRendering is how many jobs of CMAF there may be at once: each has a segment in memory as a whole, twice.
const maxRendering = 2

// roomToRender reports whether a job of CMAF may begin, now that there is none of the transport stream. If not, at says when to ask again, or
// zero if the end of a job decides. u.mu is held.
func (u *Uploader) roomToRender(now time.Time) (ok bool, at time.Time) {
	if u.refuses.After(now) {
		return false, u.refuses
	}
	return u.rendering == 0 || !u.pace.Gated() && u.rendering < maxRendering && u.putting+u.rendering < u.pace.Limit(), at
}

// choose begins the next job of a ring's lanes; with fresh set, one that has not failed. u.mu is held.
func (u *Uploader) choose(r *ring, now time.Time, fresh bool) (j job) {
	disk := r == &u.tracks || u.putting+u.loading < max(u.pace.Limit(), u.putting+1)
	order := [...]class{front, backlog}
	if u.picks%4 == 3 {
		order = [...]class{backlog, front}
	}
	for _, c := range order {
		for i := range r.lanes {
			at := (r.turn + i) % len(r.lanes)
			l := r.lanes[at]
			if !l.look(c, now) {
				continue
			}
			j, l.due[c] = l.pick(now, c, disk, fresh)
			if j.kind != noJob || fresh {
				l.ready[c].Store(true) // there may be more
			}
			if j.kind != noJob {
				r.turn = (at + 1) % len(r.lanes)
				u.picks++
				u.begin(&j)
				return j
			}
		}
	}
	return j
}

func (u *Uploader) begin(j *job) {
	*u.kindOf(j)++
	u.stats.Inflight.Add(1)
	u.pace.Begin(j.begun)
}

// kindOf counts the jobs of a job's kind. u.mu is held.
func (u *Uploader) kindOf(j *job) *int {
	switch {
	case j.lane.of != nil:
		return &u.rendering
	case j.fromDisk:
		return &u.loading
	}
	return &u.putting
}

// Retry ends every pause: what waits for its next attempt is tried now. It is for an operator who knows that the store has recovered, or
// wants to see whether it has.
func (u *Uploader) Retry() {
	u.mu.Lock()
	u.pace.Hurry()
	u.refusals, u.refuses = 0, time.Time{}
	lanes := u.all()
	u.mu.Unlock()
	for _, l := range lanes {
		l.wake()
	}
	u.poke()
}
