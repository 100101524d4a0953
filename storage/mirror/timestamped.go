package mirror

import (
	"bytes"
	"compress/gzip"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// A growing timestamped playlist is written anew when so many times its own size has come in as media, so that it costs
// the same small share at every length; beyond gzipFrom bytes it is stored compressed, and from then on carries neither
// sizes nor checksums, which do not compress. The finished one is plain and has them.
const (
	archiveShare = 400
	gzipFrom     = 64 << 10
)

// archiveRange is what the current timestamped playlist can name by now, and whether that is all of it for ever.
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
	next = min(l.listable, r.handed, end)
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

// archiveWritten moves on after a write. It tells whether the table may now be shortened.
func (l *lane) archiveWritten(o *object) {
	r := l.r
	l.named, l.archiveSize, l.fresh = o.next, int64(len(o.body)), 0
	l.waiting = time.Time{}
	if l.listable > o.next {
		l.waiting = r.m.o.Now()
	}
	if o.final {
		sp := &r.splits[l.split]
		sp.final |= 1 << l.target
		r.note(event{final, l.target, sp.first})
		l.split++
		l.archiveSize = 0
		r.trim()
	}
}

// trim forgets the rows of timestamped playlists that are final everywhere, and asks for a journal without them, so that
// a channel that never ends does not grow. What the live playlist needs stays.
func (r *recording) trim() {
	all := uint8(1<<len(r.lanes) - 1)
	n := 0
	for n+1 < len(r.splits) && r.splits[n].final == all {
		n++
	}
	if n == 0 {
		return
	}
	keep := min(r.splits[n].first, r.first-min(r.first, 2*uint64(r.window)))
	for _, l := range r.lanes {
		keep = min(keep, l.listable)
	}
	keep = min(keep, r.journal.files)
	if keep <= r.base {
		return
	}
	r.forgetBefore(keep)
	r.splits = append([]split(nil), r.splits[n:]...)
	for _, l := range r.lanes {
		l.split -= n
	}
	r.journal.compact = true
	r.journal.nsplits = max(0, r.journal.nsplits-n)
}
