package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
	"github.com/hlsorigin/hlsorigin/storage/recheck"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// Recover reads what an earlier process left in the spool, before Run. It returns the recordings that may go on: pass each to
// segmenter.Registry.Restore; Run then continues their timelines where the journal ends. Run itself finishes what has ended, or must not go
// on. What a damaged journal does not say is read from the segments, on disk and in the stores. The error is about folders that could not
// be read, or were put aside; the others are fine. If ctx ends, nothing is recovered.
func (m *Mirror) Recover(ctx context.Context) ([]segmenter.Recovered, error) {
	if m.o.Spool == nil {
		return nil, nil
	}
	found, err := m.o.Spool.Recover(ctx)
	if err != nil {
		err = fmt.Errorf("recover: %w", err)
	}
	if ctx.Err() != nil {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, m.o.AskLimit)
	defer cancel()
	var all []*recording
	var accounts []account
	for i := range found {
		f := &found[i]
		if ctx.Err() != nil {
			break
		}
		id := segmenter.RecordingID(f.State.ID.Recording)
		if _, ok := id.Time(); !ok || !segmenter.ValidName(f.State.ID.App) || !segmenter.KnownStream(f.State.ID.Stream) {
			err = errors.Join(err, fmt.Errorf("recover: %v is no recording", f.State.ID))
			continue
		}
		if f.State.Ladder != nil {
			m.ladders = append(m.ladders, f)
			continue
		}
		r := newRecording(m, segmenter.Key{App: f.State.ID.App, Stream: f.State.ID.Stream}, id)
		a := account{damage: f.State.Damage, trusted: f.Trusted, wrong: f.Wrong}
		r.recovered(asking, f, &a)
		f.Folder.Own(r)
		all, accounts = append(all, r), append(accounts, a)
		m.stats.Recovered.Add(1)
	}
	m.askAll(asking, all)
	if ctx.Err() != nil { // without answers nothing can be decided; the next start does it all
		return nil, errors.Join(err, fmt.Errorf("recover: %w", context.Cause(ctx)))
	}
	var out []segmenter.Recovered
	for i, r := range all {
		a := &accounts[i]
		var e error
		if a.parts, e = r.keepParts(); e != nil {
			m.log.Error("the beginning of a segment cannot be taken up, and becomes a gap", "stream", r.key.String(), "recording", string(r.id), "err", e)
		}
		r.taken(a)
		r.standIn()
		a.tell(r)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range all {
		m.enlist(r)
	}
	for _, r := range all {
		if r.superseded && m.newest[r.key] == r.id {
			r.forgetEntry()
		}
		if !r.ended {
			out = append(out, r.restorable())
		}
	}
	return out, err
}

// Ladders returns what Recover found of ladders, for package ladder, which goes on with them.
func (m *Mirror) Ladders() []*spool.Recovered { return m.ladders }

// account is what was found and decided about one recording at start.
type account struct {
	damage  []spool.Damage
	trusted bool
	wrong   string   // what the folder has under the names of segments that is not a segment
	unknown int      // rows without a record
	disk    int      // those of them known from complete files
	parts   int      // those known from beginnings of segments
	stored  int      // those known from a store
	awaited int      // those for which a store must still be asked
	lost    int      // those that are gaps now
	missing []uint64 // rows in the journal for which neither a file nor a store is known
}

// taken counts what became of the unknown rows. Run has not begun.
func (r *recording) taken(a *account) {
	for seq := r.base; seq < r.next(); seq++ {
		switch w := r.row(seq); {
		case w.is(isGuessed) && w.is(confirmAll):
			a.stored++
		case w.is(isUnknown) && w.is(isDropped):
			a.lost++
		case w.is(isUnknown):
			a.awaited++
		}
	}
	r.m.stats.Salvaged.Add(int64(a.disk + a.parts + a.stored))
	for _, seq := range a.missing {
		switch w := r.row(seq); {
		case w.is(confirmAll):
			a.stored++
		case w.is(isDropped):
			a.lost++
		default:
			a.awaited++
		}
	}
}

// tell logs what was found, what was decided, and why: one line for a recording.
func (a *account) tell(r *recording) {
	log := r.m.log.With("stream", r.key.String(), "recording", string(r.id))
	bytes := damagedBytes(a.damage)
	known := []any{"unknown_segments", a.unknown, "missing_files", len(a.missing), "found_on_disk", a.disk, "taken_up_short", a.parts, "found_in_the_bucket", a.stored,
		"still_asked_for", a.awaited, "lost", a.lost}
	if a.wrong != "" {
		known = append(known, "not_used", a.wrong)
	}
	torn := len(a.damage) == 1 && a.damage[0].Torn
	switch {
	case len(a.damage) > 0 && !torn, !a.trusted && a.unknown > 0:
		r.m.stats.Damaged.Add(1)
		decision := "it goes on"
		if !a.trusted {
			decision = "it is finished with what is there: numbers may be in use that are not known; its publisher begins a new recording"
		}
		log.Error("a recording's journal is damaged; what it does not tell is taken from the segments on disk and in the bucket, nothing is removed: check the disk under spool.dir",
			append(known, "stretches", len(a.damage), "bytes", bytes, "decided", decision)...)
	case torn:
		log.Warn("a recording's journal ends in the middle of a record, as a crash leaves it", append(known, "bytes", bytes)...)
	case len(a.missing) > 0:
		level, decision := slog.LevelWarn, "none is given up before the bucket says that it has it not"
		if a.lost > 0 {
			level, decision = slog.LevelError, "those that no bucket has are gaps"
		}
		log.Log(context.Background(), level, "segments that the journal tells of are not in the spool: look who removes files under spool.dir, and check the disk",
			append(known, "first_missing", a.missing[0], "decided", decision)...)
	case a.lost > 0:
		log.Warn("segments that the journal does not tell of; of those that are lost nothing was on disk, and they become gaps", known...)
	case a.wrong != "":
		log.Warn("what has the name of a segment in the spool is none, and is not used: look who made it", known...)
	case a.unknown > 0:
		log.Info("segments that the journal does not tell of", known...)
	}
}

// recovered fills a new recording from its journal, and from its files for what the journal does not say.
func (r *recording) recovered(ctx context.Context, f *spool.Recovered, a *account) {
	st := &f.State
	leaveUnfinished(f)
	r.recalled = true
	if st.Meta.Node != "" {
		r.node = st.Meta.Node
	}
	for _, l := range r.lanes {
		if l.tenure != nil {
			l.tenure.Formerly(r.node)
		}
	}
	r.folder, r.base, r.opened, r.lastFrame = f.Folder, st.Base, st.Next, st.LastFrame
	r.target, r.window, r.superseded = st.Meta.TargetDuration, st.Meta.Window, st.Superseded
	r.partTarget = int64(st.Meta.PartTarget)
	r.superseded = r.superseded || len(st.Damage) > 0 && !f.Newest // the record of that may be the damaged one
	r.ended = st.Ended || !f.Trusted
	for _, l := range r.lanes {
		if l.tenure != nil && st.StoodDown&(1<<l.target) != 0 {
			l.hold = shared.Lost
			r.ended = true // who publishes here again begins a new one
			r.m.stats.StoodDown.Add(1)
			l.learnTaker(ctx)
			log := l.u.log.With("stream", r.key.String(), "recording", string(r.id), "node", l.taker)
			if l.taken {
				log.Info("another server took the stream of this recording before the start, and went on with it: nothing need be done")
			} else {
				log.Warn("another server took the stream of this recording before the start: its playlists are not written, and what the spool has of it stays; when `hlsorigin recordings repair` has completed it, its folder may be removed")
			}
		}
	}
	r.later = st.Later
	r.variant = variant.Variant{
		Bandwidth: st.Meta.Bandwidth, AverageBandwidth: st.Meta.AverageBandwidth, Codecs: st.Meta.Codecs,
		Width: st.Meta.Width, Height: st.Meta.Height, FrameRate: st.Meta.FrameRate,
		VideoBitrate: st.Meta.VideoBitrate, VideoCodec: st.Meta.VideoCodec, AudioCodec: st.Meta.AudioCodec,
		VideoRange: st.Meta.VideoRange, IFrameBandwidth: st.Meta.IFrameBandwidth, Captions: variant.Captions{Sent: st.Meta.CaptionsSent, Channels: variant.CaptionChannels(st.Meta.CaptionChannels)},
	}
	for _, l := range r.ways {
		l.start(r.base)
	}
	r.rows, r.state = make([]segmenter.Row, 0, len(st.Rows)), make([]flags, 0, len(st.Rows)+1024)
	for i := range st.Rows {
		r.add(recalled(&st.Rows[i]))
		r.recallTracks(&st.Rows[i])
	}
	for seq := r.base; seq < r.next(); seq++ {
		w := r.row(seq)
		for _, l := range r.ways {
			if !w.settled(l.target) {
				l.lacks(1, w.Size)
			}
		}
	}
	r.salvage(f.Parts)
	if len(st.Damage) > 0 || !f.Trusted {
		r.consult(ctx, st.Guessed)
	}
	for seq := r.base; seq < r.next(); seq++ {
		w := r.row(seq)
		if w.is(isGuessed) {
			a.disk++
		}
		if w.is(isGuessed | isUnknown) {
			a.unknown++
		} else if !w.Gap && !w.is(isDropped|onDisk|confirmAll) {
			a.missing = append(a.missing, seq)
		}
		if _, part := r.parts[seq]; len(r.lanes) == 0 && !part && !w.Gap && !w.is(isDropped|onDisk) {
			w.set(isDropped, true) // its bytes did not survive, and there is no store to ask
			r.m.stats.Gaps.Add(1)
		}
	}
	for _, l := range r.lanes {
		if l.hold == shared.Lost && l.taken {
			l.forgo() // the numbers are the other server's
		}
	}
	r.recallDoubts(st.Doubts)
	r.resplit(st)
	if len(st.Damage) > 0 || !f.Trusted {
		r.confirmFinals(ctx)
	}
	if r.window == 0 {
		r.window = defaultWindow
	}
	if r.ended {
		r.measure()
	}
	listed := r.next() // the numbers before it may have been listed; the last one, if it has no row, was being written
	if w := r.row(listed - 1); listed > r.base && w.is(isUnknown|isGuessed) {
		listed--
	}
	r.first = max(r.base, r.first, listed-min(listed, uint64(r.window)))
	r.handed = r.next()
	r.journal.start(r.next())
	r.journal.compact, r.journal.window = true, r.window
	r.settle()
	for _, l := range r.ways {
		l.resume()
	}
}

// leaveUnfinished forgets the segment that was being written, which no playlist has named, where another server was about to finish it.
func leaveUnfinished(f *spool.Recovered) {
	st := &f.State
	n := len(st.Rows)
	if !st.Meta.Handed || len(st.Damage) > 0 || n == 0 {
		return
	}
	if last := &st.Rows[n-1]; last.Unknown && !last.File && last.Confirmed == 0 && last.Sequence+1 == st.Next {
		st.Rows, st.Next = st.Rows[:n-1], last.Sequence
		f.Parts = slices.DeleteFunc(f.Parts, func(seq uint64) bool { return seq == last.Sequence })
		f.Folder.Abandon(last.Sequence)
	}
}

// resplit restores which timestamped playlists there are. If records are lost, or rows are new, those in between follow from the rule that
// made them. None begins with a number that was opened and about which nothing is known: that belongs to the end of the previous one.
func (r *recording) resplit(st *spool.State) {
	known := map[uint64]split{}
	for _, sp := range st.Splits {
		if _, ok := segmenter.RecordingID(sp.Name).Time(); !ok {
			continue // it would be part of a key
		}
		known[sp.First] = split{first: sp.First, name: segmenter.RecordingID(sp.Name), final: sp.Final, before: sp.Final != 0}
	}
	if len(st.Splits) == 0 || len(st.Damage) > 0 && r.base == 0 && st.Splits[0].First > 0 {
		first := split{first: r.base, name: r.id}
		if w := r.row(r.base); r.base > 0 && len(st.Damage) > 0 && !w.none() {
			first.name = segmenter.NewRecordingID(w.Start) // the recording's own name may be that of a finished one
		}
		known[r.base] = first
	}
	var current split
	torn := len(st.Damage) == 1 && st.Damage[0].Torn // what comes before is intact: a split is written before its first row
	for seq := r.base; seq < r.next(); seq++ {
		sp, ok := known[seq]
		w, first := r.row(seq), r.row(current.first)
		ok = ok && (!torn || !w.is(isUnknown) || len(r.splits) == 0)
		if !ok && (len(st.Damage) > 0 && !torn || w.is(isGuessed)) && len(r.splits) > 0 && !first.none() && r.m.o.ArchiveSplit > 0 {
			if w.Start.Sub(first.Start) >= r.m.o.ArchiveSplit {
				sp, ok = split{first: seq, name: segmenter.NewRecordingID(w.Start)}, true
			}
		}
		if ok {
			current = sp
			r.splits = append(r.splits, sp)
		}
	}
	if len(r.splits) == 0 {
		r.splits = []split{{first: r.base, name: r.id}}
	}
	for i := range r.splits {
		for _, l := range r.ways {
			if l.inDoubt(r.splits[i].name) {
				r.splits[i].final &^= 1 << l.target // it is written again, and then checked
			}
		}
	}
	for _, l := range r.ways {
		for l.split < len(r.splits) && r.splits[l.split].final&(1<<l.target) != 0 {
			l.split++
		}
	}
}

// recallDoubts restores which late writes may still overwrite the recording's playlists. All of these are written again, and checked some
// minutes after that.
func (r *recording) recallDoubts(list []spool.Doubt) {
	for _, d := range list {
		l := r.way(d.Target)
		if _, ours := segmenter.ParseName(d.Key); !ours || l == nil {
			continue // there was a second store then
		}
		if l.doubts == nil {
			l.doubts = map[string][]recheck.Sum{}
		}
		if l.u.shared.Rechecks.Recall(d.Key, d.Body, l) {
			l.doubts[d.Key] = append(l.doubts[d.Key], d.Body)
		}
	}
}

// forgetEntry drops the doubts about a stream's stable entry if the recording that now owns it is completely stored, and so will not write
// it again.
func (r *recording) forgetEntry() {
	for _, name := range append(shared.Entries(r.key), shared.TrackEntry(r.key)) {
		key := name.String()
		for _, l := range r.ways {
			if _, ok := l.doubts[key]; ok {
				delete(l.doubts, key)
				l.u.shared.Rechecks.Forget(key)
			}
		}
	}
}

// measure derives the target duration from the longest segment, if nothing states it. Run may have begun; r.mu is held then.
func (r *recording) measure() {
	if r.target > 0 {
		return
	}
	for seq := r.base; seq < r.next(); seq++ {
		r.target = max(r.target, int((r.row(seq).Duration+segmenter.Clock/2)/segmenter.Clock), 1)
	}
}

// defaultWindow is the number of segments in a live playlist if the journal does not state it.
const defaultWindow = 15

// resume restores a lane after a restart. It is unknown what the store's playlists say, so all are written again; but not before they can
// list at least as much: the live playlist has to reach the end of what was recovered. So has the growing timestamped one, since a power
// failure may have lost the confirmations it was based on; but it waits no longer than it may lag anyhow.
func (l *lane) resume() {
	if l.split < len(l.r.splits) {
		l.named = l.r.splits[l.split].first
	}
	l.liveNext, l.liveFirst = l.r.next(), max(l.liveFirst, l.r.first)
	l.fenced = l.r.next()
	l.floor, l.floorUntil = l.r.next(), l.r.m.o.Now().Add(l.r.m.o.ArchiveLag)
}

// restorable returns the recording for the timeline to continue. A segment whose bytes are lost, or which no store has confirmed yet, is a
// gap for viewers, too.
func (r *recording) restorable() segmenter.Recovered {
	rec := segmenter.Recovered{
		Key: r.key, Recording: r.id, TargetDuration: r.target, PartTarget: r.partTarget, Base: r.base, First: r.first, Next: r.opened, Variant: r.variant, LastFrame: r.lastFrame,
		Rows: make([]segmenter.Row, len(r.rows), len(r.rows)+64),
	}
	if last := r.splits[len(r.splits)-1]; last.name != r.id {
		rec.SplitFirst, rec.SplitName = last.first, last.name
	}
	for seq := r.next(); seq > r.base && r.row(seq-1).is(isUnknown|isGuessed); seq-- {
		rec.Short++
	}
	for i := range r.rows {
		w := r.row(r.base + uint64(i))
		e := *w.Row
		if !w.Gap && !w.is(confirmAll) && (w.is(isDropped) || !w.is(onDisk)) {
			e.Gap, e.Size, e.CRC32C = true, 0, 0
			if !w.is(isDropped) {
				r.own = r.base + uint64(i) + 1 // a store may still have it
			}
		}
		rec.Rows[i] = e
	}
	if len(r.lanes) > 0 {
		rec.Confirmed = r.lanes[0].listable
	}
	n := len(rec.Rows)
	for n > 0 && rec.Rows[n-1].Gap {
		n--
	}
	if n > 0 && r.base+uint64(n) < r.opened {
		rec.Newest = r.bytesOf(r.base + uint64(n) - 1)
	}
	return rec
}

// bytesOf reads a segment, for making stand-ins for lost ones after it. It returns nil if the disk does not have it. Run has not begun.
func (r *recording) bytesOf(seq uint64) []byte {
	w := r.row(seq)
	if r.m.o.Spool == nil || !w.is(onDisk) {
		return nil
	}
	f, size, err := r.m.o.Spool.Open(segmenter.Name{Kind: segmenter.KindSegment, App: r.key.App, Stream: r.key.Stream, Recording: r.id, Sequence: seq}.String())
	if err != nil || size != w.Size || size > maxNewest {
		return nil
	}
	defer f.Close()
	body := make([]byte, size)
	if _, err := io.ReadFull(f, body); err != nil {
		return nil
	}
	return body
}

// maxNewest bounds what a start reads of a segment, in bytes.
const maxNewest = 64 << 20
