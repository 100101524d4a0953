package segmenter

// RungState is a ladder's rung as an operator sees it.
type RungState struct {
	Stream string
	State  string // one of RungIn, RungAway, RungWaiting, RungOutside
	Reason string // why it stands outside; else empty
}

// The states of a rung.
const (
	RungIn      = "in"      // viewers are offered it
	RungAway    = "away"    // it has been in, and what comes at its numbers now are gaps, or nothing
	RungWaiting = "waiting" // nothing of it has been listed yet
	RungOutside = "outside" // it does not fit to the others, and is a stream on its own for the rest of the recording
)

// Rungs are the rungs of a ladder, best first; nil where there is no ladder of the name.
func (r *Registry) Rungs(k Key) []RungState {
	l := r.ladders.ladder(k)
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := l.grid.NextNumber()
	list := make([]RungState, 0, len(l.names))
	for _, name := range l.names {
		m, s := l.rungs[name], RungState{Stream: name, State: RungIn}
		last, listed := m.place.Last()
		switch {
		case m.place.Out() != "":
			s.State, s.Reason = RungOutside, m.place.Out()
		case m.c == nil || !listed:
			s.State = RungWaiting
		case last+3 < newest || m.lost():
			s.State = RungAway
		}
		list = append(list, s)
	}
	return list
}
