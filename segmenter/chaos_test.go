package segmenter

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// chaosSeeds is how many courses of chaos are tried: HLSORIGIN_TEST_SCALE=1 has all of them.
func chaosSeeds() uint64 {
	if f, err := strconv.ParseFloat(os.Getenv("HLSORIGIN_TEST_SCALE"), 64); err == nil && f > 0 {
		return uint64(max(1, 20*min(f, 50)))
	}
	return 3
}

// witness remembers what viewers were shown, and holds every later snapshot against it.
type witness struct {
	t    *testing.T
	rows map[string]Row    // by key, recording and number
	seen map[string]uint64 // MEDIA-SEQUENCE by key and recording
	td   map[string]int
	last map[*Timeline]*Snapshot
	grid bool // durations and wall time are the ladder's: publishers that have nothing in common are not held to them
}

func newWitness(t *testing.T) *witness {
	return &witness{t: t, rows: map[string]Row{}, seen: map[string]uint64{}, td: map[string]int{}, last: map[*Timeline]*Snapshot{}}
}

func (w *witness) look(reg *Registry) {
	for _, tl := range reg.Timelines() {
		if s := tl.Snapshot(); w.last[tl] != s {
			w.last[tl] = s
			w.snapshot(s)
		}
	}
}

func (w *witness) snapshot(s *Snapshot) {
	name := s.Key.String() + "/" + string(s.Recording)
	if len(s.Rows) == 0 || s.TargetDuration == 0 {
		return
	}
	if td, ok := w.td[name]; ok && td != s.TargetDuration {
		w.t.Fatalf("%s: target duration %d became %d", name, td, s.TargetDuration)
	}
	w.td[name] = s.TargetDuration
	if n := countGaps(s.Rows); n != s.Gaps {
		w.t.Fatalf("%s: %d gaps, but it says %d", name, n, s.Gaps)
	}
	for i := max(0, len(s.Rows)-50); i < len(s.Rows); i++ {
		e := &s.Rows[i]
		if e.Sequence != s.Base+uint64(i) {
			w.t.Fatalf("%s: row %d has number %d, base %d", name, i, e.Sequence, s.Base)
		}
		id := fmt.Sprint(name, "/", e.Sequence)
		if old, ok := w.rows[id]; ok {
			if old != *e {
				w.t.Fatalf("%s changed:\n%+v\n%+v", id, old, *e)
			}
			continue
		}
		w.rows[id] = *e
		if !w.grid && cut.RoundSeconds(e.Duration) > s.TargetDuration {
			w.t.Fatalf("%s lasts %v, target %d", id, cut.Duration(e.Duration), s.TargetDuration)
		}
		if e.Gap != (e.Size == 0) {
			w.t.Fatalf("%s: gap %v, %d bytes", id, e.Gap, e.Size)
		}
		if i == 0 {
			continue
		}
		p := &s.Rows[i-1]
		want := p.DiscontinuitySequence
		if p.Discontinuity {
			want++
		}
		if e.DiscontinuitySequence != want {
			w.t.Fatalf("%s: discontinuity sequence %d, want %d", id, e.DiscontinuitySequence, want)
		}
		if e.Sequence > 10_000 {
			w.t.Fatalf("%s: nobody sent so much", id)
		}
		if w.grid {
			continue
		}
		off := e.Start.Sub(p.Start) - cut.Duration(p.Duration)
		if !e.Discontinuity && !e.Gap && !p.Gap && (off > 50*time.Millisecond || off < -50*time.Millisecond) {
			w.t.Fatalf("%s begins %v after the end of the one before", id, off)
		}
		if off < -50*time.Millisecond {
			w.t.Fatalf("%s begins %v before the end of the one before", id, -off)
		}
	}
	m, err := m3u8.ParseMedia(s.Live.Body)
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	if m.MediaSequence < w.seen[name] {
		w.t.Fatalf("%s: media sequence fell from %d to %d", name, w.seen[name], m.MediaSequence)
	}
	w.seen[name] = m.MediaSequence
	if m.EndList != (s.State == Ended) {
		w.t.Fatalf("%s: %v, ENDLIST %v", name, s.State, m.EndList)
	}
	if s.Archive() == nil {
		w.t.Fatalf("%s: no archive", name)
	}
}

// chaos is a publisher that does what none should.
type chaos struct {
	rnd   *rand.Rand
	r     *rig
	name  string
	s     ingest.Session
	e     *encoder
	n     int64 // frames
	at    int64 // ticks
	sound int64
	still bool
}

func (c *chaos) step() {
	if c.s == nil {
		if c.rnd.IntN(40) > 0 {
			return
		}
		s, err := c.r.publish(c.name, "me")
		if err != nil {
			return
		}
		c.s, c.e = s, newEncoder(c.r, s)
		if c.rnd.IntN(3) > 0 { // with a time line of its own
			c.at = c.rnd.Int64N(1<<34) - 1<<33
		}
		c.sound = c.at
		switch c.rnd.IntN(8) {
		case 0:
			c.e.video = nil
		case 1:
			c.e.audio = nil
		}
		c.e.gop = []int64{1, 25, 50, 75, 200, 1000}[c.rnd.IntN(6)]
	}
	switch c.rnd.IntN(2000) {
	case 0:
		c.s.Close(errors.New("reset"))
		c.s = nil
		return
	case 1:
		c.s.Close(ingest.ErrUnpublished)
		c.s = nil
		return
	case 2: // the connection hangs
		if s, err := c.r.publish(c.name, "me"); err == nil {
			c.s.Close(errors.New("late"))
			c.s = s
		}
	case 3:
		c.at += c.rnd.Int64N(1<<20) - 1<<19
	case 4:
		c.at += c.rnd.Int64N(1<<34) - 1<<33
		c.sound = c.at
	case 5:
		c.e.audio = &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x12, 0x10}, SampleRate: 44100, Channels: 2}
	case 6:
		c.e.audio = &ingest.Track{Codec: ingest.MP3, SampleRate: 44100, Channels: 2}
	case 7:
		if c.e.video != nil {
			v := *c.e.video
			v.SPS = [][]byte{append(append([]byte(nil), testSPS...), byte(c.n))}
			c.e.video = &v
		}
	case 8:
		c.e.delay = c.rnd.Int64N(6)
	case 9:
		c.e.audio = nil
	case 10:
		c.e.video = nil
	case 11:
		c.e.gop = 1 + c.rnd.Int64N(120)
	case 12:
		c.still = true
	case 13:
		c.e.video = newEncoder(c.r, c.s).video
	}
	if c.still {
		c.still = c.rnd.IntN(150) > 0
		c.at += 3600
		return
	}
	if c.e.audio != nil {
		for ; c.sound <= c.at; c.sound += 1920 {
			c.send(&ingest.Frame{Track: c.e.audio, PTS: c.sound, DTS: c.sound, Key: true, Units: [][]byte{{0xff, 0xfb, 0x90, 0, 1, 2, 3}}})
		}
	}
	if c.e.video != nil && c.s != nil {
		unit := []byte{0x41, byte(c.n), 3, 4}
		key := c.n%c.e.gop == 0
		if key && c.rnd.IntN(10) > 0 {
			unit[0] = 0x65
		}
		c.send(&ingest.Frame{Track: c.e.video, PTS: c.at + c.e.delay*3600, DTS: c.at, Key: key, Units: [][]byte{unit}})
	}
	c.n++
	c.at += 3600
	if c.rnd.IntN(200) == 0 {
		c.at += c.rnd.Int64N(100000)
	}
}

func (c *chaos) send(f *ingest.Frame) {
	if c.s == nil {
		return
	}
	f.Arrival = c.r.now
	if err := c.s.WriteFrame(f); err != nil {
		c.s.Close(err)
		c.s = nil
	}
}

// run lets the publishers be for d, and then all things end.
func run(t *testing.T, r *rig, d time.Duration, publishers []*chaos) {
	w := newWitness(t)
	w.grid = len(publishers) > 1
	tick := func() {
		r.now = r.now.Add(40 * time.Millisecond)
		r.reg.Expire(r.now)
	}
	for range d / (40 * time.Millisecond) {
		for _, c := range publishers {
			c.step()
		}
		tick()
		w.look(r.reg)
	}
	for _, c := range publishers {
		if c.s != nil {
			c.s.Close(ingest.ErrUnpublished)
		}
	}
	w.look(r.reg)
	for range 20 {
		r.now = r.now.Add(time.Minute)
		r.reg.Expire(r.now)
		w.look(r.reg)
	}
	st := r.reg.Stats()
	if st.Publishers.Load() != 0 || st.Recordings.Load() != 0 || st.MemoryBytes.Load() != 0 || len(r.reg.Timelines())+len(r.reg.Ladders()) != 0 {
		t.Errorf("left behind: %d publishers, %d recordings, %d bytes, %d timelines", st.Publishers.Load(), st.Recordings.Load(), st.MemoryBytes.Load(),
			len(r.reg.Timelines())+len(r.reg.Ladders()))
	}
}

// TestChaos holds what viewers may rely on, whatever publishers do.
func TestChaos(t *testing.T) {
	for seed := range chaosSeeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRig(t, AppOptions{ReconnectGrace: 10 * time.Second, EndGrace: 3 * time.Second, EndedTTL: time.Minute, ArchiveSplit: time.Minute})
			run(t, r, 10*time.Minute, []*chaos{{rnd: rand.New(rand.NewPCG(seed, 1)), r: r, name: "cam"}})
		})
	}
}

// TestLadderChaos holds the same for every rung of a ladder and for its audio-only variant, but for how long segments last:
// rungs of one encoder are held to that elsewhere.
func TestLadderChaos(t *testing.T) {
	for seed := range chaosSeeds() {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRig(t, AppOptions{ReconnectGrace: 10 * time.Second, EndGrace: 3 * time.Second, EndedTTL: time.Minute, ArchiveSplit: time.Minute,
				Audio: true, Groups: map[string][]string{"show": ladderRungs}})
			rnd := rand.New(rand.NewPCG(seed, 2))
			var rungs []*chaos
			for _, name := range ladderRungs {
				rungs = append(rungs, &chaos{rnd: rnd, r: r, name: name})
			}
			run(t, r, 10*time.Minute, rungs)
		})
	}
}
