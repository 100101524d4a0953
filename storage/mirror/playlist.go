package mirror

import (
	"bytes"
	"compress/gzip"
	"math"
	"slices"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/shared"
	"github.com/hlsorigin/hlsorigin/storage/takeover"
)

// object is a playlist about to be written.
type object struct {
	key  string
	body []byte
	of   []byte // of a twin: the live playlist
	a    storage.Attributes

	// What the store has once it is written.
	first uint64
	next  uint64
	ended bool
	gaps  uint64
	final bool
}

// playlistDue returns when a playlist must be written. ok is false if it already lists everything it can. recording.mu is held, here and
// below.
func (l *lane) playlistDue(kind jobKind, now time.Time) (at time.Time, ok bool) {
	r := l.r
	if len(r.rows) == 0 || r.target == 0 {
		return at, false
	}
	if kind == claimJob {
		return now, l.claimDue()
	}
	if !l.mayWrite(kind) {
		return at, false
	}
	switch kind {
	case liveJob:
		first, next, ok := l.liveRange(now, math.MaxUint64, r.first)
		if !ok || l.liveEnded {
			return at, false
		}
		ended := r.ended && next == r.next()
		return now, next > l.liveNext || ended || !l.liveWritten || l.gapsIn(first, next) != l.liveGaps
	case twinJob:
		return now, l.twinDue()
	case entryJob:
		return now, l.liveWritten && !r.superseded && l.entryDue()
	}
	return l.archiveDue(now)
}

// liveRange returns the newest run of settled segments that makes a complete live playlist. It looks back as far as the one in the store,
// and no further than a few windows. It lists nothing from upTo on, and begins where viewers are shown it to, at begins, or earlier.
// MEDIA-SEQUENCE never decreases, even if the window grows or the server dies: a recovered recording waits for its timeline, or for the
// decision that it has none.
func (l *lane) liveRange(now time.Time, upTo, begins uint64) (first, next uint64, ok bool) {
	r := l.r
	if !r.placed && !r.ended {
		return 0, 0, false
	}
	window, gated := uint64(max(r.window, 1)), r.gated(now)
	if gated {
		window = max(window, uint64(r.journal.window)) // a start would go back to where that begins
	}
	low := max(r.base, l.liveFirst, r.handed-min(r.handed, 4*window))
	if next = min(r.handed, upTo); r.waits && !l.fences() {
		next = min(next, r.shown)
	}
	for seq := next; seq > low && (next-seq < window || seq > r.first); seq-- {
		if !r.row(seq-1).listable(l.target, gated) {
			next = seq - 1
		}
	}
	// What the timeline lists stays listed: because of the rows it holds back, its window may have fewer than here.
	first = max(low, min(begins, next-min(next, window)))
	if next <= first || next < l.liveNext {
		return 0, 0, false
	}
	if next-first < window && first > max(r.base, l.liveFirst) {
		return 0, 0, false // there is no complete window yet: the old playlist stays
	}
	return first, next, true
}

// gapsIn returns the number of gaps in a range.
func (l *lane) gapsIn(first, next uint64) (n uint64) {
	for seq := first; seq < next; seq++ {
		if w := l.r.row(seq); !w.none() && w.lost(l.target) {
			n++
		}
	}
	return n
}

// fences reports whether viewers wait for the lane's live playlist: they are shown a segment when the first store has a playlist that lists it.
// A segment is put whoever has the stream, but a playlist only over that of the server itself: one that another server has replaced, without its
// knowing yet, would show its viewers what the other will never list.
func (l *lane) fences() bool { return l.target == 0 }

// window is what the next live playlist must not exceed where viewers wait for it, and where it begins for them then. It takes r.mu itself.
func (l *lane) window(now time.Time) (upTo, begins uint64) {
	r := l.r
	r.mu.Lock()
	_, next, ok := l.liveRange(now, math.MaxUint64, r.first)
	begins, line, waits := r.first, r.line, ok && r.waits && l.fences()
	r.mu.Unlock()
	if !waits || line == nil {
		return math.MaxUint64, begins
	}
	return next, line.Begins(next)
}

// liveObject renders the live playlist, of what window has said.
func (l *lane) liveObject(now time.Time, upTo, begins uint64) (o object, ok bool) {
	r := l.r
	first, next, ok := l.liveRange(now, upTo, max(begins, r.first))
	if !ok {
		return o, false
	}
	o.first, o.next, o.gaps, o.ended = first, next, l.gapsIn(first, next), r.ended && next == r.next()
	o.key = segmenter.Name{Kind: segmenter.KindLive, App: r.key.App, Stream: r.key.Stream, Recording: r.id}.String()
	o.a = storage.AttributesOf(segmenter.KindLive, r.target, o.ended)
	lost := false
	for seq := first; seq < next; seq++ {
		w := r.row(seq)
		lost = lost || w.lost(l.target) != w.Gap
	}
	if v := &r.live; v.first == first && v.next == next && v.ended == o.ended && !lost {
		o.body = v.body // byte for byte what the origin serves
		return o, true
	}
	list := segmenter.List{TargetDuration: r.target, EndList: o.ended, Lost: l.lostFrom(first)}
	o.body = list.Append(nil, r.run(first, next))
	return o, true
}

// twinDue reports whether the low-latency playlist differs from the live playlist in the store. Parts are not stored: who is sent there follows
// the ordinary playlist, of which it is a copy, but, among several servers, for a comment that keeps PART-TARGET for one that goes on with the
// recording.
func (l *lane) twinDue() bool {
	return l.r.partTarget > 0 && l.liveWritten && !bytes.Equal(l.twinBody, l.original.body)
}

// twinObject returns the copy that is due.
func (l *lane) twinObject() (o object, ok bool) {
	o = l.original
	o.of = o.body
	if l.r.m.server.Address != "" {
		o.body = takeover.WithPartTarget(o.body, l.r.partTarget)
	} else {
		o.a.CopyOf = o.key
	}
	o.key = segmenter.Name{Kind: segmenter.KindLowLatency, App: l.r.key.App, Stream: l.r.key.Stream, Recording: l.r.id}.String()
	return o, l.twinDue()
}

// oldEntry is the name of the low-latency entry that the store may have of a stream that has no low latency any more: it would lead to what was
// recorded then. Empty: that is known already.
func (l *lane) oldEntry() string {
	if l.r.partTarget > 0 || l.lowAsked {
		return ""
	}
	return shared.Entries(l.r.key)[2].String()
}

// lostFrom returns a function that tells the renderer which rows from first on are gaps in this store.
func (l *lane) lostFrom(first uint64) func(i int) bool {
	return func(i int) bool { return l.r.row(first + uint64(i)).lost(l.target) }
}

// entryBody returns the multivariant playlist: as the timeline rendered it, or an equal one for a recording without a timeline. I-frame
// playlists are rendered when they are asked for, and no store has one: none is named.
func (r *recording) entryBody() []byte {
	if r.entry == nil && len(r.rows) > 0 {
		independent := true
		for seq := max(r.first, r.base); seq < r.next(); seq++ {
			w := r.row(seq)
			independent = independent && (w.Independent || w.Gap)
		}
		r.entry = m3u8.WithoutIFrames(segmenter.AppendEntry(nil, r.key, r.id, r.variant, independent, nil))
	}
	return r.entry
}

// entryObject is the stable entry under that of its names that is not up to date in the store; not ok where all are.
func (l *lane) entryObject() (o object, ok bool) {
	i := l.staleEntry()
	if l.r.superseded || i < 0 {
		return o, false
	}
	o = object{key: shared.Entries(l.r.key)[i].String(), body: l.r.entryBody(), a: storage.AttributesOf(segmenter.KindEntry, l.r.target, false)}
	o.next = uint64(i) // index in lane.entries
	return o, true
}

// entryDue tells whether one of them differs from what it should be.
func (l *lane) entryDue() bool {
	if l.of != nil {
		return l.trackEntryDue()
	}
	return l.staleEntry() >= 0
}

// staleEntry is the index of the first that does; below 0: none.
func (l *lane) staleEntry() int {
	body := l.r.entryBody()
	for i := range l.entries {
		if l.entries[i] != string(body) && (i < 2 || l.r.partTarget > 0 || l.lowEntry) {
			return i
		}
	}
	return -1
}

// A growing timestamped playlist is rewritten when this many times its own size has come in as media, so that it costs the same small share
// at every length. Beyond gzipFrom bytes it is stored compressed, and then has neither sizes nor checksums, which do not compress. The
// final one is uncompressed and has them.
const (
	archiveShare = 400
	gzipFrom     = 64 << 10
)

// archiveRange returns what the current timestamped playlist can list by now, and whether that is all of it forever.
func (l *lane) archiveRange() (sp *split, next uint64, final, ok bool) {
	r := l.r
	if l.split >= len(r.splits) {
		return nil, 0, false, false
	}
	sp = &r.splits[l.split]
	end, closed := r.next(), r.ended && r.handed == r.next()
	if l.split+1 < len(r.splits) {
		end, closed = r.splits[l.split+1].first, true
	}
	if next = min(l.listable, r.handed, end); r.waits && l.fences() && l.mayWrite(liveJob) {
		next = min(next, l.fenced)
	}
	return sp, next, closed && next == end, true
}

func (l *lane) archiveDue(now time.Time) (at time.Time, ok bool) {
	sp, next, final, ok := l.archiveRange()
	switch {
	case !ok:
		return at, false
	case final:
		return now, true
	case next <= max(l.named, sp.first):
		return at, false
	case next < l.floor && now.Before(l.floorUntil):
		return l.floorUntil, true
	case l.named <= sp.first, l.fresh >= archiveShare*l.archiveSize, l.u.flushing.Load():
		return now, true
	}
	return l.waiting.Add(l.r.m.o.ArchiveLag), true
}

// archiveObject renders the timestamped playlist.
func (l *lane) archiveObject() (o object, ok bool) {
	r := l.r
	sp, next, final, ok := l.archiveRange()
	if !ok || next <= sp.first {
		return o, false
	}
	o.key = segmenter.Name{Kind: segmenter.KindArchive, App: r.key.App, Stream: r.key.Stream, Recording: sp.name}.String()
	o.next, o.final = next, final
	o.a = storage.AttributesOf(segmenter.KindArchive, r.target, final)
	o.body = l.renderArchive(sp, next, final, true)
	if !final && len(o.body) > gzipFrom {
		o.body = compress(l.renderArchive(sp, next, final, false))
		o.a.ContentEncoding = "gzip"
	}
	return o, true
}

func (l *lane) renderArchive(sp *split, next uint64, final, sums bool) []byte {
	r := l.r
	list := segmenter.List{
		Type: m3u8.Event, TargetDuration: r.target, EndList: final, Dir: r.key.Stream + "/" + string(r.id) + "/", Sums: sums,
		Lost: l.lostFrom(sp.first),
	}
	if final {
		list.Type = m3u8.VOD
	}
	return list.Append(make([]byte, 0, 256+160*(next-sp.first)), r.run(sp.first, next))
}

func compress(body []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(body) // to memory: it cannot fail
	_ = z.Close()
	return out.Bytes()
}

// archiveWritten advances after a write. It reports whether the table may now be shortened.
func (l *lane) archiveWritten(o *object, size int) {
	r := l.r
	l.named, l.archiveSize, l.fresh = o.next, int64(size), 0
	l.waiting = time.Time{}
	if l.listable > o.next {
		l.waiting = r.m.o.Now()
	}
	if o.final {
		sp := &r.splits[l.split]
		sp.final |= 1 << l.target
		r.note(event{kind: final, target: l.target, sequence: sp.first})
		if all := r.targets(); sp.final&all == all {
			r.completed(sp, o.next)
		}
		l.split++
		l.archiveSize = 0
		r.trim()
	}
}

// completed reports that every store has a timestamped playlist, which ends before next.
func (r *recording) completed(sp *split, next uint64) {
	r.tellLost(true)
	n := Notice{Kind: RecordingCompleted, Key: r.key, Recording: r.id, Archive: sp.name}
	for seq := max(sp.first, r.base); seq < next; seq++ {
		w := r.row(seq)
		n.Segments++
		n.Duration += w.Duration
		if w.Gap || w.is(isDropped|refused|refused<<1) {
			n.Gaps++
		} else {
			n.Bytes += w.Size
		}
	}
	r.m.tell(n)
}

// trim removes the rows of timestamped playlists that are final everywhere, and requests a journal without them, so that a channel that
// never ends does not grow. What the live playlist needs stays.
func (r *recording) trim() {
	all := r.targets()
	n := 0
	for n+1 < len(r.splits) && r.splits[n].final&all == all && !slices.ContainsFunc(r.ways, func(l *lane) bool { return l.inDoubt(r.splits[n].name) }) {
		n++
	}
	if n == 0 {
		return
	}
	keep := min(r.splits[n].first, r.first-min(r.first, 2*uint64(r.window)))
	for _, l := range r.ways {
		keep = min(keep, l.listable)
	}
	keep = min(keep, r.journal.files)
	if keep <= r.base {
		return
	}
	r.forgetBefore(keep)
	r.splits = append([]split(nil), r.splits[n:]...)
	for _, l := range r.ways {
		l.split -= n
	}
	r.journal.compact = true
	r.journal.nsplits = max(0, r.journal.nsplits-n)
}
