package spool

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"
)

// Bounds on what a journal may say. One that says more is not ours.
const (
	maxSkip     = 1 << 16           // numbers that one record may skip
	maxUnknown  = 1 << 18           // numbers that all of them may skip
	maxSplits   = 1 << 14           // timestamped playlists
	maxDoubts   = 1 << 10           // writes of playlists in doubt: if there are more, earlier ones are forgotten
	maxSpans    = 1 << 28           // rows that all records of runs may refer to, counted each time
	maxDuration = 24 * 3600 * 90000 // of a segment, 90 kHz ticks
	maxSegment  = 1 << 40           // bytes of one
	maxSearch   = 1 << 32           // bytes that are checksummed, after damage, to find the next intact record
)

// errForeign is a record that this program never writes, although its checksum is correct.
var errForeign = errors.New("not a record of this journal")

// Why a journal cannot be read at all.
var (
	// ErrLater means a journal in the format of a later version of this program.
	ErrLater = errors.New("the journal is of a later version of hlsorigin")
	// ErrNoJournal means a file with no readable record of a journal.
	ErrNoJournal = errors.New("the journal holds no record that can be read")
)

// Damage is an unreadable stretch of a journal.
type Damage struct {
	Offset, Bytes int
	Torn          bool // nothing readable follows: a crash, too, leaves a journal like this
}

// Read replays a journal, and returns how many of its bytes precede the first damage. After damage it continues with the next intact
// record: damage is never taken for the end. What was in a damaged stretch is unknown: a number without a row, before one that has one or
// that was opened, gets a row with Unknown set. An error means that nothing can be read.
func Read(data []byte) (s State, good int, err error) {
	at := len(magic)
	switch {
	case later(data):
		return State{}, 0, ErrLater
	case len(data) < len(magic) || string(data[:len(magic)]) != magic:
		at = 0
	}
	good, records := -1, 0
	for at < len(data) {
		if at > 0 {
			if kind, payload, size, ok := next(data[at:]); ok && s.apply(kind, payload, data[at:at+size]) == nil {
				at, records = at+size, records+1
				continue
			}
		}
		if good < 0 {
			good = at
		}
		end := at + 1
		for end < len(data) && !s.resumes(data[end:]) {
			end++
		}
		s.Damage = append(s.Damage, Damage{Offset: at, Bytes: end - at, Torn: end == len(data)})
		at = end
	}
	if good < 0 {
		good = at
	}
	s.unknown, s.spans, s.searched = 0, 0, 0
	if records == 0 {
		return State{Damage: s.Damage}, good, ErrNoJournal
	}
	if !s.begun && len(s.Damage) == 0 {
		s.Damage = append(s.Damage, Damage{Offset: len(magic)})
	}
	s.mend()
	return s, good, nil
}

// later reports whether data begins like a journal of another version.
func later(data []byte) bool {
	const stem = len(magic) - len("1\n")
	line, _, ok := bytes.Cut(data[:min(len(data), 2*len(magic))], []byte("\n"))
	if !ok || len(line) <= stem || string(line[:stem]) != magic[:stem] || string(line) == magic[:len(magic)-1] {
		return false
	}
	_, err := strconv.ParseUint(string(line[stem:]), 10, 32)
	return err == nil
}

// maxResumed bounds the payload in bytes of a record with which reading resumes after damage. Actual records are far smaller, except for a
// ladder's, and each offset of the damage is examined.
const maxResumed = 4096

// resumes reports whether p begins with a record with which reading can resume.
func (s *State) resumes(p []byte) bool {
	if len(p) < recordHead+recordTail || p[2] < recBegin || p[2] > recLast || p[2] != recLadder && int(binary.LittleEndian.Uint16(p)) > maxResumed {
		return false
	}
	if s.searched += int(binary.LittleEndian.Uint16(p)); s.searched > maxSearch {
		return false
	}
	kind, payload, _, ok := next(p)
	return ok && s.fits(kind, payload)
}

// fits reports whether a record can be applied; it changes nothing.
func (s *State) fits(kind byte, payload []byte) bool {
	switch kind {
	case recConfirmed, recDropped, recFinal, recSure, recTracks:
		return true // it contradicts nothing
	case recRow:
		_, _, err := s.readRow(&reader{p: payload})
		return err == nil
	}
	try := *s
	try.Splits, try.Doubts = slices.Clip(s.Splits), slices.Clip(s.Doubts)
	return try.apply(kind, payload, nil) == nil
}

// next reads the record at the start of p. ok is false if it is incomplete or its checksum is wrong.
func next(p []byte) (kind byte, payload []byte, size int, ok bool) {
	if len(p) < recordHead+recordTail {
		return 0, nil, 0, false
	}
	n := int(binary.LittleEndian.Uint16(p))
	size = recordHead + n + recordTail
	if len(p) < size {
		return 0, nil, 0, false
	}
	body := p[:recordHead+n]
	if checksum(body) != binary.LittleEndian.Uint32(p[recordHead+n:]) {
		return 0, nil, 0, false
	}
	return body[2], body[recordHead:], size, true
}

// apply applies one record. An unknown kind belongs to a later version: it is kept as it is, for rewritten journals.
func (s *State) apply(kind byte, payload, record []byte) error {
	r := reader{p: payload}
	switch kind {
	case recOpened, recRow, recSplit, recMeta:
		s.synced = false // more than the mark covers; what the other kinds say can be found out again
	}
	switch kind {
	case recBegin:
		id := ID{App: r.text(), Stream: r.text(), Recording: r.text()}
		if r.bad || s.begun && id != s.ID {
			return errForeign
		}
		s.ID, s.begun = id, true
	case recSession:
		boot, sync := r.text(), Sync(r.text())
		if r.bad {
			return errForeign
		}
		s.boot, s.sync = boot, sync
	case recMeta:
		var m Meta
		if json.Unmarshal(payload, &m) != nil || !m.valid() {
			return errForeign
		}
		s.Meta, r.p = m, nil
	case recOpened:
		seq, t := r.uint(), r.time()
		if r.bad || !s.open(seq) {
			return errForeign
		}
		s.seen(t)
	case recRow:
		return s.row(&r)
	case recConfirmed:
		target, first, count := r.byte(), r.uint(), r.uint()
		if r.bad || target > 7 {
			return errForeign
		}
		for i, n := s.span(first, count); n > 0; i, n = i+1, n-1 {
			s.Rows[i].Confirmed |= 1 << target
		}
	case recTracks:
		target, first, count, c := r.byte(), r.uint(), r.uint(), Coding{r.uint32(), r.uint32()}
		if r.bad || target > 7 {
			return errForeign
		}
		for i, n := s.span(first, count); n > 0; i, n = i+1, n-1 {
			s.Rows[i].Tracks |= 1 << target
			s.Rows[i].Coding = c
		}
	case recDropped:
		first, count := r.uint(), r.uint()
		for i, n := s.span(first, count); n > 0; i, n = i+1, n-1 {
			s.Rows[i].Dropped = true
		}
	case recSplit:
		sp := Split{First: r.uint(), Name: r.text()}
		n := len(s.Splits)
		at, found := s.split(sp.First)
		switch {
		case r.bad:
			return errForeign
		case found && s.Splits[at].Name == sp.Name: // said twice
		case n > 0 && sp.First <= s.Splits[n-1].First, n == maxSplits:
			return errForeign
		default:
			s.Splits = append(s.Splits, sp)
		}
	case recFinal:
		target, first := r.byte(), r.uint()
		if r.bad || target > 7 {
			return errForeign
		}
		if i, found := s.split(first); found {
			s.Splits[i].Final |= 1 << target
		}
	case recSeen:
		s.seen(r.time())
	case recSuperseded:
		s.Superseded = true
	case recEnded:
		s.Ended = true
	case recStoodDown:
		target := r.byte()
		if r.bad || target > 7 {
			return errForeign
		}
		s.StoodDown |= 1 << target
	case recSynced:
		s.synced = true
	case recLadder:
		var l Ladder
		if json.Unmarshal(payload, &l) != nil {
			return errForeign
		}
		s.Ladder, r.p = &l, nil
	case recDoubt:
		d := Doubt{Target: int(r.byte()), Key: r.text()}
		if r.bad || d.Target > 7 || copy(d.Body[:], r.p) != len(d.Body) {
			return errForeign
		}
		if r.p = nil; !slices.Contains(s.Doubts, d) {
			if len(s.Doubts) == maxDoubts {
				s.Doubts = nil
			}
			s.Doubts = append(s.Doubts, d)
		}
	case recSure:
		target, key := int(r.byte()), r.text()
		s.Doubts = slices.DeleteFunc(s.Doubts, func(d Doubt) bool { return d.Target == target && d.Key == key })
	default:
		if record != nil {
			s.Later = append(s.Later, record...)
		}
		return nil
	}
	if r.bad {
		return errForeign
	}
	return nil
}

// open marks a number as used.
func (s *State) open(seq uint64) bool {
	if seq+1 == 0 || len(s.Rows) > 0 && seq > s.Base+uint64(len(s.Rows))+maxSkip {
		return false
	}
	if s.Next == 0 {
		s.first = seq
	}
	s.Next = max(s.Next, seq+1)
	return true
}

// readRow reads a row and its position: an index into Rows, or past their end after a number of skipped numbers. It changes nothing.
func (s *State) readRow(r *reader) (row Row, at uint64, err error) {
	row = Row{Sequence: r.uint(), Start: r.time(), Duration: int64(r.uint()), Size: int64(r.uint()), CRC32C: r.uint32()}
	flags := r.byte()
	row.DiscontinuitySequence = r.uint()
	if len(r.p) > 0 && !r.bad {
		row.Cues, row.Running = r.text(), r.text()
	}
	row.Discontinuity, row.Independent, row.Gap = flags&rowDiscontinuity != 0, flags&rowIndependent != 0, flags&rowGap != 0
	base, n := s.Base, uint64(len(s.Rows))
	if n == 0 {
		base = row.Sequence
	}
	switch {
	case r.bad, row.Duration < 0, row.Duration > maxDuration, row.Size < 0, row.Size > maxSegment, row.Sequence+1 == 0:
		return row, 0, errForeign
	case row.Sequence < base, n == 0 && s.Next > row.Sequence+maxSkip:
		return row, 0, errForeign
	}
	at = row.Sequence - base
	if at < n { // an unknown row becomes known; a known one is not changed
		if old := &s.Rows[at]; !old.Unknown && (old.Start != row.Start || old.Size != row.Size || old.CRC32C != row.CRC32C) {
			return row, at, errForeign
		}
	} else if skipped := at - n; skipped >= maxSkip || skipped+uint64(s.unknown) > maxUnknown {
		return row, at, errForeign
	}
	return row, at, nil
}

func (s *State) row(r *reader) error {
	row, at, err := s.readRow(r)
	if err != nil {
		return err
	}
	if len(s.Rows) == 0 {
		s.Base = row.Sequence
	}
	if at < uint64(len(s.Rows)) {
		if old := &s.Rows[at]; old.Unknown {
			row.Confirmed, row.Dropped, row.Tracks, row.Coding = old.Confirmed, old.Dropped, old.Tracks, old.Coding
			*old = row
		}
		return nil
	}
	for end := s.Base + uint64(len(s.Rows)); end < row.Sequence; end++ {
		s.Rows = append(s.Rows, Row{Sequence: end, Unknown: true})
		s.unknown++
	}
	s.Rows = append(s.Rows, row)
	s.Next = max(s.Next, row.Sequence+1)
	return nil
}

// span clips numbers to the existing rows.
func (s *State) span(first, count uint64) (i, n int) {
	end := s.Base + uint64(len(s.Rows))
	if first < s.Base || first >= end {
		return 0, 0
	}
	i, n = int(first-s.Base), int(min(count, end-first))
	if s.spans += n; s.spans > maxSpans {
		return 0, 0
	}
	return i, n
}

// split finds the playlist that begins with a number.
func (s *State) split(first uint64) (int, bool) {
	return slices.BinarySearchFunc(s.Splits, first, func(sp Split, first uint64) int { return cmp.Compare(sp.First, first) })
}

func (s *State) seen(t time.Time) {
	if t.After(s.LastFrame) {
		s.LastFrame = t
	}
}
