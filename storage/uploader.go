package storage

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// UploadStats may be read at any time.
type UploadStats struct {
	BacklogSegments atomic.Int64        // gauge: segments not yet in the store
	BacklogBytes    atomic.Int64        // gauge: their bytes
	Segments        atomic.Int64        // segments stored
	Bytes           atomic.Int64        // their bytes
	Playlists       atomic.Int64        // playlists written
	PlaylistBytes   atomic.Int64        // their bytes as stored
	Retries         atomic.Int64        // attempts after a failed one of the same object
	Failures        [kinds]atomic.Int64 // failed attempts by FailureKind
	Conflicts       atomic.Int64        // names that held another content already
	Inflight        atomic.Int64        // gauge: requests on their way
	Parallel        atomic.Int64        // gauge: requests allowed at once
}

// EachFailure calls fn for each kind of failure with its count.
func (s *UploadStats) EachFailure(fn func(k FailureKind, n int64)) {
	for k := Missing; k < kinds; k++ {
		fn(k, s.Failures[k].Load())
	}
}

// Uploader brings what the mirror has into one store. It retries without end, never names in a playlist what the store
// has not confirmed, and drives no store harder than it can take.
type Uploader struct {
	m      *Mirror
	name   string // "bucket" or "replica", for logs
	target int
	store  Putter
	stats  UploadStats
	log    *slog.Logger
	wakeup chan struct{}

	flushing atomic.Bool // growing playlists are written without waiting

	mu        sync.Mutex // before recording.mu
	lanes     []*lane
	turn      int // index in lanes of the one whose turn it is
	picks     int
	putting   int
	loading   int // jobs that still read the spool: they hold up nothing but one another
	pace      pace
	entries   map[segmenter.Key]bool // stable entries that are being written
	troubled  time.Time              // when the episode of failures began
	trouble   error
	permanent bool
}

func newUploader(m *Mirror, name string, target int, store Putter) *Uploader {
	u := &Uploader{
		m: m, name: name, target: target, store: store, log: m.log.With("target", name), wakeup: make(chan struct{}, 1),
		pace: newPace(&m.o), entries: map[segmenter.Key]bool{},
	}
	u.stats.Parallel.Store(int64(u.pace.limit))
	return u
}

// Stats are the uploader's counters.
func (u *Uploader) Stats() *UploadStats { return &u.stats }

// Name is "bucket" or "replica".
func (u *Uploader) Name() string { return u.name }

func (u *Uploader) poke() {
	select {
	case u.wakeup <- struct{}{}:
	default:
	}
}

func (u *Uploader) add(l *lane) {
	u.mu.Lock()
	u.lanes = append(u.lanes, l)
	u.mu.Unlock()
	l.wake()
}

func (u *Uploader) remove(l *lane) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range u.lanes {
		if u.lanes[i] == l {
			u.lanes = append(u.lanes[:i:i], u.lanes[i+1:]...)
			return
		}
	}
}

// run uploads until ctx ends, and returns when no request is on its way any more.
func (u *Uploader) run(ctx context.Context) {
	var jobs sync.WaitGroup
	defer jobs.Wait()
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

// next picks the job whose turn it is; without one, due is when to look again unless somebody pokes before.
func (u *Uploader) next(now time.Time) (j job, due time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.putting >= u.pace.limit {
		return j, due
	}
	if u.pace.gate.After(now) {
		return j, u.pace.gate
	}
	disk := u.putting+u.loading < u.pace.limit
	order := [...]class{front, backlog}
	if u.picks%4 == 3 {
		order = [...]class{backlog, front}
	}
	for _, c := range order {
		for i := range u.lanes {
			at := (u.turn + i) % len(u.lanes)
			l := u.lanes[at]
			if !l.look(c, now) {
				continue
			}
			j, l.due[c] = l.pick(now, c, disk)
			if j.kind != noJob {
				l.ready[c].Store(true) // there may be more
				u.turn = (at + 1) % len(u.lanes)
				u.picks++
				u.begin(&j)
				return j, due
			}
		}
	}
	for _, l := range u.lanes {
		for c := range l.due {
			if t := l.due[c]; !t.IsZero() && (due.IsZero() || t.Before(due)) {
				due = t
			}
		}
	}
	return j, due
}

func (u *Uploader) begin(j *job) {
	if j.fromDisk {
		u.loading++
	} else {
		u.putting++
	}
	u.stats.Inflight.Add(1)
}

// do carries one job out and notes how it went.
func (u *Uploader) do(ctx context.Context, j job) {
	var err error
	switch j.kind {
	case segmentJob:
		err = u.segment(ctx, &j)
	default:
		err = u.playlist(ctx, &j)
	}
	u.end(ctx, &j, err)
}

// errGone says that the spool lost the bytes; errBadFile that they are not what they were.
var (
	errGone    = errors.New("the segment is not in the spool any more")
	errBadFile = errors.New("the segment's file in the spool is damaged")
	errSpool   = errors.New("read spool")
)

// spoolTries is how often a file that is there and cannot be read is tried again, over several minutes.
const spoolTries = 20

func (u *Uploader) segment(ctx context.Context, j *job) error {
	r := j.lane.r
	n := segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: j.sequence}
	r.mu.Lock()
	w := r.row(j.sequence)
	if w == nil {
		r.mu.Unlock()
		return errGone
	}
	size, crc := int64(w.size), w.crc
	seg := r.memory[j.sequence]
	held := seg != nil && seg.Retain()
	r.mu.Unlock()

	var body io.ReadSeeker
	if held {
		defer seg.Release()
		body = &sliceReader{parts: seg.Slices(nil)}
	} else {
		if u.m.o.Spool == nil {
			return errGone
		}
		f, _, err := u.m.o.Spool.Open(n.String())
		if errors.Is(err, fs.ErrNotExist) {
			return errGone
		} else if err != nil {
			return fmt.Errorf("%w: %w", errSpool, err)
		}
		defer f.Close()
		body = f
	}
	// The store compares what it has only where a name is taken already, and finds its own sum of the body then.
	check := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	got, err := io.Copy(check, body)
	if err != nil {
		return fmt.Errorf("%w: %w", errSpool, err)
	}
	if got != size || check.Sum32() != crc {
		return errBadFile
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%w: %w", errSpool, err)
	}
	u.loaded(j)
	return u.store.Put(ctx, n.String(), body, Attributes{
		ContentType: segmentType, CacheControl: segmentCache, IfAbsent: true,
	})
}

// loaded moves a job from those that read the disk to those that wait for the store.
func (u *Uploader) loaded(j *job) {
	if j.fromDisk {
		j.fromDisk = false
		u.mu.Lock()
		u.loading--
		u.putting++
		u.mu.Unlock()
		u.poke()
	}
}

// playlist renders at the last moment, so that what is written is the newest that may be.
func (u *Uploader) playlist(ctx context.Context, j *job) error {
	l := j.lane
	l.r.mu.Lock()
	var o object
	var ok bool
	switch j.kind {
	case liveJob:
		o, ok = l.liveObject(u.m.o.Now())
	case entryJob:
		o, ok = l.entryObject()
	case archiveJob:
		o, ok = l.archiveObject()
	}
	l.r.mu.Unlock()
	if !ok {
		return nil // what was due is not any more
	}
	sum := md5.Sum(o.body)
	o.a.MD5 = sum[:]
	if err := u.store.Put(ctx, o.key, bytes.NewReader(o.body), o.a); err != nil {
		return err
	}
	u.stats.Playlists.Add(1)
	u.stats.PlaylistBytes.Add(int64(len(o.body)))
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	switch j.kind {
	case liveJob:
		l.liveWritten, l.liveFirst, l.liveNext, l.liveEnded, l.liveGaps = true, o.first, o.next, o.ended, o.gaps
	case entryJob:
		l.entries[o.next] = string(o.body)
	case archiveJob:
		l.archiveWritten(&o)
	}
	return nil
}

// end notes the outcome of a job: what it means for the segment, and what for the store.
func (u *Uploader) end(ctx context.Context, j *job, err error) {
	now := u.m.o.Now()
	kind := KindOf(err)
	local := errors.Is(err, errGone) || errors.Is(err, errBadFile) || errors.Is(err, errSpool) // not the store's fault
	u.mu.Lock()
	if j.fromDisk {
		u.loading--
	} else {
		u.putting--
	}
	u.stats.Inflight.Add(-1)
	t := try{n: 1, epoch: u.pace.epoch}
	switch {
	case err == nil:
		if u.pace.success() {
			u.healed(now)
		}
	case local, kind == Exists, kind == Cancelled && ctx.Err() != nil:
	default:
		u.stats.Failures[kind].Add(1)
		u.stats.Retries.Add(1)
		if kind == Missing { // a Put that finds no bucket
			kind = Permanent
		}
		if u.pace.failure(kind, j.begun, now) {
			u.failing(err, kind, now)
		}
	}
	u.stats.Parallel.Store(int64(u.pace.limit))
	if j.kind == entryJob {
		delete(u.entries, j.lane.r.key)
	}
	wakeAll := j.kind == entryJob || err == nil && t.epoch != u.pace.epoch
	var lanes []*lane
	if wakeAll {
		lanes = append(lanes, u.lanes...)
	}
	u.mu.Unlock()

	if j.kind == segmentJob {
		u.segmentEnded(j, kind, err, t, now)
	} else {
		u.playlistEnded(j, err, t, now)
	}
	if wakeAll {
		for _, l := range lanes {
			l.wake()
		}
	}
	j.lane.r.changed()
	if r := j.lane.r; r.folder == nil && r.complete() {
		u.m.forget(r)
	}
}

func (u *Uploader) segmentEnded(j *job, kind FailureKind, err error, t try, now time.Time) {
	r, l := j.lane.r, j.lane
	switch {
	case err == nil:
		r.mu.Lock()
		size := int64(0)
		if w := r.row(j.sequence); w != nil {
			size = int64(w.size)
		}
		r.mu.Unlock()
		u.stats.Segments.Add(1)
		u.stats.Bytes.Add(size)
		r.confirm(l.target, j.sequence)
		l.sent(j.sequence)
	case errors.Is(err, errGone), errors.Is(err, errBadFile), errors.Is(err, errSpool) && l.failures(j.sequence) >= spoolTries:
		news := r.drop(j.sequence)
		l.sent(j.sequence)
		if news {
			u.log.Error("segment is lost and becomes a gap in the archive", "stream", r.key.String(), "recording", string(r.id),
				"sequence", j.sequence, "err", err)
		}
	case kind == Exists:
		u.stats.Failures[kind].Add(1)
		u.stats.Conflicts.Add(1)
		u.log.Error("the store holds another segment under this name: two servers write one recording, or the bucket was tampered with; the archive gets a gap",
			"stream", r.key.String(), "recording", string(r.id), "sequence", j.sequence)
		r.refuse(l.target, j.sequence)
		l.sent(j.sequence)
	default:
		t.due = now.Add(u.pace.backoff.Backoff(l.failures(j.sequence) + 1))
		l.again(j.sequence, t)
	}
}

func (u *Uploader) playlistEnded(j *job, err error, t try, now time.Time) {
	l := j.lane
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	s := l.slotOf(j.kind)
	s.busy = false
	l.inflight--
	if err == nil {
		s.try = try{}
		return
	}
	t.n += s.try.n
	t.due = now.Add(u.pace.backoff.Backoff(t.n))
	s.try = t
}

// failing begins an episode. u.mu is held.
func (u *Uploader) failing(err error, kind FailureKind, now time.Time) {
	if u.troubled.IsZero() {
		u.troubled = now
	}
	u.trouble, u.permanent = err, kind == Permanent
	if kind == Permanent {
		u.log.Error("the store refuses uploads; all data is kept and the store is tried again every few minutes: check that the bucket exists, and the credentials and policy that write to it", "err", err)
		return
	}
	u.log.Warn("uploads fail; all data is kept, and they are tried again until they succeed", "kind", kind.String(), "err", err)
}

// healed ends it. u.mu is held.
func (u *Uploader) healed(now time.Time) {
	if u.troubled.IsZero() {
		return
	}
	u.log.Info("uploads succeed again", "after", now.Sub(u.troubled).Round(time.Millisecond),
		"backlog_segments", u.stats.BacklogSegments.Load(), "backlog_bytes", u.stats.BacklogBytes.Load())
	u.troubled, u.trouble, u.permanent = time.Time{}, nil, false
}

// lockEntry keeps two recordings of one stream from writing its stable entry at the same time, where the older could
// come last. u.mu is held.
func (u *Uploader) lockEntry(r *recording) bool {
	if u.entries[r.key] {
		return false
	}
	u.entries[r.key] = true
	return true
}

// sliceReader reads consecutive slices, from wherever it is told to.
type sliceReader struct {
	parts [][]byte
	at    int // index in parts
	off   int // in parts[at]
}

func (s *sliceReader) Read(p []byte) (int, error) {
	for s.at < len(s.parts) && s.off == len(s.parts[s.at]) {
		s.at, s.off = s.at+1, 0
	}
	if s.at == len(s.parts) {
		return 0, io.EOF
	}
	n := copy(p, s.parts[s.at][s.off:])
	s.off += n
	return n, nil
}

func (s *sliceReader) size() (n int64) {
	for _, p := range s.parts {
		n += int64(len(p))
	}
	return n
}

func (s *sliceReader) tell() (n int64) {
	for _, p := range s.parts[:s.at] {
		n += int64(len(p))
	}
	return n + int64(s.off)
}

// Seek implements io.Seeker.
func (s *sliceReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.tell()
	case io.SeekEnd:
		offset += s.size()
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	s.at, s.off = 0, 0
	for left := offset; s.at < len(s.parts); s.at++ {
		if n := int64(len(s.parts[s.at])); left < n {
			s.off = int(left)
			break
		} else {
			left -= n
		}
	}
	return offset, nil
}
