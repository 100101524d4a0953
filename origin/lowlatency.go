package origin

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/directive"
	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
)

var lateEdge = &refusal{503, ageNever, "nothing new has come in time\n"}

// edge is what there is of a recording's low-latency playlists.
func (o *Origin) edge(req *http1.Request, a *ask, snap *segmenter.Snapshot) (choice, error) {
	entry := a.name.Kind == segmenter.KindLowLatencyEntry
	switch {
	case snap.PartTarget == 0 && entry:
		return choice{}, notFoundEntry
	case snap.PartTarget == 0:
		return choice{}, notFoundRemoved
	case snap.State == segmenter.Stalled && o.rules.Load().failOnStale:
		return choice{}, isStalled
	}
	o.remember(req, a)
	if entry {
		return o.edgeEntry(a, snap), nil
	}
	d := &a.asks
	switch hold, err := awaits(req, d, snap); {
	case err != nil:
		return choice{}, err
	case hold:
		return choice{hold: snap}, nil
	}
	sh, err := a.slot.edge(snap, d.Skip, func() (*segmenter.Playlist, error) { return snap.LowLatency(d.Skip), nil })
	return choice{sheet: sh}, err
}

// awaits reports whether a request has to wait until a low-latency playlist has what it asks for.
func awaits(req *http1.Request, d *directive.Set, snap *segmenter.Snapshot) (hold bool, err error) {
	if snap.State == segmenter.Ended || !d.Awaits {
		return false, nil
	}
	switch has, tooFar := d.Due(snap); {
	case tooFar:
		return false, &refusal{400, ageNever, "_HLS_msn, _HLS_part: too far ahead of the playlist\n"}
	case has || req.Method != http1.MethodGet:
		return false, nil
	case req.Waited:
		return false, lateEdge
	}
	return true, nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// edgeSheet is a low-latency playlist of a snapshot.
type edgeSheet struct {
	generation uint64
	sheet      *sheet
}

// edgeMade finds the sheet of a snapshot's playlist; nil where it was not made yet.
func (s *slot) edgeMade(snap *segmenter.Snapshot, skip bool) *sheet {
	e := s.edges[count(skip)].Load()
	if e == nil || e.generation != snap.Generation {
		return nil
	}
	return e.sheet
}

// edge finds it, or makes it of what render gives.
func (s *slot) edge(snap *segmenter.Snapshot, skip bool, render func() (*segmenter.Playlist, error)) (*sheet, error) {
	if sh := s.edgeMade(snap, skip); sh != nil {
		return sh, nil
	}
	p, err := render()
	if err != nil {
		return nil, err
	}
	sh := newSheet(p, segmenter.KindLowLatency.Age(snap.TargetDuration, snap.State == segmenter.Ended))
	sh.state, sh.lastSequence, sh.lastUpdated = snap.State, itoa(int64(snap.Next()-1)), itoa(p.Modified.UnixMilli())
	s.edges[count(skip)].Store(&edgeSheet{snap.Generation, sh}) // a newer one's may follow at once
	return sh, nil
}

// trackLine is the recording in memory that a track's playlist is a low-latency one of; nil where it is an ordinary one: where low latency
// is off, of another time, and as long as there is no playlist.
func (o *Origin) trackLine(name segmenter.Name) (*segmenter.Timeline, *segmenter.Snapshot) {
	if name.Kind != segmenter.KindTrackLive {
		return nil, nil
	}
	line := o.line(name.Source())
	if line == nil {
		return nil, nil
	}
	snap := line.Snapshot()
	if snap.PartTarget == 0 || len(snap.Rows) == 0 || snap.State == segmenter.Starting {
		return nil, nil
	}
	return line, snap.Pictured()
}

// trackEdge answers for the low-latency playlist of a track.
func (o *Origin) trackEdge(ctx context.Context, req *http1.Request, res *http1.Response, a *ask, line *segmenter.Timeline, snap *segmenter.Snapshot) error {
	if snap.State == segmenter.Stalled && o.rules.Load().failOnStale {
		return isStalled
	}
	d, err := directive.Parse(req.Query)
	if err != nil {
		return &refusal{400, ageNever, err.Error() + "\n"}
	}
	a.line, d.Skip = line, d.Skip && snap.Skips()
	o.remember(req, a)
	switch hold, err := awaits(req, &d, snap); {
	case err != nil:
		return err
	case hold:
		res.Hold, res.HoldFor = snap.Advanced(), o.holdFor(snap)
		return nil
	}
	sh, err := a.slot.edge(snap, d.Skip, func() (*segmenter.Playlist, error) { return o.trackEdgeOf(ctx, a.slot.name, line, snap, d.Skip) })
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	o.deliverSheet(req, res, sh)
	return nil
}

// trackEdgeOf renders the low-latency playlist of a track, once for all who ask for it at a time.
func (o *Origin) trackEdgeOf(ctx context.Context, name segmenter.Name, line *segmenter.Timeline, snap *segmenter.Snapshot, skip bool) (*segmenter.Playlist, error) {
	key := func(generation uint64) string {
		return "edge " + strconv.FormatBool(skip) + strconv.FormatUint(generation, 10) + " " + name.String()
	}
	p, err := cached(ctx, &o.pages, key(snap.Generation), func() (*segmenter.Playlist, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		l := &listing{name: name.Source(), dir: name.Stream + "/" + string(name.Recording) + "/", rows: snap.Rows[snap.First:]}
		all, err := o.inits(ctx, l)
		if err != nil {
			return nil, 0, 0, err
		}
		if err := unfit(all, name.Track); err != nil {
			return nil, 0, 0, err
		}
		growing, err := o.growing(ctx, name.Source(), snap)
		if err != nil {
			return nil, 0, 0, err
		}
		if growing != nil { // before somebody is told of them
			o.keepInits(l, []cmaf.Stretch{{Config: growing}})
		}
		e := cmaf.Edge{Track: name.Track, Stretches: all, Growing: growing, Reports: cmaf.Reports(line.Shown(), snap, name.Track)}
		p, err := newPlaylist(e.Append(nil, snap.List(skip)), snap.Modified)
		if err != nil {
			return nil, 0, 0, err
		}
		return p, sizeOf(p), 0, nil
	})
	for n := snap.Generation; n > 0 && n+4 > snap.Generation; n-- { // the newest is in the slot: those before it are of no use
		o.pages.forget(key(n - 1))
	}
	return p, err
}

// growing is how the segment that is being written is coded, as far as its parts say; nil where it has none.
func (o *Origin) growing(ctx context.Context, name segmenter.Name, snap *segmenter.Snapshot) (*cmaf.Config, error) {
	name.Kind, name.Sequence = segmenter.KindSegment, snap.Next()
	n := snap.Count(name.Sequence)
	if n == 0 {
		return nil, nil
	}
	if c, ok := o.pages.find("head " + name.String()).(*cmaf.Config); ok {
		return c, nil
	}
	first, _ := snap.Part(name.Sequence, 0)
	if !first.Retain() {
		return nil, nil
	}
	defer first.Release()
	var pieces [][]byte
	for i := range n {
		p, _ := snap.Part(name.Sequence, i)
		pieces = p.Slices(pieces)
	}
	r := o.remuxer()
	defer o.remuxers.Put(r)
	h, err := r.Head(pieces)
	if err != nil {
		return nil, err
	}
	c := cmaf.NewConfig(h)
	if !h.Lacks { // it is that of the segment
		o.pages.keep("head "+name.String(), c, configSize)
	}
	return c, nil
}

// edgeEntry is the low-latency entry: the stable entry with low-latency playlists in the place of the others.
func (o *Origin) edgeEntry(a *ask, snap *segmenter.Snapshot) choice {
	age := segmenter.KindEntry.Age(snap.TargetDuration, false)
	sh := a.slot.sheet.Load()
	if sh == nil || sh.from != snap.Entry || sh.cacheControl != age {
		body := bytes.ReplaceAll(snap.Entry.Body, []byte("/live.m3u8\n"), []byte("/"+segmenter.LowLatencyFile+"\n"))
		p, err := newPlaylist(body, snap.Entry.Modified)
		if err != nil {
			return choice{sheet: newSheet(snap.Entry, age), age: age} // compressing in memory cannot fail
		}
		sh = newSheet(p, age)
		sh.from, sh.state = snap.Entry, snap.State
		a.slot.sheet.Store(sh)
	}
	return choice{sheet: sh, age: age}
}

// part answers for a part of a segment, which is in memory or nowhere. The one that was hinted at is waited for.
// One of a track is rendered at the first request, with its other track.
func (o *Origin) part(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	line := o.line(a.name.Source())
	if line == nil {
		return notFoundRemoved
	}
	snap := partsFor(line, &a.name)
	p, ok := snap.Part(a.name.Sequence, a.name.Part)
	switch {
	case ok && a.name.Kind == segmenter.KindFragmentPart:
		return o.fragmentPart(ctx, req, res, a, snap, &p)
	case ok && p.Retain():
		o.deliverPart(req, res, &p)
		return nil
	case o.hinted(snap, &a.name) && req.Method == http1.MethodGet && !req.Waited:
		res.Hold, res.HoldFor = snap.Advanced(), o.holdFor(snap)
		return nil
	case o.hinted(snap, &a.name) && req.Method == http1.MethodGet:
		return lateEdge
	case snap.State != segmenter.Ended && len(snap.Parts) > 0 && a.name.Sequence >= snap.Parts[0].Sequence:
		return notFoundNext // it may come, or it was hinted at and the segment ended before it
	}
	return notFoundRemoved
}

// partsFor is the newest snapshot with the parts that a name may be of.
func partsFor(line *segmenter.Timeline, name *segmenter.Name) *segmenter.Snapshot {
	if name.Kind == segmenter.KindFragmentPart {
		return line.Snapshot().Pictured()
	}
	return line.Snapshot().Whole()
}

// hinted reports whether a part is the next that is expected, or was foretold by a manifest.
func (o *Origin) hinted(snap *segmenter.Snapshot, name *segmenter.Name) bool {
	sequence, index, ok := snap.Hint()
	switch {
	case !ok:
		return false
	case name.Sequence == sequence && name.Part == index:
		return true
	case name.Kind != segmenter.KindFragmentPart || name.Sequence < sequence:
		return false
	case name.Sequence > sequence:
		index = 0
	}
	f, _ := o.pages.find(foretoldKey(name)).(foretold)
	return name.Sequence <= f.last && name.Part >= index && name.Part < f.parts
}

// foretold is what a low-latency manifest has told players of what is not there yet: segments up to a number have so many parts each. Players
// ask for some of them at once, as Shaka does for two.
type foretold struct {
	last  uint64
	parts int
}

// foretoldKey is the key of what was foretold of a recording.
func foretoldKey(name *segmenter.Name) string {
	return "foretold " + name.App + "/" + name.Stream + "/" + string(name.Recording)
}

// deliverPart answers with a part that is retained.
func (o *Origin) deliverPart(req *http1.Request, res *http1.Response, p *segmenter.Part) {
	rep := o.lasting(segmenter.TypeSegment, partID(p.Sequence, p.Index), p.Size, p.End(), segmenter.AgeSegment)
	whole := o.deliver(req, res, &rep)
	if !whole || req.Method != http1.MethodGet {
		p.Release()
		return
	}
	o.stats.FromMemory.Add(1)
	res.Pieces = p
}

func partID(sequence uint64, index int) string {
	return strconv.FormatUint(sequence, 10) + "." + strconv.Itoa(index)
}

// quickPart reports whether a request is for a part that is going to be waited for: then no goroutine is needed for it meanwhile.
func (o *Origin) quickPart(req *http1.Request) bool {
	file := req.Path[strings.LastIndexByte(req.Path, '/')+1:]
	if strings.Count(file, ".") != 2 || !strings.HasSuffix(file, ".ts") && !strings.HasSuffix(file, ".m4s") {
		return false
	}
	name, ok := segmenter.ParseName(req.Path[1:])
	if !ok || name.Kind.Source() != segmenter.KindPart {
		return false
	}
	if o.opts.Remote != nil && o.away(&name) {
		return true // it is in memory, or waited for, or nowhere
	}
	line := o.line(name.Source())
	return line != nil && o.hinted(partsFor(line, &name), &name)
}

// quickEdge reports whether the answer for the low-latency playlist of a track needs no rendering: it was made, or it is waited for.
func (o *Origin) quickEdge(req *http1.Request, s *slot, snap *segmenter.Snapshot) bool {
	d, err := directive.Parse(req.Query)
	if err != nil {
		return true
	}
	d.Skip = d.Skip && snap.Skips()
	hold, err := awaits(req, &d, snap)
	return hold || err != nil || s.edgeMade(snap, d.Skip) != nil
}
