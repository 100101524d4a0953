// Package directive reads what a low-latency client asks of a media playlist by its query (rfc8216bis 6.2.5), and knows when there is
// what it asks for. It is a function of query and snapshot: it refuses to wait, and to guess at what is malformed.
package directive

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Set is what a client asks of a low-latency media playlist. The zero value asks for nothing.
//
//	_HLS_msn=N    the playlist as soon as it has segment N
//	_HLS_part=P   as soon as it has part P of that
//	_HLS_skip=YES without what the client has already; v2 is the same here
type Set struct {
	Awaits  bool // there is _HLS_msn
	msn     uint64
	hasPart bool
	part    int
	Skip    bool
}

// Parse reads those that this server knows; others it ignores, as rfc8216bis 6.2.5 asks. An error is in words for the
// person who wrote the URL.
func Parse(query string) (d Set, err error) {
	skips := false
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		name = Name(name)
		var once *bool
		switch name {
		case "_HLS_msn":
			once = &d.Awaits
		case "_HLS_part":
			once = &d.hasPart
		case "_HLS_skip":
			once = &skips
		default:
			continue
		}
		if *once {
			return Set{}, fmt.Errorf("%s: given more than once", name)
		}
		*once = true
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			err = fmt.Errorf("%.40q is no number from 0 to %d", value, math.MaxInt32)
		}
		switch name {
		case "_HLS_skip":
			if d.Skip, err = true, nil; value != "YES" && value != "v2" {
				err = fmt.Errorf("%.40q is neither YES nor v2", value)
			}
		case "_HLS_msn":
			d.msn = n
		default:
			d.part = int(n)
		}
		if err != nil {
			return Set{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if d.hasPart && !d.Awaits {
		return Set{}, fmt.Errorf("_HLS_part: not without _HLS_msn")
	}
	return d, nil
}

// Name is the name of a parameter as it stands in a query, without its escapes: those of a name that needs none change nothing (RFC 3986, 2.3). A
// malformed one is no name that anybody knows, and stays.
func Name(raw string) string {
	if !strings.Contains(raw, "%") {
		return raw
	}
	if name, err := url.PathUnescape(raw); err == nil {
		return name
	}
	return raw
}

// Only reports whether a query has nothing that another object could be meant by.
func Only(query string) bool {
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

// Due reports whether a playlist has what is asked for, and whether it will never have it because it lies too far ahead. A part
// behind the last of its segment is the first of the next.
func (d *Set) Due(s *segmenter.Snapshot) (has, tooFar bool) {
	s = s.Whole()
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
