package spool

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// maxSkip bounds how many numbers one record may leave out. More than that is no journal of ours.
const maxSkip = 1 << 16

// errForeign is a record that no journal of this program holds, though its checksum is right.
var errForeign = errors.New("not a record of this journal")

// Read replays a journal. It stops without an error at the first record that is torn or damaged, as a crash leaves it
// behind, and says how many bytes before it are good. An error means that the file is no journal at all.
func Read(data []byte) (s State, good int, err error) {
	if len(data) < len(magic) || string(data[:len(magic)]) != magic {
		return State{}, 0, fmt.Errorf("journal: does not begin with %q", magic[:len(magic)-1])
	}
	good = len(magic)
	for {
		kind, payload, size, ok := next(data[good:])
		if !ok || s.apply(kind, payload) != nil {
			break
		}
		good += size
	}
	if !s.begun {
		return State{}, good, errors.New("journal: nothing but a torn beginning")
	}
	return s, good, nil
}

// next reads the record at the start of p; not ok where it is incomplete or its checksum is wrong.
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

// apply adds one record. A kind it does not know is a later version's, and skipped.
func (s *State) apply(kind byte, payload []byte) error {
	if !s.begun && kind != recBegin {
		return errForeign
	}
	r := reader{p: payload}
	switch kind {
	case recOpened, recRow, recSplit, recMeta:
		s.synced = false // more than the mark stands for; what the other kinds say can be found out again
	}
	switch kind {
	case recBegin:
		if s.begun {
			return errForeign
		}
		s.ID = ID{App: r.text(), Stream: r.text(), Recording: r.text()}
		s.begun = true
	case recSession:
		boot, sync := r.text(), Sync(r.text())
		s.boot, s.sync = boot, sync
	case recMeta:
		var m Meta
		if json.Unmarshal(payload, &m) != nil {
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
	case recDropped:
		first, count := r.uint(), r.uint()
		for i, n := s.span(first, count); n > 0; i, n = i+1, n-1 {
			s.Rows[i].Dropped = true
		}
	case recSplit:
		sp := Split{First: r.uint(), Name: r.text()}
		if n := len(s.Splits); r.bad || n > 0 && sp.First <= s.Splits[n-1].First {
			return errForeign
		}
		s.Splits = append(s.Splits, sp)
	case recFinal:
		target, first := r.byte(), r.uint()
		if r.bad || target > 7 {
			return errForeign
		}
		for i := range s.Splits {
			if s.Splits[i].First == first {
				s.Splits[i].Final |= 1 << target
			}
		}
	case recSeen:
		s.seen(r.time())
	case recSuperseded:
		s.Superseded = true
	case recEnded:
		s.Ended = true
	case recSynced:
		s.synced = true
	default:
		return nil
	}
	if r.bad {
		return errForeign
	}
	return nil
}

// open takes a number into use.
func (s *State) open(seq uint64) bool {
	if seq+1 == 0 || len(s.Rows) > 0 && seq > s.Base+uint64(len(s.Rows))+maxSkip {
		return false
	}
	s.Next = max(s.Next, seq+1)
	return true
}

func (s *State) row(r *reader) error {
	row := Row{Sequence: r.uint(), Start: r.time(), Duration: int64(r.uint()), Size: int64(r.uint()), CRC32C: r.uint32()}
	flags := r.byte()
	row.DiscontinuitySequence = r.uint()
	row.Discontinuity, row.Independent, row.Gap = flags&rowDiscontinuity != 0, flags&rowIndependent != 0, flags&rowGap != 0
	if r.bad || row.Duration < 0 || row.Size < 0 || row.Sequence+1 == 0 {
		return errForeign
	}
	if len(s.Rows) == 0 {
		s.Base = row.Sequence
		if s.Next > row.Sequence+maxSkip {
			return errForeign
		}
	}
	if row.Sequence != s.Base+uint64(len(s.Rows)) {
		return errForeign // rows come in order and each once
	}
	s.Rows = append(s.Rows, row)
	s.Next = max(s.Next, row.Sequence+1)
	return nil
}

// span clips numbers to the rows that exist.
func (s *State) span(first, count uint64) (i, n int) {
	end := s.Base + uint64(len(s.Rows))
	if first < s.Base || first >= end {
		return 0, 0
	}
	return int(first - s.Base), int(min(count, end-first))
}

func (s *State) seen(t time.Time) {
	if t.After(s.LastFrame) {
		s.LastFrame = t
	}
}

// reader takes a payload apart; bad is set where it is too short.
type reader struct {
	p   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.p) == 0 {
		r.bad = true
		return 0
	}
	b := r.p[0]
	r.p = r.p[1:]
	return b
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.p)
	if n <= 0 {
		r.bad, r.p = true, nil
		return 0
	}
	r.p = r.p[n:]
	return v
}

func (r *reader) uint32() uint32 {
	if len(r.p) < 4 {
		r.bad, r.p = true, nil
		return 0
	}
	v := binary.LittleEndian.Uint32(r.p)
	r.p = r.p[4:]
	return v
}

func (r *reader) text() string {
	n := r.uint()
	if n > uint64(len(r.p)) {
		r.bad, r.p = true, nil
		return ""
	}
	s := string(r.p[:n])
	r.p = r.p[n:]
	return s
}

func (r *reader) time() time.Time {
	ns, n := binary.Varint(r.p)
	if n <= 0 {
		r.bad, r.p = true, nil
		return time.Time{}
	}
	r.p = r.p[n:]
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
