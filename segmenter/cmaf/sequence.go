package cmaf

import (
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/mpd"
)

// Low-latency DASH by segment sequences (ISO/IEC 23009-1): a segment of the time line is had in parts, which are those of the low-latency
// playlists. Of a segment that is complete it is known how many there are. That which is being written stands in the time line too, with a
// length and a number of parts that are foretold: players ask for one part after the other, and are let wait for the next.

// Piece is a segment as it stands in the time line of a manifest.
type Piece struct {
	Shift    int64 // of its begin, from where the row begins, ticks; 0 where there is no row yet
	Duration int64 // ticks
	Parts    int   // 0: it is had whole
}

// Sequence is the newest segments of a recording. Of those between two discontinuities all parts can be had, or none: a period cannot mix
// them.
type Sequence struct {
	Rows   []segmenter.Row  // the complete ones
	Pieces map[uint64]Piece // by number: of these, and of those that are foretold behind them
	Keys   int64            // the longest way from one keyframe to the next, as far as parts tell, ticks
}

const (
	// proof is how many segments must have been alike before more of the kind are foretold.
	proof = 3
	// alike is by how much segments that are alike may differ in length, ticks: less than a picture lasts at 24 a second. As much may a begin
	// that was foretold differ from what came.
	alike = segmenter.Clock / 25
	// lookout is for how long, about, there is always a segment that is foretold, behind that which is being written: until a player has read
	// the manifest again, through a cache. No usual length of a segment is the whole of it, or a half: how many are foretold must not change.
	lookout = 191 * segmenter.Clock / 100
	// farthest is how many segments are foretold, at most.
	farthest = 4
)

// Sequenced is what a manifest of low latency lists of a snapshot: the segments of the last three target durations, and what is foretold of
// those that follow. Nothing is, as long as the segments that are known in parts differ, in length or in how many parts they have, but for the
// first of a connection: then players have each segment when it is complete. Those of an earlier connection may have no parts any more, as
// after a restart of the server: they stay listed as a whole, since dash.js does not go on where the period that it plays is gone. False:
// there is no segment to list.
func Sequenced(s *segmenter.Snapshot) (q Sequence, ok bool) {
	counts := map[uint64]int{}
	for i := range s.Parts {
		counts[s.Parts[i].Sequence]++
	}
	from, left, whole := len(s.Rows), int64(3*s.TargetDuration)*segmenter.Clock, false
	for ; from > s.First && left > 0; from-- {
		e := &s.Rows[from-1]
		none := e.Gap || counts[e.Sequence] == 0
		if from == len(s.Rows) || s.Rows[from].Discontinuity { // another period
			whole = none
		}
		if none != whole {
			break
		}
		left -= e.Duration
	}
	if from == len(s.Rows) {
		return q, false
	}
	q = Sequence{Rows: s.Rows[from:], Pieces: map[uint64]Piece{}, Keys: keys(s)}
	for _, rows := range Split(tail(s.Rows, from)) {
		r := newRun(rows)
		for i := range rows {
			n := counts[rows[i].Sequence]
			if rows[i].Gap {
				n = 0
			}
			if rows[i].Sequence >= q.Rows[0].Sequence {
				q.Pieces[rows[i].Sequence] = r.piece(i, n)
			}
		}
		if rows[len(rows)-1].Sequence+1 == s.Next() {
			for i, n := len(rows), r.foretold(s, counts); n > 0 && i <= len(rows)+r.ahead; i++ {
				q.Pieces[rows[0].Sequence+uint64(i)] = r.piece(i, n)
			}
		}
	}
	return q, true
}

// keys is the longest way from one part that can be begun with to the next, ticks.
func keys(s *segmenter.Snapshot) (longest int64) {
	way := int64(0)
	for i := range s.Parts {
		p := &s.Parts[i]
		if p.Independent {
			way = 0
		}
		way += p.Duration
		longest = max(longest, way)
	}
	return longest
}

// tail is the rows from one on, with those before it that say how it goes on.
func tail(rows []segmenter.Row, from int) []segmenter.Row {
	for n := 0; from > 0 && n < 4*farthest && !rows[from].Discontinuity; n++ {
		from--
	}
	return rows[from:]
}

// run is rows without a discontinuity between them.
type run struct {
	rows  []segmenter.Row
	at    []int64 // where each begins, and where the last ends, ticks from where the first does
	begun int     // the first row that counts: that which a connection begins with may be of any length
	ahead int     // how many segments are foretold behind that which is being written
}

func newRun(rows []segmenter.Row) *run {
	r := &run{rows: rows, at: make([]int64, len(rows)+1)}
	for i := range rows {
		r.at[i+1] = r.at[i] + rows[i].Duration
	}
	if rows[0].Discontinuity || rows[0].Sequence == 0 {
		r.begun = 1
	}
	if r.begun < len(rows) {
		each := max(rows[r.begun].Duration, 1)
		r.ahead = int(max(1, min((lookout+each-1)/each, farthest)))
	}
	return r
}

// begin is where the i-th row begins in the time line. It was foretold when the row that ends there came into the time line, by what was
// complete then, and stays so where that was right: players take a segment that is longer than it was for a new one. It follows from rows
// alone, so that it is the same whenever, and by whomever, it is worked out. i may be behind the last row, by r.ahead+1.
func (r *run) begin(i int) int64 {
	g := i - 1 - r.ahead // was being written then
	n := min(4, g-r.begun)
	if n < 1 {
		return r.at[min(i, len(r.at)-1)]
	}
	b := r.at[g] + int64(r.ahead+1)*(r.at[g]-r.at[g-n])/int64(n)
	if i < len(r.at) && max(b-r.at[i], r.at[i]-b) > alike {
		return r.at[i]
	}
	return b
}

// piece is the i-th row, which has n parts, in the time line.
func (r *run) piece(i, n int) Piece {
	b := r.begin(i)
	p := Piece{Duration: max(1, r.begin(i+1)-b), Parts: n}
	if i < len(r.rows) {
		p.Shift = b - r.at[i]
	}
	return p
}

// foretold is how many parts each of the next segments will have; 0: that cannot be told.
func (r *run) foretold(s *segmenter.Snapshot, counts map[uint64]int) (parts int) {
	if _, _, ok := s.Hint(); !ok || !s.Edge.Start.IsZero() && s.Edge.Discontinuity {
		return 0
	}
	seen, shortest, longest := 0, int64(0), int64(0)
	for i := len(r.rows) - 1; i >= r.begun; i-- {
		n, lasts := counts[r.rows[i].Sequence], r.rows[i].Duration
		if n == 0 {
			break // nothing is known of it any more
		}
		if seen == 0 {
			parts, shortest, longest = n, lasts, lasts
		}
		if shortest, longest = min(shortest, lasts), max(longest, lasts); n != parts || longest-shortest > alike {
			return 0
		}
		seen++
	}
	if seen < max(proof, r.ahead+1) {
		return 0
	}
	return parts
}

// runs are rows, the first of which begins at a media time, in the time line, and behind them those that are foretold.
func (q *Sequence) runs(rows []segmenter.Row, at int64) (runs []mpd.Run) {
	n := rows[0].Sequence
	at += q.Pieces[n].Shift
	for last := rows[len(rows)-1].Sequence; n <= last || last+1 == q.next(); n++ {
		p, ok := q.Pieces[n]
		if !ok {
			break
		}
		runs = mpd.Add(runs, at, p.Duration, p.Parts)
		at += p.Duration
	}
	return runs
}

// next is the number of the segment that is being written.
func (q *Sequence) next() uint64 { return q.Rows[0].Sequence + uint64(len(q.Rows)) }

// Foretold is the number of the last segment that is foretold, and how many parts those have; 0: none is.
func (q *Sequence) Foretold() (last uint64, parts int) {
	for n := q.next(); q.Pieces[n].Parts > 0; n++ {
		last, parts = n, q.Pieces[n].Parts
	}
	return last, parts
}

// longest is what the longest segment lasts, and most how many parts one has.
func (q *Sequence) longest() (lasts time.Duration, most int) {
	for _, p := range q.Pieces {
		lasts, most = max(lasts, time.Duration(p.Duration)*time.Second/segmenter.Clock), max(most, p.Parts)
	}
	return lasts, most
}
