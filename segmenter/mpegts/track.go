package mpegts

// Track is one of the two elementary streams of a program.
type Track uint8

// The tracks of a program.
const (
	VideoTrack Track = iota
	AudioTrack
)

// Away says that a track does not come while the other goes on, until its next access unit. The muxer cannot know: what
// looks like silence in time stamps may be a track that is only sent later than the other, by up to five seconds, and for
// which the PCR has to wait lest it be past what follows. The caller knows by arrival.
//
// From then on the PCR goes on with the other track, as far behind as it was held back: a track that comes back where it
// would be by now finds no PCR past it. What comes back with all that was queued meanwhile does where it was away for long,
// and the PCR has to jump back (see Stats.PCRReset); it is better to say Away late than early. A track that has never come
// in this time line does not count any more at all. Without Away the PCR waits for a track for six seconds of the other's
// time. Saying it again changes nothing.
func (m *Muxer) Away(t Track) {
	p, o := &m.clock.video, &m.clock.audio
	if t == AudioTrack {
		p, o = o, p
	}
	if !p.away {
		p.away, p.since = true, o.at
	}
}
