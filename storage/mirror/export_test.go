package mirror

// OwesLadders reports whether Recover found ladders, and no Ladders has taken them up yet.
func (m *Mirror) OwesLadders() bool { return len(m.ladders) > 0 }
