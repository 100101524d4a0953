package origin

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
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
	if snap.State != segmenter.Ended && d.Awaits {
		switch has, tooFar := d.Due(snap); {
		case tooFar:
			return choice{}, &refusal{400, ageNever, "_HLS_msn, _HLS_part: too far ahead of the playlist\n"}
		case has || req.Method != http1.MethodGet:
		case req.Waited:
			return choice{}, lateEdge
		default:
			return choice{hold: snap}, nil
		}
	}
	sh := a.slot.edgeSheet(snap, d.Skip)
	return choice{sheet: sh[count(snap.State != segmenter.Ended && d.Awaits)]}, nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// edgeSheets are the sheets of a low-latency playlist: without _HLS_msn, and with it.
type edgeSheets struct {
	playlist *segmenter.Playlist
	state    segmenter.State
	sheets   [2]*sheet
}

// edgeSheet finds the sheets of a snapshot's playlist, or makes them.
func (s *slot) edgeSheet(snap *segmenter.Snapshot, skip bool) [2]*sheet {
	p, at := snap.LowLatency(skip), &s.edges[count(skip)]
	if e := at.Load(); e != nil && e.playlist == p && e.state == snap.State {
		return e.sheets
	}
	kind := segmenter.KindLowLatency
	sh := newSheet(p, kind.Age(snap.TargetDuration, snap.State == segmenter.Ended))
	sh.state, sh.lastSequence, sh.lastUpdated = snap.State, itoa(int64(snap.Next()-1)), itoa(p.Modified.UnixMilli())
	e := &edgeSheets{p, snap.State, [2]*sheet{sh, sh.aged(segmenter.AgeAwaited(snap.TargetDuration))}}
	at.Store(e)
	return e.sheets
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
func (o *Origin) part(req *http1.Request, res *http1.Response, a *ask) error {
	line := o.line(a.name)
	if line == nil {
		return notFoundRemoved
	}
	snap := line.Snapshot()
	p, ok := snap.Part(a.name.Sequence, a.name.Part)
	switch {
	case ok && p.Retain():
		o.deliverPart(req, res, &p)
		return nil
	case hinted(snap, &a.name) && req.Method == http1.MethodGet && !req.Waited:
		res.Hold, res.HoldFor = snap.Advanced(), o.holdFor(snap)
		return nil
	case hinted(snap, &a.name) && req.Method == http1.MethodGet:
		return lateEdge
	case snap.State != segmenter.Ended && len(snap.Parts) > 0 && a.name.Sequence >= snap.Parts[0].Sequence:
		return notFoundNext // it may come, or it was hinted at and the segment ended before it
	}
	return notFoundRemoved
}

// hinted reports whether a part is the next that is expected.
func hinted(snap *segmenter.Snapshot, name *segmenter.Name) bool {
	sequence, index, ok := snap.Hint()
	return ok && sequence == name.Sequence && index == name.Part
}

// deliverPart answers with a part that is retained.
func (o *Origin) deliverPart(req *http1.Request, res *http1.Response, p *segmenter.Part) {
	id := strconv.FormatUint(p.Sequence, 10) + "." + strconv.Itoa(p.Index)
	rep := o.lasting(segmenter.TypeSegment, id, p.Size, p.End(), segmenter.AgeSegment)
	whole := o.deliver(req, res, &rep)
	if !whole || req.Method != http1.MethodGet {
		p.Release()
		return
	}
	o.stats.FromMemory.Add(1)
	res.Pieces = p
}

// quickPart reports whether a request is for a part that is going to be waited for: then no goroutine is needed for it meanwhile.
func (o *Origin) quickPart(req *http1.Request) bool {
	file := req.Path[strings.LastIndexByte(req.Path, '/')+1:]
	if strings.Count(file, ".") != 2 || !strings.HasSuffix(file, ".ts") {
		return false
	}
	name, ok := segmenter.ParseName(req.Path[1:])
	if !ok || name.Kind != segmenter.KindPart {
		return false
	}
	line := o.line(name)
	return line != nil && hinted(line.Snapshot(), &name)
}
