package origin

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// directives are what a client asks of a low-latency media playlist (rfc8216bis 6.2.5). The zero value asks for nothing.
//
//	_HLS_msn=N    the playlist as soon as it has segment N
//	_HLS_part=P   as soon as it has part P of that
//	_HLS_skip=YES without what the client has already; v2 is the same here
type directives struct {
	awaits  bool // there is _HLS_msn
	msn     uint64
	hasPart bool
	part    int
	skip    bool
}

// parseDirectives reads those that this server knows; others it ignores, as rfc8216bis 6.2.5 asks. An error is in words for the
// person who wrote the URL.
func parseDirectives(query string) (d directives, err error) {
	skips := false
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		var once *bool
		switch name {
		case "_HLS_msn":
			once = &d.awaits
		case "_HLS_part":
			once = &d.hasPart
		case "_HLS_skip":
			once = &skips
		default:
			continue
		}
		if *once {
			return directives{}, fmt.Errorf("%s: given more than once", name)
		}
		*once = true
		n, err := strconv.ParseUint(value, 10, 31)
		switch name {
		case "_HLS_skip":
			if d.skip, err = true, nil; value != "YES" && value != "v2" {
				err = fmt.Errorf("%.40q is neither YES nor v2", value)
			}
		case "_HLS_msn":
			d.msn = n
		default:
			d.part = int(n)
		}
		if err != nil {
			return directives{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if d.hasPart && !d.awaits {
		return directives{}, fmt.Errorf("_HLS_part: not without _HLS_msn")
	}
	return d, nil
}

// onlyDirectives reports whether a query has nothing that another object could be meant by.
func onlyDirectives(query string) bool {
	for query != "" {
		var pair string
		if pair, query, _ = strings.Cut(query, "&"); !strings.HasPrefix(pair, "_HLS_") {
			return false
		}
	}
	return true
}

// maxAhead is how many segments behind the newest may be asked for.
const maxAhead = 2

// due reports whether a playlist has what is asked for, and whether it will never have it because it lies too far ahead. A part
// behind the last of its segment is the first of the next.
func (d *directives) due(s *segmenter.Snapshot) (has, tooFar bool) {
	next := s.Next() // the segment that is being written
	if d.msn > next-1+maxAhead {
		return false, true
	}
	if !d.hasPart {
		return d.msn < next, false
	}
	msn, part := d.msn, d.part
	if last := s.Count(msn); msn+1 == next && last > 0 && part >= last {
		if part >= last+partsAhead(s.PartTarget) {
			return false, true
		}
		msn, part = next, 0
	}
	if msn < next {
		return true, false
	}
	there := 0
	if msn == next {
		there = s.Count(next)
	}
	return part < there, part >= there+partsAhead(s.PartTarget)
}

// partsAhead is how many parts behind the newest may be asked for: three seconds, and three at least.
func partsAhead(target int64) int {
	const seconds = 3
	return max(3, int((seconds*segmenter.Clock+target-1)/target))
}

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
	if snap.State != segmenter.Ended && d.awaits {
		switch has, tooFar := d.due(snap); {
		case tooFar:
			return choice{}, &refusal{400, ageNever, "_HLS_msn, _HLS_part: too far ahead of the playlist\n"}
		case has || req.Method != http1.MethodGet:
		case req.Waited:
			return choice{}, lateEdge
		default:
			return choice{hold: snap}, nil
		}
	}
	sh := a.slot.edgeSheet(snap, d.skip)
	return choice{sheet: sh[count(snap.State != segmenter.Ended && d.awaits)]}, nil
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
