package webhook

import (
	"encoding/json"
	"slices"
	"time"
)

// record is a line of the queue on disk: one of its fields is set. docs/hooks.md describes it.
type record struct {
	Event *eventRecord `json:"event,omitempty"`
	Done  *doneRecord  `json:"done,omitempty"`
}

// eventRecord is an event, with the targets that have not accepted it.
type eventRecord struct {
	N    uint64          `json:"n"`
	For  []identity      `json:"for"`
	ID   string          `json:"id"`
	Type string          `json:"type"`
	Time time.Time       `json:"time"`
	Lane string          `json:"lane"`
	Body json.RawMessage `json:"body"`
}

// doneRecord means that a target has accepted an event, or that it was dropped for the target.
type doneRecord struct {
	N   uint64   `json:"n"`
	For identity `json:"for"`
}

func encodeEvent(e *item, targets []identity) []byte {
	b, _ := json.Marshal(record{Event: &eventRecord{e.n, targets, e.ID, e.Type, e.Time, e.Lane, e.Body}}) // we made it ourselves
	return b
}

func encodeDone(d doneRecord) []byte {
	b, _ := json.Marshal(record{Done: &d})
	return b
}

// stored is an event as it is in the log.
type stored struct {
	*item
	targets []identity
}

// decode reads the records of a log: the unfinished events, in order, and the number after the highest. bad counts the unreadable records.
func decode(records [][]byte) (waiting []stored, next uint64, bad int) {
	byNumber := map[uint64]int{}
	next = 1
	for _, line := range records {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			bad++
			continue
		}
		switch {
		case r.Event != nil:
			e := r.Event
			if _, twice := byNumber[e.N]; twice || e.ID == "" {
				bad++
				continue
			}
			byNumber[e.N] = len(waiting)
			waiting = append(waiting, stored{&item{n: e.N, Event: Event{e.ID, e.Type, e.Time, e.Lane, e.Body}}, e.For})
			next = max(next, e.N+1)
		case r.Done != nil:
			if i, ok := byNumber[r.Done.N]; ok {
				w := &waiting[i]
				w.targets = slices.DeleteFunc(w.targets, func(id identity) bool { return id == r.Done.For })
			}
		}
	}
	return slices.DeleteFunc(waiting, func(s stored) bool { return len(s.targets) == 0 }), next, bad
}
