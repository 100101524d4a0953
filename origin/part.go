package origin

import (
	"strconv"
	"strings"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

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
		o.stats.FromMemory.Add(1)
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
	modified := p.End()
	whole := o.deliver(req, res, &representation{
		contentType:  segmenter.TypeSegment,
		cacheControl: segmenter.AgeSegment,
		vary:         o.cors().vary(false),
		etag:         `"` + strconv.FormatUint(p.Sequence, 10) + "." + strconv.Itoa(p.Index) + "-" + strconv.FormatInt(p.Size, 16) + `"`,
		modified:     modified,
		lastModified: httpDate(modified),
		size:         p.Size,
		contentSize:  itoa(p.Size),
		exactDate:    true,
	})
	if !whole || req.Method != http1.MethodGet {
		p.Release()
		return
	}
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
