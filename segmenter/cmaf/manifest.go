package cmaf

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/fmp4"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpd"
)

// Line is one track of a presentation, as DASH needs it.
type Line struct {
	Variant   *m3u8.Variant // its video is meant, or, where Audio is set, its audio
	Audio     bool
	Name      string // of the recording: its stream
	Dir       string // of the track, relative to the manifest, with its slash at the end
	Stretches []Stretch
	Sequence  *Sequence // in which its rows are listed, of a manifest of low latency; else nil
}

// Manifest says how a manifest looks.
type Manifest struct {
	Begun          time.Time // of the recording
	Type           m3u8.Type
	TargetDuration int  // seconds
	EndList        bool // nothing will be added
	Modified       time.Time
	Timeless       bool  // nobody tells players the time where it lies
	PartTarget     int64 // ticks, of a manifest of low latency: all lines have a sequence; 0: of another
}

// Append renders the manifest over lines, the first of which has the periods, behind b. Of one that still grows, and of the live
// window after its end, times are those since the recording began, by its wall clock; of one that is whole, periods follow each
// other without a pause.
func (m *Manifest) Append(b []byte, lines []Line) []byte {
	td := time.Duration(m.TargetDuration) * time.Second
	out := mpd.MPD{Published: m.Modified, Update: max(td/2, time.Second).Truncate(time.Second), Segment: td, Clock: "../../time"}
	if m.Timeless {
		out.Clock = ""
	}
	byWall := !m.EndList || m.Type == m3u8.Sliding
	var end time.Duration
	early := m.hasten(&out, lines)
	for k := range lines[0].Stretches {
		run := &lines[0].Stretches[k]
		p := mpd.Period{ID: strconv.FormatUint(number(run.Rows), 10), Start: end}
		if run.Since > 0 {
			p.ID += "-" + strconv.FormatUint(run.Since, 10)
		}
		if byWall {
			p.Start = max(run.anchor().Sub(m.Begun), 0)
		}
		for i := range lines {
			add(&p, &lines[i], run, byWall, m.PartTarget > 0 && k == len(lines[0].Stretches)-1, early)
		}
		if len(p.Sets) == 0 {
			continue
		}
		first, last := &run.Rows[0], &run.Rows[len(run.Rows)-1]
		begin := first.Start
		if byWall {
			begin = run.anchor()
		}
		p.Events = breaks(run.Rows, begin, len(out.Periods) == 0)
		out.Window += last.End().Sub(first.Start)
		if byWall {
			end = max(end, last.End().Sub(m.Begun))
		} else {
			end += last.End().Sub(first.Start)
		}
		out.Periods = append(out.Periods, p)
	}
	out.Duration = end
	if m.Type == m3u8.Event {
		out.Window = 0
	} else if m.PartTarget == 0 {
		out.Delay = min(td+2*out.Update+fetch, max(out.Window-td, td))
	}
	if !m.EndList {
		out.Start = m.Begun
	}
	return out.Append(b)
}

// fetch is what a player of an ordinary manifest is left to load a segment in, that has become older by its own duration, by that of the
// manifest in a cache, and once more until the player asked again.
const fetch = 1500 * time.Millisecond

// settle is what a player of a low-latency manifest has in front of it when it begins.
const settle = time.Second

// hasten says what a manifest of low latency says besides, and returns by how much earlier than its end a part may be asked for: by its
// length, since who asks for it is let wait.
//
// dash.js begins with the part that lies at its target, and where that has no keyframe, jumps to the next: with a target of the way between two
// and some more, that is there. It jumps to the target where it is too far from it, and so must not do that lightly: if nothing is foretold any
// more, there may be nothing. Shaka takes the end of what is being written for the present when it loads the manifest, which lies up to a segment
// ahead of it. Where nothing is foretold, players are to be behind the newest segment, by what passes until they are told of the next.
func (m *Manifest) hasten(out *mpd.MPD, lines []Line) (early time.Duration) {
	if m.PartTarget == 0 {
		return 0
	}
	early = time.Duration(m.PartTarget) * time.Second / segmenter.Clock
	out.Update, out.Segment = time.Second, 0
	keys, sure := time.Duration(0), true
	for i := range lines {
		q := lines[i].Sequence
		lasts, _ := q.longest()
		_, parts := q.Foretold()
		out.Segment, keys, sure = max(out.Segment, lasts), max(keys, time.Duration(q.Keys)*time.Second/segmenter.Clock), sure && parts > 0
	}
	if !sure {
		out.Delay = 2*out.Segment + early + settle
		return early
	}
	out.Delay = out.Segment + early + settle
	target := keys + settle/4
	out.Latency = mpd.Latency{Min: settle, Target: target, Max: target + 4*out.Segment}
	return early
}

// number tells the stretches of a recording apart: that of its discontinuities so far.
func number(rows []segmenter.Row) uint64 {
	n := rows[0].DiscontinuitySequence
	if rows[0].Discontinuity {
		n++
	}
	return n
}

// anchor is the instant from which the stretch's media times are counted.
func (s *Stretch) anchor() time.Time {
	if !s.Begun.IsZero() {
		return s.Begun
	}
	return s.Rows[0].Start
}

// time is the media time of the stretch's rows[0], ticks, by that of the segment that its configuration is of.
func (s *Stretch) time() int64 {
	t := fmp4.Unwrap(s.Of.Start.UnixMilli()*(segmenter.Clock/1000), s.Config.Head.PTS)
	first := s.Rows[0].Sequence
	for i := uint64(0); first+i < s.Of.Sequence; i++ {
		t -= s.Rows[i].Duration
	}
	return t
}

// during is what of a line lies beside a stretch of another, and the media times of its first row and of the stretch's begin, ticks: lines
// are cut at the same instants, but each changes its init segments when it likes. False: nothing does. Open says that the stretch is the last
// one, and of low latency: then what the line has already that the other has not belongs to it, too, as it was foretold.
func (l *Line) during(run *Stretch, open bool) (s Stretch, at, begin int64, ok bool) {
	from, to := run.Rows[0].Start, run.Rows[len(run.Rows)-1].End()
	if open {
		to = to.Add(time.Hour)
	}
	middle := func(e *segmenter.Row) time.Time { return e.Start.Add(e.End().Sub(e.Start) / 2) }
	for i := len(l.Stretches) - 1; i >= 0; i-- { // where two lie there, the newer one
		s := l.Stretches[i]
		first := sort.Search(len(s.Rows), func(j int) bool { return middle(&s.Rows[j]).After(from) })
		last := sort.Search(len(s.Rows), func(j int) bool { return !middle(&s.Rows[j]).Before(to) })
		if number(s.Rows) != number(run.Rows) || first >= last {
			continue
		}
		at, begin = s.time(), s.time()-s.Before
		for j := range first {
			at += s.Rows[j].Duration
		}
		s.Rows = s.Rows[first:last]
		if s.Since != run.Since { // it began at another time
			begin = at - run.Before - int64(s.Rows[0].Start.Sub(from))*segmenter.Clock/int64(time.Second)
		}
		return s, at, begin, true
	}
	return s, 0, 0, false
}

// add adds what of a line lies beside a stretch to the stretch's period.
func add(p *mpd.Period, l *Line, run *Stretch, byWall, open bool, early time.Duration) {
	s, t, begin, ok := l.during(run, open)
	if !ok {
		return
	}
	track := segmenter.VideoTrack
	if l.Audio {
		track = segmenter.AudioTrack
	}
	init := s.Config.Init(track)
	if init.Body == nil {
		return
	}
	r := mpd.Representation{
		ID: l.Name + "-" + string(rune(track)), Bandwidth: l.Variant.Bandwidth, Init: l.Dir + segmenter.InitFile(init.CRC32C), Media: l.Dir + "$Number%09d$.m4s",
		First: s.Rows[0].Sequence,
	}
	if h := &s.Config.Head; l.Audio {
		r.Codecs, r.Rate, r.Channels = audioName(l.Variant, h.Audio.Name()), h.Audio.Rate, h.Audio.Channels
		r.Bandwidth = audioRate * h.Audio.Channels
	} else {
		r.Codecs, r.Width, r.Height, r.FrameRate = h.Video.Name(), h.Video.Width, h.Video.Height, l.Variant.FrameRate
	}
	if r.Offset = t; byWall {
		r.Offset = begin
	}
	if q := l.Sequence; q != nil {
		r.Early, r.Runs = early, q.runs(s.Rows, t)
		if q.Pieces[s.Rows[0].Sequence].Parts > 0 {
			r.Media = l.Dir + "$Number%09d$.$SubNumber$.m4s"
			if r.Cadence = 1; !l.Audio { // of video, a keyframe is at the beginning for sure
				_, r.Cadence = q.longest()
			}
		}
	} else {
		for j := range s.Rows {
			r.Runs = mpd.Add(r.Runs, t, s.Rows[j].Duration, 0)
			t += s.Rows[j].Duration
		}
	}
	inband := "" // it may come at any time, and players look no further than the first manifest
	if s.Config.Head.Video == nil || !l.Audio {
		inband = fmp4.MetadataScheme
	}
	for j := range p.Sets {
		set := &p.Sets[j]
		if set.Audio == l.Audio && (l.Audio || family(set.Representations[0].Codecs) == family(r.Codecs)) {
			set.Representations = append(set.Representations, r)
			return
		}
	}
	p.Sets = append(p.Sets, mpd.Set{Audio: l.Audio, Inband: inband, Representations: []mpd.Representation{r}})
}

// audioRate stands for the bit rate of a channel of AAC, which nothing tells, bits per second.
const audioRate = 64_000

// audioName is the codec of a variant's audio as the encoder announced it; core where it is not known.
func audioName(v *m3u8.Variant, core string) string {
	if _, audio, err := codecs(v); err == nil && audio != "" {
		return audio
	}
	return core
}

// family is the part of a codec's name that tells decoders apart: players do not switch between them.
func family(codec string) string {
	name, _, _ := strings.Cut(codec, ".")
	return name
}

// Lines are the tracks of a multivariant playlist over tracks, with what find knows of each; one that find does not know is left
// out.
func Lines(m *m3u8.Master, app string, find func(n segmenter.Name) (*Line, error)) (lines []Line, err error) {
	add := func(uri string, v *m3u8.Variant) error {
		n, ok := segmenter.ParseName(app + "/streams/" + uri)
		if !ok {
			return fmt.Errorf("the track %.80q is not one of ours", uri)
		}
		l, err := find(n)
		if l == nil || err != nil {
			return err
		}
		l.Variant, l.Audio, l.Name = v, n.Track == segmenter.AudioTrack, n.Stream
		lines = append(lines, *l)
		return nil
	}
	for i := range m.Variants {
		if err := add(m.Variants[i].URI, &m.Variants[i]); err != nil {
			return nil, err
		}
	}
	for _, r := range m.Renditions {
		i := slices.IndexFunc(m.Variants, func(v m3u8.Variant) bool { return v.Audio == r.GroupID })
		if i < 0 {
			continue
		}
		if err := add(r.URI, &m.Variants[i]); err != nil {
			return nil, err
		}
	}
	return lines, nil
}
