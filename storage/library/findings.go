package library

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Problem is the kind of a Finding.
type Problem string

// What Verify may find. All but the notices are damage: a player of the recording would meet it, and was not told.
const (
	ProblemNoPlaylist  Problem = "no-playlist"  // segments are there, the timestamped playlist is not
	ProblemBadPlaylist Problem = "bad-playlist" // the timestamped playlist cannot be read, or names what cannot be one of its segments
	ProblemMissing     Problem = "missing"      // the playlist names an object that does not exist
	ProblemSize        Problem = "size"         // an object has another size than the playlist says: it was truncated or replaced
	ProblemChecksum    Problem = "checksum"     // an object has other bytes than the playlist says
	ProblemMedia       Problem = "media"        // an object is no transport stream, or its time stamps contradict the playlist
	ProblemUnlisted    Problem = "unlisted"     // a segment exists that no playlist names
	ProblemUnheld      Problem = "unheld"       // nothing keeps a clip's segments from being removed with their recording
	ProblemGap         Problem = "gap"          // notice: the playlist itself says that media was lost
	ProblemReturned    Problem = "returned"     // notice: the playlist says that media was lost, but the object exists
	ProblemOpen        Problem = "open"         // notice: the playlist has no end, though nothing changes any more
)

// Notice reports whether a recording with this problem is what its playlist says nevertheless.
func (p Problem) Notice() bool {
	return p == ProblemGap || p == ProblemReturned || p == ProblemOpen
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Problem  Problem `json:"problem"`
	Key      string  `json:"key"`                // of the object
	Sequence *uint64 `json:"sequence,omitempty"` // of the segment
	Want     string  `json:"want,omitempty"`     // what the playlist says
	Got      string  `json:"got,omitempty"`      // what is there
	Detail   string  `json:"detail,omitempty"`
}

// Report is the outcome of Verify.
type Report struct {
	Recording Recording `json:"recording"`
	Checked   int       `json:"checked"`      // segments looked at
	ReadBytes int64     `json:"read_bytes"`   // of segments that were read whole
	Findings  []Finding `json:"findings"`     // never nil
	Sound     bool      `json:"sound"`        // no finding but notices: what is there is what the playlist says
	Whole     bool      `json:"whole"`        // and every second of it is there: no gap either
	Lost      Seconds   `json:"lost_seconds"` // of gaps, and of segments that are missing or damaged
	Took      Seconds   `json:"took_seconds"`
}

func (r *Report) add(f Finding) { r.Findings = append(r.Findings, f) }

func (r *Report) end(start, now time.Time) {
	r.Took, r.Sound, r.Whole = Seconds(now.Sub(start)), true, true
	for _, f := range r.Findings {
		r.Sound = r.Sound && f.Problem.Notice()
		r.Whole = r.Whole && f.Problem.Notice() && f.Problem != ProblemGap
	}
}

func atSegment(p Problem, n segmenter.Name) Finding {
	return Finding{Problem: p, Key: n.String(), Sequence: &n.Sequence}
}
