package mirror

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// errGone means that the spool lost the bytes; errBadFile that they have changed.
var (
	errGone    = errors.New("the segment is not in the spool any more")
	errBadFile = errors.New("the segment's file in the spool is damaged")
	errSpool   = errors.New("read spool")
)

// spoolTries is how often a file that exists and cannot be read is tried again, over several minutes.
const spoolTries = 20

// do carries out one job and records the result.
func (u *Uploader) do(ctx context.Context, j job) {
	var err error
	switch {
	case j.kind == claimJob:
		err = u.claim(ctx, &j)
	case j.lane.of != nil:
		err = u.sendTracks(ctx, &j)
	case j.kind == segmentJob:
		err = u.segment(ctx, &j)
	default:
		err = u.playlist(ctx, &j)
	}
	u.end(ctx, &j, err)
}

func (u *Uploader) segment(ctx context.Context, j *job) error {
	r := j.lane.r
	n := segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: j.sequence}
	r.mu.Lock()
	w := r.row(j.sequence)
	if w.none() {
		r.mu.Unlock()
		return errGone
	}
	size, crc, unknown := w.Size, w.CRC32C, w.is(isUnknown)
	seg := r.memory[j.sequence]
	held := seg != nil && seg.Retain()
	r.mu.Unlock()

	var body io.ReadSeeker
	if held {
		// Its checksum was taken when it was made, from this memory.
		defer seg.Release()
		body = storage.Body(seg.Slices(nil))
	} else {
		if unknown || u.m.o.Spool == nil {
			return u.find(ctx, j, errGone)
		}
		f, _, err := u.m.o.Spool.Open(n.String())
		if errors.Is(err, spool.ErrChanged) {
			return u.find(ctx, j, errBadFile)
		} else if errors.Is(err, fs.ErrNotExist) {
			return u.find(ctx, j, errGone)
		} else if err != nil {
			return fmt.Errorf("%w: %w", errSpool, err)
		}
		defer f.Close()
		// The store compares only if the name is already taken, and computes its own checksum of the body then.
		check := crc32.New(crc32.MakeTable(crc32.Castagnoli))
		got, err := io.Copy(check, f)
		if err != nil {
			return fmt.Errorf("%w: %w", errSpool, err)
		}
		if got != size || check.Sum32() != crc {
			return u.find(ctx, j, errBadFile)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("%w: %w", errSpool, err)
		}
		body = f
	}
	u.loaded(j)
	a := storage.AttributesOf(segmenter.KindSegment, 0, true)
	a.IfAbsent, a.CRC32C = true, binary.BigEndian.AppendUint32(nil, crc)
	_, err := u.store.Put(ctx, n.String(), body, a)
	if errors.Is(err, storage.ErrExists) {
		if r.yield(j.sequence) {
			return u.find(ctx, j, err)
		}
		j.others = j.lane.ofOthers(ctx, j.sequence)
	}
	return err
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

// playlist renders at the last moment, so that the newest allowed content is written.
func (u *Uploader) playlist(ctx context.Context, j *job) error {
	l, now := j.lane, u.m.o.Now()
	var upTo, begins uint64
	if j.kind == liveJob {
		upTo, begins = l.window(now)
	}
	l.r.mu.Lock()
	var o object
	var ok bool
	old := ""
	switch j.kind {
	case liveJob:
		o, ok = l.liveObject(now, upTo, begins)
	case twinJob:
		o, ok = l.twinObject()
	case entryJob:
		o, ok = l.entryObject()
		old = l.oldEntry()
	case archiveJob:
		o, ok = l.archiveObject()
	}
	ok = ok && l.mayWrite(j.kind)
	l.r.mu.Unlock()
	if !ok {
		return nil // nothing is due any more
	}
	if err := u.write(ctx, j, o.key, o.body, o.a); err != nil {
		return err
	}
	there, sure := false, false
	if old != "" {
		there, sure = u.shared.Had(ctx, old)
	}
	if l.wrote(j.kind, &o, there, sure); j.kind == liveJob && l.fences() {
		l.r.show()
	}
	return nil
}

// wrote records that a playlist was written. It takes r.mu itself.
func (l *lane) wrote(kind jobKind, o *object, there, sure bool) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	switch kind {
	case liveJob:
		l.fenced = max(l.fenced, o.next)
		l.liveWritten, l.liveFirst, l.liveNext, l.liveEnded, l.liveGaps = true, o.first, o.next, o.ended, o.gaps
		if l.r.partTarget > 0 {
			l.original = *o
		}
	case twinJob:
		l.twinBody = o.of
	case entryJob:
		l.entries[o.next] = string(o.body)
		l.lowEntry, l.lowAsked = l.lowEntry || there, l.lowAsked || sure
	case archiveJob:
		l.archiveWritten(o, len(o.body))
	}
}

// write puts a playlist. Those of a new recording have names that nobody ever had.
func (u *Uploader) write(ctx context.Context, j *job, key string, body []byte, a storage.Attributes) error {
	l := j.lane
	w := shared.Writing{Owner: l, Fresh: j.kind != entryJob && !l.r.recalled, Tenure: l.main().tenure, Asked: l.main().lastAsked(), Mine: l.mine(j.kind)}
	if err := u.shared.Write(ctx, key, body, a, w); err != nil {
		return err
	}
	u.stats.Playlists.Add(1)
	u.stats.PlaylistBytes.Add(int64(len(body)))
	return nil
}

// end records the outcome of a job: what it means for the segment, and what for the store.
func (u *Uploader) end(ctx context.Context, j *job, err error) {
	now := u.m.o.Now()
	kind := storage.KindOf(err)
	local := errors.Is(err, errGone) || errors.Is(err, errBadFile) || errors.Is(err, errSpool) || errors.Is(err, errUnfit) || errors.Is(err, shared.ErrAnother) || errors.Is(err, errBehind) // not the store's fault
	u.mu.Lock()
	*u.kindOf(j)--
	u.stats.Inflight.Add(-1)
	t := try{n: 1, epoch: u.pace.Epoch()}
	switch {
	case err == nil:
		if j.lane.of != nil {
			u.refusals = 0
		}
		object := "" // its name is made only if there is one to compare it with
		if u.pace.Forbids() || u.alone.Any() {
			object = j.object()
			u.pace.Took(object)
		}
		if u.pace.Success(u.putting) {
			u.healed(now)
		}
		u.alone.Took(u.log, object)
	case local, kind == storage.Exists, kind == storage.Changed, kind == storage.Cancelled && ctx.Err() != nil:
	default:
		u.stats.Failures[kind].Add(1)
		u.stats.Retries.Add(1)
		if kind == storage.Missing { // a Put that finds no bucket
			kind = storage.Permanent
		}
		if j.lane.of != nil {
			u.refusals++
			u.refuses = now.Add(u.pace.Pause(kind, u.refusals))
		}
		if j.lane.of != nil && kind == storage.Permanent {
			// It may be that alone which the store refuses: no reason to delay the rest.
		} else if u.pace.Failure(kind, j.object(), j.begun, now) || !u.spell.Since().IsZero() {
			u.failing(err, kind, now)
		}
		if kind == storage.Permanent {
			u.alone.Refused(j.object(), err, now)
		}
	}
	u.stats.Parallel.Store(int64(u.pace.Limit()))
	if j.kind == entryJob {
		delete(u.entries, entryOf{j.lane.r.key, j.lane.of != nil})
	}
	wakeAll := j.kind == entryJob || err == nil && t.epoch != u.pace.Epoch()
	var lanes []*lane
	if wakeAll {
		lanes = u.all()
	}
	u.mu.Unlock()

	if j.kind == segmentJob && j.lane.of != nil {
		u.tracksEnded(j, kind, err, t, now)
	} else if j.kind == segmentJob {
		u.segmentEnded(j, kind, err, t, now)
	} else {
		u.playlistEnded(j, kind, err, t, now)
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

func (u *Uploader) segmentEnded(j *job, kind storage.FailureKind, err error, t try, now time.Time) {
	r, l := j.lane.r, j.lane
	switch {
	case err == nil:
		r.mu.Lock()
		size := int64(0)
		if w := r.row(j.sequence); !w.none() {
			size = w.Size
		}
		r.mu.Unlock()
		if !j.found {
			u.stats.Segments.Add(1)
			u.stats.Bytes.Add(size)
			u.stats.took(now.Sub(j.begun))
		}
		r.confirm(l.target, j.sequence)
		l.sent(j.sequence)
	case errors.Is(err, errGone), errors.Is(err, errBadFile), errors.Is(err, errSpool) && l.failures(j.sequence) >= spoolTries:
		if r.elsewhere(j.sequence, l.target) {
			r.refuse(l.target, j.sequence, err.Error()) // lost only for this store
			l.sent(j.sequence)
			break
		}
		news := r.drop(j.sequence, err.Error())
		l.sent(j.sequence)
		if news {
			u.log.Error("segment is lost and becomes a gap in the archive", "stream", r.key.String(), "recording", string(r.id),
				"sequence", j.sequence, "err", err)
		}
	case kind == storage.Exists:
		u.stats.Failures[kind].Add(1)
		if j.others {
			u.log.Warn("another server of the cluster has stored a segment under this name, at a time when it could not know that the recording goes on elsewhere: the archive has a gap there",
				"stream", r.key.String(), "recording", string(r.id), "sequence", j.sequence)
		} else {
			u.stats.Conflicts.Add(1)
			u.log.Error("the store holds another segment under this name: two servers write one recording, or the bucket was tampered with; the archive gets a gap",
				"stream", r.key.String(), "recording", string(r.id), "sequence", j.sequence)
		}
		r.refuse(l.target, j.sequence, "the store holds another segment under its name")
		l.sent(j.sequence)
		l.doubtClaim()
	default:
		t.due = now.Add(u.pace.Pause(kind, l.failures(j.sequence)+1))
		l.again(j.sequence, t)
	}
}

func (u *Uploader) playlistEnded(j *job, kind storage.FailureKind, err error, t try, now time.Time) {
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
	if kind == storage.Changed {
		l.u.stats.Failures[kind].Add(1)
	}
	t.n += s.try.n
	t.due = now.Add(u.pace.Pause(kind, t.n))
	s.try = t
}

// failing records that the store is in trouble. u.mu is held.
func (u *Uploader) failing(err error, kind storage.FailureKind, now time.Time) {
	before := u.permanent
	u.trouble, u.permanent = err, kind == storage.Permanent
	tell := u.spell.Bad(now)
	if tell || u.permanent && !before && u.spell.Told() {
		u.m.tell(Notice{Kind: UploadsFailing, Target: u.name, Reason: err.Error(), Permanent: u.permanent,
			Segments: u.stats.BacklogSegments.Load(), Bytes: u.stats.BacklogBytes.Load()})
	}
	switch {
	case !tell:
	case u.permanent:
		u.log.Error("the store refuses uploads; all data is kept and the store is tried again every few seconds, and at once on SIGUSR1: check that the bucket exists, and the credentials and policy that write to it", "err", err)
	case u.spell.Times() > 1:
		u.log.Warn("uploads fail time and again; all data is kept, and they are tried until they succeed: see whether the store, or the way to it, answers well only now and then", "kind", kind.String(), "err", err)
	default:
		u.log.Warn("uploads fail; all data is kept, and they are tried again until they succeed", "kind", kind.String(), "err", err)
	}
}

// healed records that it has recovered. u.mu is held.
func (u *Uploader) healed(now time.Time) {
	u.trouble, u.permanent = nil, false
	if lasted, tell := u.spell.Good(now); tell {
		u.log.Info("uploads succeed again", "after", lasted.Round(time.Millisecond),
			"backlog_segments", u.stats.BacklogSegments.Load(), "backlog_bytes", u.stats.BacklogBytes.Load())
		u.m.tell(Notice{Kind: UploadsHealed, Target: u.name, Segments: u.stats.BacklogSegments.Load(), Bytes: u.stats.BacklogBytes.Load()})
	}
}
