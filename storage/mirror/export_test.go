package mirror

// OwesLadders reports whether Recover found ladders that no Ladders has taken over yet.
func (m *Mirror) OwesLadders() bool { return len(m.ladders) > 0 }
