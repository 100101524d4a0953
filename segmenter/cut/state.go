package cut

import "time"

// State is what a publisher's frames up to one of them have left in a Line, a Cutter with its Solo, and Parts. Who is given the frames from
// there on, and begins with the state, decides the same. All times are on the timeline of who made it.
type State struct {
	Steady       Steady
	Video, Audio Tempo
	Delay, Skew  int64

	KeysSeen              bool
	KeysLast, KeyInterval int64

	Target    int // EXT-X-TARGETDURATION, seconds
	Announced int64
	Recent    [4]int64
	Intervals int // where the next of Recent goes, and any multiple of their number
	LastKey   int64

	Wall  time.Time // PROGRAM-DATE-TIME of Media
	Media int64
	Moved time.Duration

	Open         Segment // the segment that ends there
	Leads        bool
	Entry, Heard int64
	IsHeard      bool

	Parts PartsState
}

// Tempo is the State of one track.
type Tempo struct {
	Seen             bool
	Last, Dur, Shown int64
	Arrival          time.Time
	Quiet            time.Duration
	Mark             int64
}

// PartsState is the State of Parts.
type PartsState struct {
	Target, Frame int64
	Video         bool
	Number        uint64
	Begun, Usual  int64
	Ended         int
	From, Last    int64
	IsOpen        bool
}

// Capture returns the state, false where it is not one to begin with: no segment is open, a timeline has just begun or broken off, or a track
// is away.
func Capture(y *Steady, l *Line, c *Cutter, s *Solo, p *Parts) (st State, ok bool) {
	if !c.isOpen || c.isClosing || c.nextAudio != nil || l.jump || s.broken || s.waiting || !s.clock.settling.IsZero() || s.cadence.target == 0 {
		return State{}, false
	}
	for _, t := range []struct {
		there bool
		tempo *tempo
	}{{c.tracks.Video != nil, &l.video}, {c.tracks.Audio != nil, &l.audio}} {
		if t.there && (!t.tempo.seen || t.tempo.away()) {
			return State{}, false
		}
	}
	d, k := &s.cadence, &l.keys
	return State{
		Steady: *y, Video: l.video.state(), Audio: l.audio.state(), Delay: l.delay, Skew: l.skew,
		KeysSeen: k.seen, KeysLast: k.last, KeyInterval: k.interval,
		Target: d.target, Announced: d.announced, Recent: d.recent, Intervals: d.n, LastKey: d.lastKey,
		Wall: s.clock.wall, Media: s.clock.media, Moved: s.clock.moved,
		Open: c.open, Leads: c.leads, Entry: c.entry, Heard: c.heard, IsHeard: c.isHeard,
		Parts: PartsState{
			Target: p.target, Frame: p.frame, Video: p.video, Number: p.number, Begun: p.begun, Usual: p.usual, Ended: p.ended, From: p.from, Last: p.last, IsOpen: p.isOpen,
		},
	}, true
}

// Resume begins with a state. The settings are the receivers' own.
func (st *State) Resume(y *Steady, l *Line, c *Cutter, s *Solo, p *Parts, t Tracks) {
	*y = st.Steady
	l.video, l.audio, l.delay, l.skew, l.jump = st.Video.tempo(), st.Audio.tempo(), st.Delay, st.Skew, false
	l.keys = keys{seen: st.KeysSeen, last: st.KeysLast, interval: st.KeyInterval}
	d := &s.cadence
	d.target, d.announced, d.recent, d.lastKey, d.sawKey = st.Target, st.Announced, st.Recent, st.LastKey, true
	d.n = int(uint(st.Intervals) % uint(len(d.recent)))
	s.clock.wall, s.clock.media, s.clock.moved = st.Wall, st.Media, st.Moved
	s.clock.Settle()
	s.number, s.first, s.broken, s.waiting, s.made = st.Open.Number+1, false, false, false, time.Time{}
	c.SetTracks(t)
	c.Fix(st.Target)
	c.isOpen, c.open, c.leads, c.entry, c.heard, c.isHeard = true, st.Open, st.Leads, st.Entry, st.Heard, st.IsHeard
	if !p.On() {
		return
	}
	w := &st.Parts
	p.target, p.frame, p.video, p.number, p.begun, p.usual, p.ended, p.from, p.last, p.isOpen = w.Target, w.Frame, w.Video, w.Number, w.Begun, w.Usual, w.Ended, w.From, w.Last, w.IsOpen
}

func (t *tempo) state() Tempo {
	return Tempo{Seen: t.seen, Last: t.last, Dur: t.dur, Shown: t.shown, Arrival: t.arrival, Quiet: t.quiet, Mark: t.mark}
}

func (t *Tempo) tempo() tempo {
	return tempo{seen: t.Seen, last: t.Last, dur: t.Dur, shown: t.Shown, arrival: t.Arrival, quiet: t.Quiet, mark: t.Mark}
}
