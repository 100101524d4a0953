package segmenter

// Publishers are the names that are published now, in no order, those included of which nothing could be used yet and that
// have no timeline therefore.
func (r *Registry) Publishers() []Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	keys := make([]Key, 0, r.live)
	for key, st := range r.streams {
		if st.session != nil {
			keys = append(keys, key)
		}
	}
	return keys
}
