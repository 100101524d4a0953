package storage

import "github.com/hlsorigin/hlsorigin/segmenter"

// Standing is how far the stores are with one recording.
type Standing struct {
	Unsent  int64 // bytes of segments that a store has not confirmed; the larger where there are two
	Settled bool  // it has ended, and every store has all of it, with playlists that are final
}

// Standing tells it for one recording. One that the mirror does not know, or does not know any more, is settled.
func (m *Mirror) Standing(key segmenter.Key, id segmenter.RecordingID) Standing {
	m.mu.Lock()
	r := m.recordings[recordingKey{key, id}]
	m.mu.Unlock()
	if r == nil {
		return Standing{Settled: true}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Standing{Settled: r.ended}
	for _, l := range r.lanes {
		p.Settled = p.Settled && l.complete()
		var unsent int64
		for seq := l.settled; seq < r.next(); seq++ {
			if w := r.row(seq); !w.settled(l.target) {
				unsent += int64(w.size)
			}
		}
		p.Unsent = max(p.Unsent, unsent)
	}
	return p
}
