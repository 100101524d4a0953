package mirror

import (
	"time"

	"github.com/hlsorigin/hlsorigin/storage/recheck"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/tracks"
)

// journalState is the position of a recording's journal and files. Guarded by recording.mu.
type journalState struct {
	rows       uint64      // rows before it are in the journal
	files      uint64      // rows before it are on disk, or need not be
	opened     uint64      // the journal knows numbers before it as opened
	events     []event     // to be written
	unlogged   []event     // given to the folder, which may still be trying
	begun      time.Time   // of the current step; zero: none
	late       *time.Timer // calls impatient when that lasts; nil before the first
	meta       bool        // to be written
	window     int         // of the live playlist, in the journal: a start computes from it where the playlist begins
	splits     bool        // some are not written yet
	nsplits    int         // splits written
	superseded bool
	ended      bool // written
	compact    bool // worth rewriting, because much in it is settled
	marks      uint64
	marked     uint64 // requests to make everything durable: made, and done
	gone       bool   // nobody writes it any more
}

type eventKind uint8

const (
	confirm eventKind = iota
	dropped
	rendered
	final
	doubted
	sure
	stoodDown
)

// event is something the journal must learn about a row that it knows, or about a playlist.
type event struct {
	kind     eventKind
	target   int
	sequence uint64
	coding   tracks.Coding // of rendered
	key      string        // of doubted and sure
	body     recheck.Sum   // of doubted
}

func (j *journalState) start(base uint64) { j.rows, j.files = base, base }

// note queues an event for the journal, if there is one.
func (r *recording) note(e event) {
	if r.folder != nil {
		r.journal.events = append(r.journal.events, e)
	}
}

// writeJournal appends what the journal does not know yet.
func (r *recording) writeJournal() error {
	r.mu.Lock()
	if r.opened == 0 && len(r.rows) == 0 {
		r.mu.Unlock()
		return nil // nothing to write: no folder is created for it
	}
	var b spool.Batch
	whole := r.folder.Broken() || r.journal.compact
	if whole {
		r.whole(&b)
	} else {
		r.news(&b)
	}
	matters, window := r.advanceJournal(), r.window
	r.mu.Unlock()

	var err error
	if whole {
		err = r.folder.Rewrite(&b)
	} else if err = r.folder.Append(&b); err == nil && matters {
		err = r.folder.Durable()
	}

	r.mu.Lock()
	news := false
	if err == nil {
		if whole {
			r.journal.compact = false
			r.journal.marked = 0 // the mark, if there was one, was in the old one
		}
		news = r.logged() || r.journal.window != window
		r.journal.window = window
	}
	r.mu.Unlock()
	if news {
		r.wakeLanes()
		r.show()
	}
	return err
}

// logged updates what the playlists may list to what the journal has by now. It reports whether that was new.
func (r *recording) logged() bool {
	for _, e := range r.journal.unlogged {
		w := r.row(e.sequence)
		switch {
		case w.none():
		case e.kind == confirm, e.kind == rendered:
			w.set(logged<<e.target, true)
		case e.kind == dropped:
			w.set(logAll, true)
		}
	}
	news := len(r.journal.unlogged) > 0
	r.journal.unlogged = r.journal.unlogged[:0]
	r.settle()
	return news
}

// gated reports whether the journal must be waited for. One that fails or hangs is not: the bucket is then the better witness.
func (r *recording) gated(now time.Time) bool {
	j := &r.journal
	return r.folder != nil && !j.gone && !r.m.episodes.DiskFails() && (j.begun.IsZero() || now.Sub(j.begun) < journalPatience)
}

// journalPatience is how long playlists wait for a journal.
const journalPatience = time.Second

// news collects what happened since the last time. Numbers come first: a row whose number is not known as opened could be reused.
func (r *recording) news(b *spool.Batch) {
	j := &r.journal
	if j.meta {
		b.Meta(r.metaRecord())
	}
	if j.opened < r.opened {
		b.Opened(r.opened-1, r.lastFrame)
	}
	for _, sp := range r.splits[j.nsplits:] { // before their rows: a row without a preceding split begins none
		b.Split(spool.Split{First: sp.first, Name: string(sp.name)})
	}
	for seq := j.rows; seq < r.next(); seq++ {
		b.Row(r.row(seq).record())
	}
	r.eventRecords(b)
	if j.superseded {
		b.Superseded()
	}
	if j.meta {
		b.Meta(r.metaRecord()) // repeated, so that damage to one place does not lose it
	}
	if r.ended && !j.ended {
		b.Seen(r.lastFrame)
		b.Ended()
	}
}

// eventRecords joins confirmations of neighbours into one record.
func (r *recording) eventRecords(b *spool.Batch) {
	ev := r.journal.events
	for i := 0; i < len(ev); {
		n := 1
		for i+n < len(ev) && ev[i].kind < final && ev[i+n].kind == ev[i].kind && ev[i+n].target == ev[i].target && ev[i+n].coding == ev[i].coding &&
			ev[i+n].sequence == ev[i].sequence+uint64(n) {
			n++
		}
		switch ev[i].kind {
		case confirm:
			b.Confirmed(ev[i].target, ev[i].sequence, uint64(n))
		case dropped:
			b.Dropped(ev[i].sequence, uint64(n))
		case rendered:
			b.Tracks(ev[i].target, ev[i].sequence, uint64(n), spool.Coding(ev[i].coding))
		case final:
			b.Final(ev[i].target, ev[i].sequence)
		case doubted:
			b.Doubt(spool.Doubt{Target: ev[i].target, Key: ev[i].key, Body: ev[i].body})
		case sure:
			b.Sure(ev[i].target, ev[i].key)
		case stoodDown:
			b.StoodDown(ev[i].target)
		}
		i += n
	}
}

// advanceJournal marks everything as written: what the folder could not write it keeps, or it requests the whole journal. It reports
// whether there was something that must not be lost.
func (r *recording) advanceJournal() (matters bool) {
	j := &r.journal
	matters = j.rows < r.next() || j.opened < r.opened || j.splits || r.ended && !j.ended
	j.rows, j.opened, j.nsplits, j.ended = r.next(), r.opened, len(r.splits), r.ended
	j.unlogged = append(j.unlogged, j.events...)
	j.events, j.meta, j.splits, j.superseded = j.events[:0], false, false, false
	return matters
}

// whole collects everything, for a new journal.
func (r *recording) whole(b *spool.Batch) {
	b.Meta(r.metaRecord())
	runs := make([]spanOf, len(r.lanes)+1)
	for seq := r.base; seq < r.next(); seq++ {
		if w := r.row(seq); !w.is(isUnknown) || w.is(isDropped) {
			b.Row(w.record())
		}
	}
	for seq := r.base; seq < r.next(); seq++ {
		w := r.row(seq)
		for t := range r.lanes {
			if w.is(confirmed<<t) && runs[t].add(seq) {
				b.Confirmed(t, runs[t].first, runs[t].count)
				runs[t] = spanOf{seq, 1}
			}
		}
		if d := &runs[len(r.lanes)]; w.is(isDropped) && d.add(seq) {
			b.Dropped(d.first, d.count)
			*d = spanOf{seq, 1}
		}
	}
	for t := range r.lanes {
		if runs[t].count > 0 {
			b.Confirmed(t, runs[t].first, runs[t].count)
		}
	}
	if d := runs[len(r.lanes)]; d.count > 0 {
		b.Dropped(d.first, d.count)
	}
	for _, l := range r.tracks {
		l.renderedRecords(b)
	}
	for _, sp := range r.splits {
		b.Split(spool.Split{First: sp.first, Name: string(sp.name)})
		for _, l := range r.ways {
			if sp.final&(1<<l.target) != 0 {
				b.Final(l.target, sp.first)
			}
		}
	}
	if r.opened > 0 {
		b.Opened(r.opened-1, r.lastFrame)
	}
	b.Seen(r.lastFrame)
	if r.superseded {
		b.Superseded()
	}
	for _, l := range r.lanes {
		if l.hold == shared.Lost {
			b.StoodDown(l.target)
		}
	}
	if r.ended {
		b.Ended()
	}
	// What is recorded only once, and cannot be found out again, is written twice, so that damage to one place does not lose it.
	b.Meta(r.metaRecord())
	for _, sp := range r.splits {
		b.Split(spool.Split{First: sp.first, Name: string(sp.name)})
	}
	for _, l := range r.ways {
		for key, bodies := range l.doubts {
			for _, body := range bodies {
				b.Doubt(spool.Doubt{Target: l.target, Key: key, Body: body})
			}
		}
	}
	b.Later(r.later)
}

// spanOf is a run of numbers.
type spanOf struct{ first, count uint64 }

// add adds seq to the run. If it does not follow, it returns the complete run, and true.
func (s *spanOf) add(seq uint64) (complete bool) {
	switch {
	case s.count == 0:
		*s = spanOf{seq, 1}
	case s.first+s.count == seq:
		s.count++
	default:
		return true
	}
	return false
}

func (r *recording) metaRecord() spool.Meta {
	v := r.variant
	var base *uint64
	if len(r.rows) > 0 {
		first := r.base
		base = &first
	}
	return spool.Meta{
		Base: base, Node: r.node, Handed: r.paired,
		TargetDuration: r.target, PartTarget: int(r.partTarget), Window: r.window,
		Bandwidth: v.Bandwidth, AverageBandwidth: v.AverageBandwidth, Codecs: v.Codecs, Width: v.Width, Height: v.Height,
		FrameRate: v.FrameRate, VideoBitrate: v.VideoBitrate, VideoCodec: v.VideoCodec, AudioCodec: v.AudioCodec,
		VideoRange: v.VideoRange, IFrameBandwidth: v.IFrameBandwidth, CaptionsSent: v.Captions.Sent, CaptionChannels: uint32(v.Captions.Channels),
	}
}

// recallTracks restores from the journal which stores have a segment as CMAF.
func (r *recording) recallTracks(e *spool.Row) {
	w := r.row(e.Sequence)
	for _, l := range r.tracks {
		if e.Tracks&(1<<l.target) == 0 || e.Unknown {
			continue
		}
		if i := r.codeOf(tracks.Coding(e.Coding)); i >= 0 {
			w.setCode(i)
			w.set(confirmed<<l.target, true)
		} else {
			w.set(refused<<l.target, true)
		}
	}
}

// renderedRecords are what a new journal says of the lane's segments.
func (l *lane) renderedRecords(b *spool.Batch) {
	r := l.r
	var run spanOf
	var of tracks.Coding
	for seq := r.base; seq < r.next(); seq++ {
		w := r.row(seq)
		if w.is(isUnknown) || !w.is((confirmed|refused)<<l.target) {
			continue
		}
		c := l.codingOf(w)
		if run.count > 0 && c == of && !run.add(seq) {
			continue
		}
		if run.count > 0 {
			b.Tracks(l.target, run.first, run.count, spool.Coding(of))
		}
		run, of = spanOf{seq, 1}, c
	}
	if run.count > 0 {
		b.Tracks(l.target, run.first, run.count, spool.Coding(of))
	}
}
