package segmenter

import (
	"fmt"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/intake"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
	"github.com/hlsorigin/hlsorigin/segmenter/whole"
)

// Before a frame is placed on the time line it is decided whether it goes on there: its configuration may be new, its time
// stamps may jump, its track may have been away. What changes takes effect with a picture, at which a segment can begin.

// admission is what that depends on beside the line.
type admission struct {
	has    cut.Tracks    // which kinds of track the recording has from its start
	gains  *ingest.Track // one that came in later: see errSplit
	lobby  intake.Lobby  // what waits for a picture
	breaks breaks
	whole  whole.Line // of segments that came whole
}

// maxSegment bounds a segment, bytes: time stamps that stand still would make one without end.
const maxSegment = 256 << 20

// errStill is why a publisher is sent away whose segment does not end.
var errStill = fmt.Errorf("its time stamps do not go on: %d MiB came without filling one segment", maxSegment>>20)

// picture admits a picture. What waits for one takes effect with it.
func (c *recording) picture(u *cut.Unit) error {
	if ok, err := c.adoptVideo(u); !ok || err != nil {
		return err
	}
	c.retry()
	l := &c.line
	switch {
	case l.Jumps(u), c.cutter.Overruns(u) && (c.rung == nil || l.Skips(u)):
		if err := c.jump(u); err != nil {
			return err
		}
	case l.Absent(u) && c.rung != nil:
		c.rung.declare()
	case l.Absent(u):
		c.lobby.Return()
	}
	if c.gains != nil && l.Admits(u) {
		return errSplit
	}
	due := c.lobby.Due(l.Admits(u))
	if due && c.rung == nil {
		if err := c.change(u); err != nil {
			return err
		}
	}
	l.Place(u)
	if due && c.rung != nil {
		c.rung.breakAtOnce(u)
	}
	if !c.put(u) {
		if c.rung == nil || !u.Resumes || !c.lobby.AddPicture(u) {
			c.drop(u, ingest.BeforeKey)
		}
		return nil
	}
	for p := c.lobby.Picture(); p != nil; p = c.lobby.Picture() { // what is before it has no place any more
		c.drop(p, ingest.BeforeKey)
		c.lobby.NextPicture()
	}
	c.entered()
	return nil
}

// entered lets in what waited for the picture that was written just now.
func (c *recording) entered() {
	c.line.Settle()
	if c.lobby.HasSound() && (c.lobby.Track() == nil || c.lobby.Track() == c.cutter.Tracks().Audio) {
		c.enter()
	}
}

// retry asks again for a place for pictures that had none right after a jump, because the other rungs of the ladder had
// not jumped yet.
func (c *recording) retry() {
	for p := c.lobby.Picture(); p != nil && c.put(p); p = c.lobby.Picture() {
		c.lobby.NextPicture()
		c.entered()
	}
}

// adoptVideo takes a new configuration over; false where the frame has to be dropped meanwhile.
func (c *recording) adoptVideo(u *cut.Unit) (ok bool, err error) {
	t, was := u.Frame.Track, c.cutter.Tracks().Video
	switch {
	case t == was:
		return true, nil
	case !configured(t):
		c.drop(u, ingest.Uncarried)
		return false, nil
	case was != nil && cut.SameConfiguration(was, t):
		c.cutter.SetVideo(t)
		return true, nil
	case !c.line.Admits(u):
		c.drop(u, ingest.BeforeKey)
		return false, nil
	case c.cutter.IsOpen():
		if c.rung == nil && c.has.Video == nil {
			return false, errSplit
		}
		c.breakLine(false)
		err = c.breaks.add(u.Frame.Arrival)
	}
	c.cutter.SetVideo(t)
	return true, err
}

// jump breaks the time line at a unit that does not go on from where its track was.
func (c *recording) jump(u *cut.Unit) error {
	c.log.Info("the publisher's time stamps jump: a discontinuity", "seconds", cut.Duration(c.line.Step(u)).Seconds())
	c.breakLine(true)
	return c.breaks.add(u.Frame.Arrival)
}

// change lets a new configuration of the sound, or a track that came back, take effect with the picture in hand.
func (c *recording) change(u *cut.Unit) error {
	c.breakLine(true)
	c.lobby.Resume()
	return c.breaks.add(u.Frame.Arrival)
}

// sound admits an audio frame.
func (c *recording) sound(u *cut.Unit) error {
	if ok, err := c.adoptAudio(u); !ok || err != nil {
		return err
	}
	l := &c.line
	pictures := c.cutter.Tracks().Video != nil
	switch {
	case l.Stray(u), pictures && l.AfterJump() && !c.cutter.IsOpen():
		if c.lobby.Add(u, nil) {
			return nil
		}
		// The picture does not follow: this clock jumped alone.
		if l.Step(u) < 0 {
			if err := c.jump(u); err != nil {
				return err
			}
			return nil // the next picture begins a segment, and the sound enters
		}
		l.RestartSound()
		c.enter()
	case c.lobby.HasSound() && c.lobby.Track() == nil && !l.AfterJump():
		c.discard() // it went astray for a moment
	case pictures && l.Absent(u) && c.rung != nil:
		c.rung.declare()
	case pictures && l.Absent(u):
		c.lobby.Return()
	case !pictures && (l.Jumps(u) || c.rung == nil && c.cutter.Overruns(u)):
		if err := c.jump(u); err != nil {
			return err
		}
	}
	return c.hear(u)
}

// hear places an audio frame on the time line.
func (c *recording) hear(u *cut.Unit) error {
	if c.line.Apart(u) && c.cutter.IsOpen() {
		c.drop(u, ingest.BeforeVideo)
		return nil
	}
	if c.cutter.Tracks().Video != nil && !c.cutter.IsOpen() && c.soundAlone(u) {
		c.cutter.SetVideo(nil)
	}
	c.line.Place(u)
	switch {
	case c.put(u):
		c.line.Settle()
	case c.cutter.Tracks().Video != nil:
		c.drop(u, ingest.BeforeVideo)
	default:
		c.drop(u, ingest.BeforeKey)
	}
	return nil
}

// soundAlone decides on sound that finds no open segment where there should be a picture: it is dropped, unless none that a
// segment could begin with has come for so long that none can be expected any more. One that still comes begins with a
// discontinuity.
func (c *recording) soundAlone(u *cut.Unit) bool {
	despairs := c.solo.NoPictureComes(u)
	return c.rung == nil && despairs
}

// adoptAudio takes a new configuration over; false where the frame waits or is dropped.
func (c *recording) adoptAudio(u *cut.Unit) (ok bool, err error) {
	t := u.Frame.Track
	was := c.cutter.Tracks().Audio
	switch {
	case t == was, was != nil && cut.SameConfiguration(was, t):
		if t := c.lobby.Track(); t != nil && t != was { // it changed back at once
			c.discard()
		}
		c.cutter.SetAudio(t)
		return true, nil
	case !configured(t):
		c.drop(u, ingest.Uncarried)
		return false, nil
	case !c.cutter.IsOpen():
		c.cutter.SetAudio(t)
		return true, nil
	case was == nil && c.has.Audio == nil && c.rung == nil:
		c.gains = t // with the next keyframe
		c.drop(u, ingest.BeforeVideo)
		return false, nil
	case c.cutter.Tracks().Video == nil:
		c.breakLine(true)
		c.cutter.SetAudio(t)
		return true, c.breaks.add(u.Frame.Arrival)
	}
	if w := c.lobby.Track(); w == nil || !cut.SameConfiguration(w, t) {
		c.discard()
	}
	if !c.lobby.Add(u, t) {
		c.drop(u, ingest.BeforeVideo)
	}
	c.cutter.SetNextAudio(t)
	return false, nil
}

// enter lets the sound that waits in.
func (c *recording) enter() {
	frames := c.lobby.Take()
	for i := range frames {
		u := c.line.Survey(&frames[i])
		_ = c.hear(&u)
	}
}

// discard gives up the sound that waits.
func (c *recording) discard() {
	for _, f := range c.lobby.Take() {
		u := cut.Unit{Frame: &f}
		c.drop(&u, ingest.BeforeVideo)
	}
	c.cutter.SetNextAudio(nil)
}

// breaks counts the breaks of a publisher's time line.
type breaks struct {
	at [maxBreaks]time.Time // of the newest ones
	n  int
}

// maxBreaks is how many breaks of its time line a publisher may make in a minute.
const maxBreaks = 30

// add notes a break; an error ends the publisher that makes too many.
func (b *breaks) add(now time.Time) error {
	oldest := b.at[b.n%maxBreaks]
	b.at[b.n%maxBreaks] = now
	b.n++
	if b.n > maxBreaks && now.Sub(oldest) < time.Minute {
		return ingest.Refuse(ingest.Unsupported, "its time line broke off more than %d times in a minute: look at the encoder's clock and its connection", maxBreaks)
	}
	return nil
}

// append takes a segment that its sender cut, of the session that attached, as it is. A *ingest.NotWhole says why it was not taken, any
// other error is as that of write.
func (c *recording) append(s *session, f *ingest.Frame) error {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.owner != s {
		return nil
	}
	w := f.Whole
	if c.rows.lastFrame = f.Arrival; w.Lost {
		if c.rung == nil { // else the ladder knows its numbers
			c.miss(w)
		}
		return nil
	}
	g, err := c.whole.Look(w)
	if err != nil {
		return err
	}
	if len(c.rows.table.rows) == 0 {
		c.has = g.Tracks
	} else if !c.takes(g.Tracks) {
		return errSplit
	}
	made := whole.Made(w, f.Arrival)
	target, limit := c.rows.target, cut.RoundSeconds(codec.Ticks(c.o.MaxTargetDuration))
	if target == 0 {
		if target = limit; c.o.TargetDuration > 0 {
			target = cut.RoundSeconds(codec.Ticks(c.o.TargetDuration))
		}
	}
	if lasts := g.End - g.Start; cut.RoundSeconds(lasts) > target {
		return &ingest.NotWhole{Reason: fmt.Sprintf("a segment lasts %.1f s, which the playlist's target duration of %d s has no room for", cut.Duration(lasts).Seconds(), target)}
	}
	if c.rung != nil {
		return c.appendRung(w, &g, made)
	}
	g.Breaks = g.Breaks || c.whole.Drifted(&g, made)
	if g.Breaks {
		if err := c.stretch(&g, made, f.Arrival); err != nil {
			return err
		}
	}
	c.list(w, &g)
	return nil
}

// stretch breaks the time line before a segment.
func (c *recording) stretch(g *whole.Segment, made, arrival time.Time) (err error) {
	if c.whole.On() {
		err = c.breaks.add(arrival)
	}
	c.breakLine(false)
	notBefore := c.rows.end()
	if len(c.rows.table.rows) == 0 {
		notBefore, _ = c.t.id.Time()
	}
	c.whole.Begin(g, made, notBefore, c.o.PDTMaxDrift)
	return err
}

// appendRung takes a segment of a rung, which has the number that the other rungs have for it.
func (c *recording) appendRung(w *ingest.Whole, g *whole.Segment, made time.Time) error {
	first := g.First
	first.Arrival = made // what the rungs have in common, however long each took to come
	u := cut.Unit{Frame: &first, Video: first.Track.Codec.IsVideo(), PTS: first.PTS, DTS: first.DTS, At: first.PTS, Boundary: first.DTS, Duration: g.Frame, Key: true, Access: true}
	u.Survey = first.Track.Codec.Survey(first.Units)
	other := c.whole.On() && !c.whole.Like(g) // nobody would be told of it where the ladder has no discontinuity
	s, ok := c.rung.spot(&u, w.Discontinuity || other, !c.whole.On())
	if c.rung.gone.Load() {
		c.leave()
		return &ingest.NotWhole{Reason: "the rung stands outside its ladder"}
	}
	if !ok {
		c.rows.stats.DroppedLate.Add(int64(len(w.Frames)))
		return nil
	}
	if !c.whole.On() {
		c.whole.Begin(g, s.Wall, s.Wall, c.o.PDTMaxDrift)
	}
	g.Breaks = s.Discontinuity
	c.listAs(w, g, s)
	return nil
}

// list lists a segment that came whole.
func (c *recording) list(w *ingest.Whole, g *whole.Segment) {
	c.listAs(w, g, cut.Segment{Number: c.rows.next(), Wall: c.whole.Wall(g), Discontinuity: g.Breaks && c.rows.next() > 0})
}

// listAs lists a segment with the number, the wall time and the discontinuity of another.
func (c *recording) listAs(w *ingest.Whole, g *whole.Segment, s cut.Segment) {
	s.Start, s.Boundary, s.Independent = g.Start, g.Boundary, g.Independent
	f := finished{
		Segment: s, end: g.End, buf: c.pack.pool.Buffer(), frames: len(w.Frames), videoBytes: g.VideoBytes, key: g.Key, tracks: g.Tracks,
		captions: variant.Captions{Sent: g.Captioned, Channels: g.Captions},
	}
	f.ranges = whole.Shift(w.Ranges, w.Wall, f.Wall)
	c.solo.Announce(w.Longest)
	if f.target = c.solo.Fix(g.End - g.Start); c.rung != nil {
		f.target = c.rung.Fix(g.End - g.Start)
	}
	c.cutter.Fix(f.target)
	c.cutter.SetTracks(g.Tracks)
	c.pack.sink.open(f.Number)
	f.buf.Append(w.Packets)
	c.pack.late = true // its counters are not those of our muxer
	c.pack.stats.Frames.Add(int64(len(w.Frames)))
	c.rows.stats.Whole.Add(1)
	for i := range w.Frames {
		c.owner.account(&cut.Unit{Video: w.Frames[i].Track.Codec.IsVideo()}).Written.Add(1)
	}
	c.pack.sink.list(&f)
	c.whole.Next(g)
}

// miss lists a segment that the sender named and never sent.
func (c *recording) miss(w *ingest.Whole) {
	if !c.whole.On() || w.Duration <= 0 || c.rows.target > 0 && cut.RoundSeconds(w.Duration) > c.rows.target {
		return // nothing has been listed that it could be missing from
	}
	c.rows.lost = append(c.rows.lost, Row{
		Sequence: c.rows.next(), Start: c.rows.end(), Duration: w.Duration, Gap: true, Discontinuity: w.Discontinuity,
	})
	c.whole.Gap(w.Duration)
}
