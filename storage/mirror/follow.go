package mirror

import (
	"context"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

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
	r.following, r.line = true, t
	r.mu.Unlock()
	m.run.follow(r, t)
}

// orphan ends a recovered recording that no timeline goes on with. m.mu is held.
func (m *Mirror) orphan(r *recording) {
	r.mu.Lock()
	lost := !r.following && !r.ended
	if lost {
		r.ended = true
		r.measure()
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
		n := r.copyAndHandOver(ctx, s)
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
			r.copyAndHandOver(ctx, t.Snapshot())
			return
		}
	}
}

// copyAndHandOver copies a snapshot, lets the disk go first for a moment, and hands over to the uploads.
func (r *recording) copyAndHandOver(ctx context.Context, s *segmenter.Snapshot) (n int) {
	n = r.copyFrom(s)
	r.wakeDisk()
	if n > 0 {
		r.awaitDisk(ctx)
	}
	r.handOver()
	return n
}
