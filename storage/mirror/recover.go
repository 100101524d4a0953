package mirror

import (
	"context"
	"errors"
	"fmt"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// Recover reads what an earlier process left in the spool, before Run. It gives the recordings that may go on: hand each
// to segmenter.Registry.Restore, then Run takes their timelines up where the journal ends. What has ended, or may not go
// on, Run finishes by itself. The error tells of folders that could not be read; the others are good.
func (m *Mirror) Recover(ctx context.Context) ([]segmenter.Recovered, error) {
	if m.o.Spool == nil {
		return nil, nil
	}
	found, err := m.o.Spool.Recover(ctx)
	if err != nil {
		err = fmt.Errorf("recover: %w", err)
	}
	var out []segmenter.Recovered
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range found {
		f := &found[i]
		id := segmenter.RecordingID(f.State.ID.Recording)
		if _, ok := id.Time(); !ok || !segmenter.ValidName(f.State.ID.App) || !segmenter.ValidStream(f.State.ID.Stream) {
			err = errors.Join(err, fmt.Errorf("recover: %v is no recording", f.State.ID))
			continue
		}
		r := newRecording(m, segmenter.Key{App: f.State.ID.App, Stream: f.State.ID.Stream}, id)
		r.recovered(f)
		f.Folder.Own(r)
		m.enlist(r)
		m.stats.Recovered.Add(1)
		if r.ended {
			continue
		}
		out = append(out, r.restorable())
	}
	return out, err
}

// recovered fills a new recording from its journal.
func (r *recording) recovered(f *spool.Recovered) {
	st := &f.State
	r.folder, r.base, r.opened, r.lastFrame = f.Folder, st.Base, st.Next, st.LastFrame
	r.target, r.window, r.superseded = st.Meta.TargetDuration, st.Meta.Window, st.Superseded
	r.ended = st.Ended || !f.Trusted
	r.variant = segmenter.Variant{
		Bandwidth: st.Meta.Bandwidth, AverageBandwidth: st.Meta.AverageBandwidth, Codecs: st.Meta.Codecs,
		Width: st.Meta.Width, Height: st.Meta.Height, FrameRate: st.Meta.FrameRate,
		VideoBitrate: st.Meta.VideoBitrate, VideoCodec: st.Meta.VideoCodec, AudioCodec: st.Meta.AudioCodec,
	}
	for _, sp := range st.Splits {
		r.splits = append(r.splits, split{first: sp.First, name: segmenter.RecordingID(sp.Name), final: sp.Final})
	}
	if len(r.splits) == 0 {
		r.splits = []split{{first: r.base, name: r.id}}
	}
	for _, l := range r.lanes {
		l.start(r.base)
		for l.split < len(r.splits) && r.splits[l.split].final&(1<<l.target) != 0 {
			l.split++
		}
	}
	r.rows, r.state = make([]segmenter.Row, 0, len(st.Rows)), make([]flags, 0, len(st.Rows)+1024)
	for i := range st.Rows {
		r.add(recalled(&st.Rows[i]))
		w := r.row(st.Rows[i].Sequence)
		if !w.Gap && !w.is(isDropped|onDisk) && !r.safe(w) {
			w.set(isDropped, true) // journalled, but its bytes did not survive
			r.m.stats.Gaps.Add(1)
		}
		for t, l := range r.lanes {
			if !w.settled(t) {
				l.u.stats.BacklogSegments.Add(1)
				l.u.stats.BacklogBytes.Add(w.Size)
			}
		}
	}
	r.m.stats.Gaps.Add(int64(len(st.Rows) - st.Journaled))
	if r.window == 0 {
		r.window = defaultWindow
	}
	r.first = max(r.base, r.next()-min(r.next(), uint64(r.window)))
	r.handed = r.next()
	r.journal.start(r.next())
	r.journal.compact = true
	r.settle()
	for _, l := range r.lanes {
		l.resume()
	}
}

// defaultWindow is the number of segments in a live playlist where the journal does not tell.
const defaultWindow = 15

// resume takes a lane up after a restart. What the store's playlists say is not known, so all are written again; but not
// before they can say at least as much: the live playlist has to reach the end of what is recovered. So has the growing
// timestamped one, since a power cut may have taken confirmations that it was written by; but it waits no longer than it
// may lag anyhow.
func (l *lane) resume() {
	if l.split < len(l.r.splits) {
		l.named = l.r.splits[l.split].first
	}
	l.liveNext, l.liveFirst = l.r.next(), l.r.first
	l.floor, l.floorUntil = l.r.next(), l.r.m.o.Now().Add(l.r.m.o.ArchiveLag)
}

// restorable is the recording as the timeline takes it up again. A segment that no store has and whose bytes are lost is a
// gap for viewers, too.
func (r *recording) restorable() segmenter.Recovered {
	rec := segmenter.Recovered{
		Key: r.key, Recording: r.id, TargetDuration: r.target, Base: r.base, Next: r.opened, Variant: r.variant, LastFrame: r.lastFrame,
		Rows: make([]segmenter.Row, len(r.rows), len(r.rows)+64),
	}
	if last := r.splits[len(r.splits)-1]; last.name != r.id {
		rec.SplitFirst, rec.SplitName = last.first, last.name
	}
	for i := range r.rows {
		w := r.row(r.base + uint64(i))
		e := *w.Row
		if w.is(isDropped) && !w.is(confirmAll) {
			e.Gap, e.Size, e.CRC32C = true, 0, 0
		}
		rec.Rows[i] = e
	}
	return rec
}
