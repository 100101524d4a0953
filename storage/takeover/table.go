package takeover

import (
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// table is the rows of a recording from a number on.
type table struct {
	base uint64
	rows []spool.Row

	guessed, known uint64 // no playlist lists the rows from the one to the other
}

func (t *table) next() uint64 { return t.base + uint64(len(t.rows)) }

// first is the store that was read, as bits of targets; everywhere are all: nobody has any more what another needs.
const (
	first      = 1
	everywhere = 0xff
)

// maxBridge bounds how many rows may lie between the timestamped playlist and the live one. The former is written again after 270 s at the
// latest, but for a store that is away.
const maxBridge = 20_000

// contradicts reports whether the two playlists cannot be of one recording, as where one of them was damaged.
func (g *gatherer) contradicts() bool {
	if g.archive == nil {
		return false
	}
	live, archive := g.live.MediaSequence, g.archive.MediaSequence
	return live+uint64(len(g.live.Segments)) < archive || live > archive+uint64(len(g.archive.Segments))+maxBridge
}

// table joins the timestamped playlist and the live one. The former lags behind: between them there may be rows of which only the number is
// known, and how long they are together.
func (g *gatherer) table() *table {
	t := &table{base: g.live.MediaSequence}
	live := rowsOf(g.live)
	if g.archive == nil {
		t.rows = live
		return t
	}
	t.base, t.rows = g.archive.MediaSequence, rowsOf(g.archive)
	if g.live.MediaSequence < t.base { // the split is new, and the window begins before it
		t.base, t.rows = g.live.MediaSequence, slices.Concat(live[:min(t.base-g.live.MediaSequence, uint64(len(live)))], t.rows)
	}
	t.guessed, t.known = t.next(), max(t.next(), live[0].Sequence)
	t.bridge(&live[0])
	if n := t.next(); n < live[len(live)-1].Sequence+1 {
		t.rows = append(t.rows, live[n-live[0].Sequence:]...)
	}
	return t
}

// rowsOf are the rows of a playlist.
func rowsOf(m *m3u8.Media) []spool.Row {
	rows, breaks := make([]spool.Row, len(m.Segments)), m.DiscontinuitySequence
	for i := range m.Segments {
		s := &m.Segments[i]
		rows[i] = spool.Row{
			Sequence: m.MediaSequence + uint64(i), Start: s.ProgramDateTime, Duration: s.Duration, Size: s.Size, CRC32C: s.CRC32C,
			Discontinuity: s.Discontinuity, DiscontinuitySequence: breaks, Independent: m.IndependentSegments, Gap: s.Gap, Cues: s.Ranges, Confirmed: first,
		}
		if s.Discontinuity {
			breaks++
		}
		if s.ProgramDateTime.IsZero() && i > 0 {
			rows[i].Start = end(&rows[i-1])
		}
		if s.Gap {
			rows[i].Size, rows[i].CRC32C = 0, 0
		}
	}
	return rows
}

func end(r *spool.Row) time.Time { return r.Start.Add(codec.Duration(r.Duration)) }

// bridge adds the rows before one: they share the time that lies between.
func (t *table) bridge(to *spool.Row) {
	if t.next() >= to.Sequence || len(t.rows) == 0 {
		return
	}
	last := &t.rows[len(t.rows)-1]
	n, breaks := int64(to.Sequence-t.next()), last.DiscontinuitySequence
	if last.Discontinuity {
		breaks++
	}
	each := last.Duration
	if share := codec.Ticks(to.Start.Sub(end(last))) / n; share > 0 && share < 2*each {
		each = share
	}
	start, independent := end(last), last.Independent
	for t.next() < to.Sequence {
		r := spool.Row{Sequence: t.next(), Start: start, Duration: each, DiscontinuitySequence: breaks, Independent: independent, Confirmed: first}
		if breaks < to.DiscontinuitySequence {
			r.Discontinuity = true
			breaks++
		}
		t.rows, start = append(t.rows, r), end(&r)
	}
}

// lose makes gaps of the rows that no playlist lists, and that the store does not have: they were gaps there.
func (t *table) lose(there map[uint64]bool) {
	for n := t.guessed; n < t.known; n++ {
		if r := &t.rows[n-t.base]; !there[n] {
			r.Gap, r.Size, r.CRC32C = true, 0, 0
		}
	}
}

// extend adds rows of which only the number is known.
func (t *table) extend(n uint64) {
	for range n {
		last := &t.rows[len(t.rows)-1]
		r := spool.Row{Sequence: t.next(), Start: end(last), Duration: last.Duration, DiscontinuitySequence: last.DiscontinuitySequence, Unknown: true}
		if last.Discontinuity {
			r.DiscontinuitySequence++
		}
		t.rows = append(t.rows, r)
	}
}

// minWindow is the number of segments under which no live playlist is shortened.
const minWindow = 6

// found makes the state of it.
func (g *gatherer) found(t *table, now time.Time) *Found {
	f := &Found{First: g.live.MediaSequence, Live: g.text}
	f.Live.First, f.Live.Next = g.live.MediaSequence, g.live.MediaSequence+uint64(len(g.live.Segments))
	for i := range g.live.Segments {
		if g.live.Segments[i].Gap {
			f.Live.Gaps++
		}
	}
	if f.First > 0 && len(g.live.Segments) > minWindow {
		f.First++
	}
	base, v := t.base, &g.variant
	f.State = spool.State{
		ID: spool.ID{App: g.key.App, Stream: g.key.Stream, Recording: string(g.id)}, Base: t.base, Rows: t.rows, Next: t.next(), LastFrame: now,
		Meta: spool.Meta{
			Base: &base, TargetDuration: g.live.TargetDuration, Window: len(g.live.Segments), PartTarget: int(g.parts),
			Bandwidth: v.Bandwidth, AverageBandwidth: v.AverageBandwidth, Codecs: v.Codecs, Width: v.Width, Height: v.Height, FrameRate: v.FrameRate,
			VideoCodec: v.VideoCodec, AudioCodec: v.AudioCodec, VideoRange: v.VideoRange, CaptionsSent: v.Captions.Sent,
		},
	}
	f.State.Splits = g.splits(t)
	last := f.State.Splits[len(f.State.Splits)-1]
	at := now
	if e := end(&t.rows[len(t.rows)-1]); e.After(at) {
		at = e
	}
	f.Split = spool.Split{First: t.next(), Name: string(segmenter.NewRecordingID(at))}
	if f.Split.Name <= last.Name {
		was, _ := segmenter.RecordingID(last.Name).Time()
		f.Split.Name = string(segmenter.NewRecordingID(was.Add(time.Millisecond)))
	}
	return f
}

// splits are the timestamped playlists of the rows.
func (g *gatherer) splits(t *table) []spool.Split {
	nameAt := func(at uint64) string {
		if at == 0 || at == t.base && !g.begun { // one that came later than others of its ladder begins with another number
			return string(g.id)
		}
		return string(segmenter.NewRecordingID(t.rows[at-t.base].Start))
	}
	if g.archive == nil {
		return []spool.Split{{First: t.base, Name: nameAt(t.base)}}
	}
	var all []spool.Split
	if t.base < g.archive.MediaSequence {
		all = append(all, spool.Split{First: t.base, Name: nameAt(t.base), Final: everywhere}) // whatever its name is: it is not written any more
	}
	split := spool.Split{First: g.archive.MediaSequence, Name: string(g.name)}
	next := split.First + uint64(len(g.archive.Segments))
	if g.archive.EndList {
		split.Final = everywhere
	}
	if all = append(all, split); g.archive.EndList && next < t.next() {
		all = append(all, spool.Split{First: next, Name: nameAt(next)})
	}
	return all
}

// variantOf is what a variant of a stable entry says of its stream.
func variantOf(v *m3u8.Variant) variant.Variant {
	out := variant.Variant{
		Bandwidth: v.Bandwidth, AverageBandwidth: v.AverageBandwidth, Codecs: v.Codecs, Width: v.Width, Height: v.Height, FrameRate: v.FrameRate,
		VideoRange: v.VideoRange, Captions: variant.Captions{Sent: v.ClosedCaptions != "" && v.ClosedCaptions != m3u8.NoCaptions},
	}
	for name := range strings.SplitSeq(v.Codecs, ",") {
		switch c := strings.TrimSpace(name); {
		case strings.HasPrefix(c, "avc1"), strings.HasPrefix(c, "avc3"):
			out.VideoCodec = "h264"
		case strings.HasPrefix(c, "hvc1"), strings.HasPrefix(c, "hev1"):
			out.VideoCodec = "h265"
		case c == "mp4a.40.34", c == "mp4a.6B", c == "mp4a.69":
			out.AudioCodec = "mp3"
		case strings.HasPrefix(c, "mp4a"):
			out.AudioCodec = "aac"
		}
	}
	return out
}
