package mirror

import (
	"context"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/fence"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// discover begins to follow new timelines.
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

// orphan ends a recovered recording that no timeline continues. m.mu is held.
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

// enlist adds a recording, and decides who owns the stream's stable entry. m.mu is held.
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

// forget removes a complete recording.
func (m *Mirror) forget(r *recording) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.recordings[recordingKey{r.key, r.id}] != r {
		return
	}
	delete(m.recordings, recordingKey{r.key, r.id})
	m.stats.Recordings.Add(-1)
	for _, l := range r.ways {
		l.u.remove(l)
	}
	r.mu.Lock()
	r.journal.gone = true
	empty := len(r.rows) == 0
	r.mu.Unlock()
	r.moved.wake()
	m.moved.wake()
	for _, l := range r.lanes {
		l.u.shared.Fence.Forget(fence.Of(r.key.App+"/streams/"+r.key.Stream, string(r.id)))
	}
	if m.newest[r.key] == r.id {
		delete(m.newest, r.key) // older ones know that they are, and journal it
	}
	if empty {
		return // nobody ever saw it
	}
	m.log.Info("recording is complete in the bucket", "stream", r.key.String(), "recording", string(r.id))
}

// follow copies one timeline by position until it or ctx has ended; where viewers wait for the store, until they are shown its end.
func (m *Mirror) follow(ctx context.Context, r *recording, t *segmenter.Timeline) {
	for {
		s := t.Snapshot()
		n := r.copyAndHandOver(ctx, s)
		m.stats.Segments.Add(int64(n))
		r.show() // gaps, and what was confirmed before this timeline was followed
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

// copyAndHandOver copies a snapshot, gives the disk a short head start, and hands over to the uploads.
func (r *recording) copyAndHandOver(ctx context.Context, s *segmenter.Snapshot) (n int) {
	n = r.copyFrom(s)
	r.wakeDisk()
	if n > 0 {
		r.awaitDisk(ctx)
	}
	r.handOver()
	return n
}

// copyFrom copies what is new in a snapshot: positions first; then the bytes are held in memory until they are safe. It returns how many
// segments were new, and takes r.mu itself. Where viewers wait for the store, seen is what they are shown: that is where the live playlist
// begins and ends, and what it looks like.
func (r *recording) copyFrom(seen *segmenter.Snapshot) (fresh int) {
	s := seen.Whole()
	var held, lost []uint64
	var stills []*segmenter.Segment
	var rows []segmenter.Row // of stills
	r.mu.Lock()
	if s.Generation < r.generation {
		r.mu.Unlock()
		return 0 // a newer one has been copied
	}
	r.generation = s.Generation
	from := r.next()
	if len(r.rows) == 0 && s.Next() > s.Base {
		if len(r.lanes) > 0 {
			r.m.tell(Notice{Kind: RecordingStarted, Key: r.key, Recording: r.id, Archive: r.id})
		}
		r.base, from = s.Base, s.Base
		r.splits = append(r.splits, split{first: r.base, name: r.id})
		for _, l := range r.ways {
			l.start(r.base)
		}
		r.journal.start(r.base)
	}
	begin := from
	for ; len(r.rows) > 0 && from < s.Base; from++ { // rows that the timeline forgot before they were copied
		start := r.end()
		if start.IsZero() {
			start = r.lastFrame
		}
		r.invent(segmenter.Row{Sequence: from, Start: start, Duration: int64(s.TargetDuration) * segmenter.Clock})
		r.added(from)
	}
	if from = max(from, s.Base); from < s.Next() {
		r.extend(s)
	}
	for seq := from; seq < s.Next(); seq++ {
		r.added(seq)
		if s.Rows[seq-s.Base].Gap {
			r.lost(r.row(seq), "", "its bytes never came, or a crash took them")
			if seg := s.Segment(seq); seg != nil && !seg.Bare() && seg.Retain() {
				stills, rows = append(stills, seg), append(rows, s.Rows[seq-s.Base])
			}
			continue
		}
		if len(r.ways) > 0 && r.done(r.row(seq)) {
			continue // no store is to have it
		}
		if seg := s.Segment(seq); seg != nil && seg.Retain() {
			r.memory[seq] = seg
			r.m.memory.used.Add(seg.Size)
			held = append(held, seq)
		} else {
			lost = append(lost, seq)
			r.row(seq).set(isDropped, true)
			r.lost(r.row(seq), "", "it left memory before it could be taken")
			r.note(event{kind: dropped, sequence: seq})
		}
	}
	opened := s.Opened
	if s.Writing {
		opened++
	}
	r.opened = max(r.opened, opened, s.Next())
	r.writing = s.Writing && s.State != segmenter.Ended
	r.lastFrame = s.LastFrame
	if s.Handed != r.paired {
		r.paired, r.journal.meta = s.Handed, true
	}
	if s.TargetDuration != r.target || s.PartTarget != r.partTarget || s.Variant != r.variant {
		r.target, r.partTarget, r.variant = s.TargetDuration, s.PartTarget, s.Variant
		r.journal.meta = true
	}
	r.waits, r.shown = seen.Unlisted() > 0, seen.Next()
	if n := len(seen.Rows) - seen.First; n > 0 {
		r.journal.meta = r.journal.meta || n != r.window
		r.slideTo(s.Base + uint64(seen.First))
		r.window = n
		r.place()
	} else if len(r.rows) > 0 && !r.recalled { // viewers wait for the first of it
		r.slideTo(r.base)
		r.place()
	}
	if s.Entry != nil {
		r.entry = m3u8.WithoutIFrames(s.Entry.Body)
	}
	if s.Live != nil {
		r.live = liveBody{s.Live.Body, r.first, seen.Next(), seen.State == segmenter.Ended}
	}
	r.ended = r.ended || s.State == segmenter.Ended
	if s.Yielded {
		r.forsake()
	}
	r.feed(s.State == segmenter.Live || s.State == segmenter.Starting && !r.recalled)
	fresh = int(r.next() - begin)
	r.settle()
	r.mu.Unlock()

	for i, seg := range stills {
		r.stand(rows[i], seg.Slices(nil))
		seg.Release()
	}
	for _, seq := range lost {
		r.m.stats.Gaps.Add(1)
		r.m.log.Warn("segment left memory before it could be mirrored: a gap", "stream", r.key.String(), "sequence", seq)
	}
	r.m.memory.keep(r, held)
	return fresh
}

// forsake makes all lanes read their claims again before anything more is sent.
func (r *recording) forsake() {
	if r.yielded {
		return
	}
	r.yielded = true
	for _, l := range r.lanes {
		if l.tenure != nil && l.hold < shared.Closed {
			l.hold, l.returned = shared.Unread, false
		}
	}
}

// slideTo sets where the live window begins. After a restart it may begin earlier than was assumed: what is then in it from the backlog is
// looked for at the edge.
func (r *recording) slideTo(first uint64) {
	for _, l := range r.ways {
		if first < r.first {
			l.edge = min(l.edge, first)
		}
	}
	r.first = first
}

// place makes the lanes of a recovered recording begin their live playlists where the timeline does. The journal alone does not know that
// position: for a window that was not full it knows only the number of segments.
func (r *recording) place() {
	if r.placed {
		return
	}
	r.placed = true
	for _, l := range r.ways {
		l.liveFirst = max(r.first, l.metFirst)
	}
}

// added processes a row that is new in the table, and begins a new timestamped playlist when it is time.
func (r *recording) added(sequence uint64) {
	e := r.row(sequence)
	if n := len(r.splits); r.renews.name != "" && sequence >= r.renews.first {
		r.splits = append(r.splits, split{first: sequence, name: r.renews.name})
		r.renews, r.journal.splits = split{}, true
	} else if r.m.o.ArchiveSplit > 0 && n > 0 {
		first := r.row(r.splits[n-1].first)
		if !first.none() && e.Start.Sub(first.Start) >= r.m.o.ArchiveSplit {
			r.splits = append(r.splits, split{first: sequence, name: segmenter.NewRecordingID(e.Start)})
			r.journal.splits = true
		}
	}
	for _, l := range r.ways {
		if l.taken {
			e.set(refused<<l.target, true)
		} else if !e.Gap {
			l.lacks(1, e.Size)
		}
	}
	r.tellLost(false)
	r.m.fills()
}
