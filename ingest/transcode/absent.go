package transcode

// Absence is why a rung is not made.
type Absence struct {
	Reason string // empty: it is made, or soon will be, as far as this package knows
	Usual  bool   // nothing is wrong
}

// Absent says why a rung is not made of what a publisher sends. The stream is the rung's. It is safe for concurrent use.
func (p *Publisher) Absent(app, stream string) Absence {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.newest {
		for _, r := range t.rungs {
			if r.announce.App != app || r.announce.Stream != stream {
				continue
			}
			if r.lower.Load() {
				return Absence{errLower.Error(), true}
			}
			if trouble := t.trouble.Load(); trouble != nil {
				return Absence{Reason: *trouble}
			}
		}
	}
	return Absence{}
}
