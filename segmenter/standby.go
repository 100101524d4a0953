package segmenter

import (
	"errors"
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/intake"
	"github.com/hlsorigin/hlsorigin/segmenter/pair"
	"github.com/hlsorigin/hlsorigin/segmenter/vitals"
)

// Standby is a session whose publisher feeds what another server is fed, too, and has a recording of. It makes the same segments, for nobody
// to see, until Promote: then they are this server's, and the recording goes on here without a break. WriteFrame and Close are called as those
// of a session; everything else may be called from another goroutine.
type Standby struct {
	*session
	held pair.Held // until it has joined

	t        *Timeline // nil: it has not joined
	joined   uint64    // the number that it has joined at
	compared uint64    // the number after the newest segment that is the same on both
	promoted bool
}

// Why a server cannot stand by. Test with errors.Is.
var (
	ErrUnlike   = errors.New("what is published here is not what the other server is fed")
	ErrSettings = errors.New("the other server has other settings")
)

// Standby begins one. It takes no place among the streams, and is refused where there is none, or no memory: it may have to take one at any time.
func (r *Registry) Standby(a ingest.Announce) (*Standby, error) {
	app, ok := r.app(a.App)
	if !ok {
		return nil, ingest.Refuse(ingest.UnknownApp, "there is no app %q", a.App)
	}
	r.mu.Lock()
	err := r.room(true)
	if r.closed {
		err = errClosed
	}
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	key := Key{a.App, a.Stream}
	s := &session{
		r: r, st: &stream{key: key}, o: &app, a: a, since: r.o.Now(), log: r.o.Log.With("stream", key.String()),
		accounts: [2]*ingest.Account{a.Ledger.Of(ingest.H264), a.Ledger.Of(ingest.AAC)}, vitals: new(vitals.Vitals),
	}
	s.gather.Drop()
	s.weave = intake.NewOrder(false)
	s.weave.Memory = r.o.Waiting
	s.vitals.Begin(a.Ledger)
	b := &Standby{session: s, held: pair.Held{Memory: r.o.Waiting}}
	s.spare = b
	return b, nil
}

// hold keeps a frame until it is known where it belongs. What is let go of the other server has.
func (b *Standby) hold(f *ingest.Frame) {
	if n := b.held.Add(f); n > 0 {
		b.account(&cut.Unit{Video: f.Track.Codec.IsVideo()}).Written.Add(int64(n))
	}
}

// Join looks in what has come for a place where the other server began a segment, and goes on from there. It reports whether it is found, now or
// before.
func (b *Standby) Join(p *pair.Report) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t != nil || b.closed != nil {
		return b.t != nil, nil
	}
	if !p.Even || p.Settings != b.o.settings() {
		return false, fmt.Errorf("%w: %s (deterministic %v) there, %s here", ErrSettings, p.Settings, p.Even, b.o.settings())
	}
	at, shift := b.held.Find(p.Boundaries)
	if at == nil {
		return false, nil
	}
	video, audio := b.held.Tracks()
	switch {
	case at.Program == pair.Program(video, audio):
	case at.Program == pair.Program(video, nil):
		audio = nil
	default:
		return false, fmt.Errorf("%w: its tracks are configured in another way", ErrUnlike)
	}
	id := RecordingID(p.Recording)
	begun, ok := id.Time()
	if !ok {
		return false, fmt.Errorf("%w: %q is no recording", ErrUnlike, p.Recording)
	}
	b.weave.Alone(video == nil || audio == nil)
	b.begin(id, begun, p, at, shift, cut.Tracks{Video: video, Audio: audio})
	frames, gone := b.held.Take(at.At - shift)
	b.account(&cut.Unit{Video: true}).Written.Add(int64(gone))
	for i := range frames {
		if err := b.accept(&frames[i]); err != nil {
			return true, err
		}
	}
	return true, nil
}

// begin makes the recording that goes on where the other's was.
func (b *Standby) begin(id RecordingID, begun time.Time, p *pair.Report, at *pair.Boundary, shift int64, tracks cut.Tracks) {
	t := &Timeline{key: b.st.key, id: id}
	c := newRecording(t, b.r, b.o, begun)
	at.State.Resume(&c.steady, &c.line, &c.cutter, &c.solo, &c.parts, tracks)
	c.has, c.owner = tracks, b.session
	muxer := at.Muxer
	c.pack.resume, c.pack.announced = &muxer, at.Metadata
	c.rows.target, c.rows.partTarget = p.TargetDuration, p.PartTarget
	t.vitals.Store(b.vitals)
	c.rows.snapshot()
	b.t, b.rec, b.shift, b.joined, b.compared = t, c, shift, at.Number, at.Number
}

// moved puts a frame at another place of the timeline.
func moved(f *ingest.Frame, by int64) {
	f.PTS, f.DTS = f.PTS+by, f.DTS+by
	if f.Sent != 0 {
		f.Sent += by
	}
}

// Place returns at which number it joined, and the number after the newest segment that both servers were seen to have alike; false where it
// has not joined.
func (b *Standby) Place() (joined, same uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.joined, b.compared, b.t != nil
}

// Reaches reports whether it has completed all segments before a number: only then it is known whether the recording can go on here.
func (b *Standby) Reaches(next uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.t != nil && max(b.t.Snapshot().Whole().Next(), b.joined) >= next
}

// Difference is a segment that is not the same on both servers.
type Difference struct {
	Number uint64
	Why    string
	Own    *Segment // here; nil where it is not in memory. Retain it
}

func (d *Difference) Error() string { return fmt.Sprintf("segment %d differs: %s", d.Number, d.Why) }

// Unwrap makes it a kind of ErrUnlike.
func (d *Difference) Unwrap() error { return ErrUnlike }

// Compare looks at each segment that both servers have completed. It returns how many there were that had not been compared before, and as
// error a *Difference. What the other's viewers are shown it need not keep for long.
func (b *Standby) Compare(p *pair.Report) (same int, err error) {
	b.mu.Lock()
	t, from := b.t, b.compared
	b.mu.Unlock()
	if t == nil {
		return 0, nil
	}
	s := t.Snapshot().Whole()
	for i := range p.Rows {
		e := &p.Rows[i]
		if e.Number < from || e.Number < s.Base || e.Number >= s.Next() {
			continue
		}
		if why := e.Differs(told(&s.Rows[e.Number-s.Base])); why != "" {
			return same, &Difference{Number: e.Number, Why: why, Own: s.Segment(e.Number)}
		}
		same++
		from = e.Number + 1
	}
	b.mu.Lock()
	b.compared = max(b.compared, from)
	b.mu.Unlock()
	for _, seg := range s.Segments {
		if seg.Sequence < min(p.Listed, from) {
			seg.Shelve()
		}
	}
	t.Confirm(min(p.Listed, from))
	return same, nil
}

// Promote makes the recording this server's, as the store has it so far, with what is here after that. An error means that nothing has
// changed.
func (b *Standby) Promote(rec Recovered) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.t == nil:
		return fmt.Errorf("%w: it has not been found where the two are alike", ErrUnlike)
	case b.closed != nil:
		return b.closed
	}
	r, s := b.r, b.session
	r.mu.Lock()
	if st := r.streams[b.st.key]; st != nil && st.session != nil || r.closed {
		r.mu.Unlock()
		return ingest.Refuse(ingest.NameTaken, "%s is already being published", b.st.key)
	}
	r.mu.Unlock()
	if err := b.rec.promote(rec, b.compared, r.o.Now()); err != nil {
		return err
	}
	b.promoted, s.spare = true, nil
	r.mu.Lock()
	st := r.streams[b.st.key]
	if st == nil {
		st = b.st
		r.streams[st.key] = st
	}
	s.st, st.session = st, s
	if st.vitals == nil {
		st.vitals = s.vitals
	}
	s.vitals = st.vitals
	r.live++
	r.stats.Publishers.Add(1)
	r.mu.Unlock()
	b.t.vitals.Store(s.vitals)
	if over := r.takeUp(b.t); over != nil {
		over.stop(r.o.Now(), false)
	}
	s.log.Info("publishing goes on here, which stood by", "recording", string(b.t.id), "remote", s.a.Remote)
	return nil
}

// same is the first number from which on what is in memory is what a store has, as far as that has it: its playlists say so, or the server that stored
// it did, before compared. Of the others the store's bytes are served: viewers may have had them already.
func same(rows []Row, base uint64, own table, oldest, compared uint64) uint64 {
	n := base + uint64(len(rows))
	for n > max(base, oldest) {
		e, o := &rows[n-1-base], own.row(n-1)
		known := e.CRC32C != 0 && e.CRC32C == o.CRC32C && e.Size == o.Size
		if e.Gap != o.Gap || !e.Gap && !known && n > compared {
			break
		}
		n--
	}
	return n
}

// promote puts what a store has before what is here, of which what comes before compared is known to be the same.
func (c *recording) promote(rec Recovered, compared uint64, now time.Time) error {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	l := &c.rows
	own, next := l.table, rec.Base+uint64(len(rec.Rows))
	first := own.base
	if len(own.rows) == 0 {
		first = l.opened
		own.base = first
	}
	switch {
	case rec.Recording != c.t.id:
		return fmt.Errorf("%w: it has the recording %s, and this one is of %s", ErrUnlike, rec.Recording, c.t.id)
	case rec.TargetDuration != l.target:
		return fmt.Errorf("%w: its target duration is %d s", ErrUnlike, rec.TargetDuration)
	case len(rec.Rows) == 0 || next < first || next > own.next() || l.state == Ended:
		return fmt.Errorf("%w: the store has the numbers before %d, and this server those from %d to %d", ErrUnlike, next, first, own.next())
	}
	for i := range rec.Rows {
		e := &rec.Rows[i]
		if o := own.row(e.Sequence); o != nil && e.CRC32C != 0 && (e.CRC32C != o.CRC32C || e.Size != o.Size) {
			return &Difference{Number: e.Sequence, Why: told(e).Differs(told(o))}
		}
	}
	l.table = table{waits: own.waits}
	t := &l.table
	t.adopt(rec.Base, rec.Rows)
	oldest := own.next() - uint64(len(own.segments))
	from := same(rec.Rows, rec.Base, own, oldest, compared)
	for i, s := range own.segments {
		switch n := oldest + uint64(i); {
		case n < from:
			l.stats.MemoryBytes.Add(-s.Size)
			s.Release()
		case n < next:
			size, sum := s.Size, s.CRC32C
			s.Row = *t.row(n)
			s.Size, s.CRC32C = size, sum // where the store's playlists do not say
			t.segments = append(t.segments, s)
		default:
			e := own.rows[n-own.base]
			e.Cues, e.Running = "", ""
			s.shelved.Store(false)
			t.add(e, s)
		}
	}
	l.split = split{archive: &archive{r: l.renderer}, first: max(rec.SplitFirst, rec.Base), name: rec.SplitName, seen: t.next()}
	l.split.archive.first = l.split.first
	l.rate.Raise(rec.Variant.Bandwidth)
	l.modified, l.target = now, rec.TargetDuration
	if rec.First > t.base {
		t.first = int(min(rec.First-t.base, uint64(len(t.rows)-1)))
	}
	if t.listed = t.until(rec.Confirmed); !t.waits {
		t.listed = 0
	}
	l.recall(rec.Confirmed, rec.Short)
	l.advance(rec.Short)
	l.slide()
	l.render()
	l.snapshot()
	return nil
}

// Give ends it, and returns the newest frames of one that has not joined, from a picture on that a decoder can begin with: for a session of
// its own.
func (b *Standby) Give() []ingest.Frame {
	b.mu.Lock()
	for f := b.weave.Rest(); f != nil && b.t == nil; f = b.weave.Rest() {
		b.hold(f)
	}
	frames, gone := b.held.Newest()
	b.account(&cut.Unit{Video: true}).Written.Add(int64(gone))
	b.mu.Unlock()
	b.Close(ingest.ErrReplaced)
	return frames
}

// Close implements ingest.Session.
func (b *Standby) Close(cause error) {
	b.mu.Lock()
	promoted := b.promoted
	b.mu.Unlock()
	if promoted {
		b.session.Close(cause)
		return
	}
	b.end(cause)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held.Clear()
	if b.rec != nil {
		b.rec.dissolve()
	}
}

// dissolve forgets a recording that nobody has seen.
func (c *recording) dissolve() {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.rows.state == Ended {
		return
	}
	c.rows.yield()
	c.rows.evict(len(c.rows.table.segments))
}

var _ ingest.Session = (*Standby)(nil)
