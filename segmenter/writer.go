package segmenter

import (
	"hash/crc32"
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Limits and tolerances of a publisher's time line.
const (
	audioWait   = 50 * time.Millisecond // for late audio at a cut
	backLimit   = 1 * Clock             // a DTS that falls by more begins a new time line
	gapLimit    = 2 * Clock             // a DTS that jumps ahead by more does, too
	videoSilent = Clock / 2             // video this far behind audio no longer leads the cuts
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// part is a segment while it is written.
type part struct {
	number        uint64
	buf           *mpegts.Buffer
	start         int64 // presentation time of its first access unit
	boundary      int64 // decoding time of its first access unit: audio before it belongs to the part before
	wall          time.Time
	discontinuity bool
	independent   bool
	frames        int
	videoBytes    int64
}

// writer is the writing end of a timeline. All of it is guarded by Timeline.mu.
type writer struct {
	t        *Timeline
	o        *AppOptions
	renderer *renderer
	pool     *mpegts.Pool
	memory   int64 // Options.Memory
	stats    *Stats
	log      *slog.Logger

	// What is published.
	base          uint64
	entries       []Entry
	segments      []*Segment
	first         int
	discontinuity uint64 // discontinuities in entries
	state         State
	generation    uint64
	target        int
	variant       Variant
	rate          rate
	modified      time.Time
	lastFrame     time.Time
	live, entry   *Playlist
	archive       *archive
	end           time.Time // when a recording without a publisher ends; when an ended one is forgotten

	group  bool      // this is the timeline of a ladder, which has playlists alone
	member *member   // the rung's place in its ladder; nil: a stream on its own
	leader *member   // the rung that writes this audio-only variant of a ladder along; nil: it is none
	tee    *audioTee // of that first rung

	// The connection that writes, and its time line.
	owner        *session
	mux          *mpegts.Muxer
	video, audio *ingest.Track
	sets         [][]byte // parameter sets of video
	cur          *part
	closing      *part // complete but for late audio
	closingBy    time.Time
	broken       bool // the next part begins a new time line
	cadence      cadence
	clock        wallclock

	videoDTS, frameDur int64 // of the last video frame; the usual distance between two
	delay              int64 // composition offset of the last keyframe
	audioPTS, audioDur int64
	sawVideo, sawAudio bool
	keyless            int64 // DTS of the first video frame that was dropped for want of a keyframe
	isKeyless          bool
	newVideo, newAudio *ingest.Track // a configuration that begins at the next keyframe
	listedVideo        *ingest.Track // the configuration of the part that began last
	listedAudio        *ingest.Track
	warnedForced       bool
	begun              time.Time // the instant that names the recording
}

// attach lets a session write; false where the recording has ended.
func (w *writer) attach(s *session) bool {
	if w.state == Ended {
		return false
	}
	w.owner = s
	if w.member != nil {
		w.member.enter(w.t)
	}
	w.breakLine()
	w.video, w.audio, w.newVideo, w.newAudio = nil, nil, nil, nil
	return true
}

// breakLine ends the time line: what is written so far is published, and the next segment begins with a discontinuity.
func (w *writer) breakLine() {
	w.finish()
	w.broken = true
	w.sawVideo, w.sawAudio, w.isKeyless = false, false, false
	w.cadence.reset()
	if w.mux != nil {
		w.mux.Discontinuity()
	}
}

// finish publishes all that is written.
func (w *writer) finish() {
	w.finishClosing()
	if p := w.cur; p != nil {
		w.cur = nil
		end := w.endOfInput(p)
		w.publish(p, end)
		if w.tee != nil {
			w.tee.end(end, w)
		}
	}
}

// endOfInput is the presentation time at which a part ends that no other follows.
func (w *writer) endOfInput(p *part) int64 {
	end := p.start
	if w.sawVideo {
		end = w.videoDTS + w.delay + w.frameDur
	}
	if w.sawAudio && (!w.sawVideo || w.audioPTS-w.videoDTS > videoSilent) {
		end = w.audioPTS + w.audioDur
	}
	return end
}

// write takes one frame.
func (w *writer) write(f *ingest.Frame) {
	w.lastFrame = f.Arrival
	if w.closing != nil && !f.Arrival.Before(w.closingBy) {
		w.finishClosing()
	}
	if f.Track.Codec.IsVideo() {
		w.writeVideo(f)
	} else {
		w.writeAudio(f)
	}
}

func (w *writer) writeVideo(f *ingest.Frame) {
	idr := isIDR(f.Track.Codec, f.Units)
	key := idr || f.Key
	if f.Track != w.video && !w.adoptVideo(f.Track, key) {
		return
	}
	dts, pts := f.DTS, f.PTS
	if w.sawVideo {
		step := dts - w.videoDTS
		elapsed := int64(0)
		if w.cur != nil {
			elapsed = dts - w.cur.boundary
		}
		usual := max(w.frameDur, 1)
		switch {
		case step < -backLimit, step > max(gapLimit, 5*usual) && !(w.sawAudio && near(dts, w.audioPTS)), step > 5*usual && w.cadence.overdue(elapsed, 0):
			w.log.Info("the publisher's time stamps jump: a discontinuity", "seconds", duration(step).Seconds())
			w.breakLine()
		case step <= 0:
			dts = w.videoDTS + 1
			w.stats.DTSRepaired.Add(1)
		}
	}
	if pts < dts {
		pts = dts
		w.stats.DTSRepaired.Add(1)
	}
	if w.cur == nil && !key && !w.startKeyless(dts) {
		return
	}
	frame := w.frameDur
	if frame <= 0 {
		frame = usualFrame(f.Track)
	}
	if w.sawVideo {
		w.frameDur = dts - w.videoDTS
	}
	if idr {
		w.delay = pts - dts
		if w.cadence.announced == 0 && w.target == 0 {
			w.cadence.announce(announcedInterval(f.Units, f.Track.FrameRate))
		}
	}
	at := dts + w.delay
	w.videoDTS, w.sawVideo = dts, true
	if key {
		w.cadence.key(at)
	}
	if key && w.newAudio != nil && w.cur != nil {
		w.breakLine()
		w.videoDTS, w.sawVideo = dts, true
	}
	switch {
	case w.cur == nil:
		if !w.begin(at, dts, frame, f.Arrival, idr) {
			w.stats.DroppedBeforeKey.Add(1)
			return
		}
	case w.member != nil:
		if !w.rungCut(at, dts, frame, f.Arrival, idr, key) {
			return
		}
	case key && w.cadence.atKey(at-w.cur.start):
		if w.clock.drifted(f.Arrival, at) {
			w.log.Info("media time fell behind the wall clock: PROGRAM-DATE-TIME is corrected",
				"seconds", f.Arrival.Sub(w.clock.at(at)).Seconds())
			w.breakLine()
			w.videoDTS, w.sawVideo = dts, true
			w.begin(at, dts, frame, f.Arrival, idr)
			break
		}
		w.cut(at, dts, f.Arrival, idr)
	case w.cadence.overdue(at-w.cur.start, w.frameDur):
		w.forced()
		w.cut(at, dts, f.Arrival, idr)
	}
	w.mux.Video(w.cur.buf, mpegts.VideoUnit{PTS: pts, DTS: dts, Units: f.Units, IDR: idr, ParameterSets: w.sets})
	w.cur.frames++
	for _, u := range f.Units {
		w.cur.videoBytes += int64(len(u))
	}
	w.stats.Frames.Add(1)
}

// near tells whether two tracks are at the same place of one time line. A track that was silent for a while and comes
// back where the other has got to meanwhile did not jump.
func near(a, b int64) bool { return a-b < gapLimit && b-a < gapLimit }

// startKeyless decides on a video frame that finds no open segment and is no keyframe: it is dropped, unless the
// encoder has sent none for so long that it seems to use gradual refresh.
func (w *writer) startKeyless(dts int64) bool {
	if !w.isKeyless {
		w.isKeyless, w.keyless = true, dts
	}
	if w.member == nil && dts-w.keyless >= w.cadence.limit {
		w.forced()
		return true
	}
	w.stats.DroppedBeforeKey.Add(1)
	w.videoDTS, w.sawVideo = dts, true
	return false
}

// forced counts a cut without a keyframe, and says once per recording what to do.
func (w *writer) forced() {
	w.stats.ForcedCuts.Add(1)
	if !w.warnedForced {
		w.warnedForced = true
		w.log.Warn("no keyframe came in time, the segment is cut without one: set the encoder's keyframe interval to 2 s, or hls.target_duration to its interval",
			"target_duration", w.cadence.target)
	}
}

// adoptVideo takes a new video configuration over; false where the frame has to be dropped meanwhile.
func (w *writer) adoptVideo(t *ingest.Track, key bool) bool {
	if !configured(t) {
		w.stats.DroppedUnconfigured.Add(1)
		return false
	}
	if w.video != nil && sameConfiguration(w.video, t) {
		w.video, w.sets = t, parameterSets(t)
		return true
	}
	if !key {
		w.stats.DroppedBeforeKey.Add(1)
		return false
	}
	if w.cur != nil {
		w.breakLine()
	}
	w.video, w.sets, w.newVideo = t, parameterSets(t), t
	w.cadence.announce(t.KeyframeInterval)
	return true
}

func (w *writer) writeAudio(f *ingest.Frame) {
	if f.Track != w.audio && !w.adoptAudio(f.Track) {
		return
	}
	pts := f.PTS
	dur := audioFrameDuration(f.Track)
	if w.sawAudio {
		step := pts - w.audioPTS
		switch {
		case step < -backLimit, step > gapLimit && !(w.sawVideo && near(pts, w.videoDTS)):
			w.log.Info("the publisher's time stamps jump: a discontinuity", "seconds", duration(step).Seconds())
			w.breakLine()
		case step <= 0:
			pts = w.audioPTS + 1
			w.stats.DTSRepaired.Add(1)
		}
	}
	if w.video != nil && w.cur == nil {
		w.stats.DroppedBeforeVideo.Add(1)
		return
	}
	switch {
	case w.cur == nil:
		w.begin(pts, pts, dur, f.Arrival, true)
	case w.closing != nil:
		if pts < w.cur.boundary {
			w.audioPTS, w.audioDur, w.sawAudio = pts, dur, true
			w.mux.Audio(w.closing.buf, pts, f.Units[0])
			if w.tee != nil {
				w.tee.frame(pts, f)
			}
			w.closing.frames++
			w.stats.Frames.Add(1)
			if pts+2*dur > w.cur.boundary {
				w.finishClosing()
			}
			return
		}
		w.finishClosing()
	case w.video == nil:
		if e := pts - w.cur.start; e >= w.cadence.segment || w.cadence.overdue(e, dur) || w.cadence.target == 0 && e >= firstMin {
			if w.clock.drifted(f.Arrival, pts) {
				w.breakLine()
				w.begin(pts, pts, dur, f.Arrival, true)
				break
			}
			w.cut(pts, pts, f.Arrival, true)
		}
	case pts-w.videoDTS > videoSilent && w.cadence.overdue(pts+w.delay-w.cur.start, dur):
		// The picture stands still, the sound goes on: so does the playlist.
		w.forced()
		w.cut(pts+w.delay, pts, f.Arrival, false)
	}
	w.audioPTS, w.audioDur, w.sawAudio = pts, dur, true
	w.mux.Audio(w.cur.buf, pts, f.Units[0])
	if w.tee != nil {
		w.tee.frame(pts, f)
	}
	w.cur.frames++
	w.stats.Frames.Add(1)
}

// adoptAudio takes a new audio configuration over; false where the frame has to be dropped until the next keyframe, at
// which the change is a discontinuity.
func (w *writer) adoptAudio(t *ingest.Track) bool {
	if !configured(t) {
		w.stats.DroppedUnconfigured.Add(1)
		return false
	}
	switch {
	case w.audio != nil && sameConfiguration(w.audio, t):
		w.audio = t
		return true
	case w.cur == nil:
		w.audio = t
		return true
	case w.video == nil:
		w.breakLine()
		w.audio = t
		return true
	}
	w.newAudio = t
	w.stats.DroppedUnconfigured.Add(1)
	return false
}

// audioFrameDuration is that of one frame: 1024 samples of the core coder for AAC, 1152 or 576 for MP3.
func audioFrameDuration(t *ingest.Track) int64 {
	rate := int64(max(t.SampleRate, 8000))
	switch {
	case t.Codec == ingest.AAC:
		return 1024 * Clock / rate
	case rate < 32000:
		return 576 * Clock / rate
	}
	return 1152 * Clock / rate
}

// begin opens the first part of a time line; false where a rung has to wait for its place in the ladder.
func (w *writer) begin(at, boundary, frame int64, arrival time.Time, independent bool) bool {
	if w.newAudio != nil {
		w.audio, w.newAudio = w.newAudio, nil
	}
	w.newVideo, w.isKeyless = nil, false
	if w.member != nil && w.member.outside() {
		w.member = nil
	}
	number := w.next()
	if w.member == nil {
		w.clock.anchor(arrival, w.endOfEntries(), at)
	} else {
		changed := len(w.entries) > 0 && !(sameConfiguration(w.listedVideo, w.video) && sameConfiguration(w.listedAudio, w.audio))
		n, wall, ok := w.member.place(at, frame, arrival, number, changed)
		if !ok {
			return false
		}
		if number = n; len(w.entries) == 0 {
			w.base = number
		}
		w.fill(number)
		w.clock.anchor(wall, wall, at)
	}
	w.listedVideo, w.listedAudio = w.video, w.audio
	w.configure()
	w.open(number, at, boundary, independent)
	w.tee = nil
	if w.member != nil && w.audio != nil {
		if w.tee = w.member.tee(); w.tee != nil {
			w.tee.begin(w.cur, w.audio, w)
		}
	}
	w.broken = false
	if w.state == Stalled {
		w.state = Live
	}
	w.announceWriting()
	return true
}

// rungCut cuts where the ladder's grid says so; false where the frame cannot be used.
func (w *writer) rungCut(at, dts, frame int64, arrival time.Time, idr, key bool) bool {
	if key {
		if number, wall, ok := w.member.cut(at, w.cur.start, frame, arrival); ok && number > w.cur.number {
			w.clock.anchor(wall, wall, at)
			w.cutTo(number, at, dts, arrival, idr)
		}
		return true
	}
	if w.member.missed(at, w.cur.start, frame) {
		// It stands outside now and goes on by itself, from this frame.
		w.member = nil
		w.forced()
		w.cut(at, dts, arrival, idr)
	}
	return true
}

// fill lists gaps for the numbers up to one that do not exist, as a lost or lagging rung leaves them.
func (w *writer) fill(upTo uint64) {
	if w.next() >= upTo || w.member == nil && w.leader == nil {
		return
	}
	for w.next() < upTo {
		e := w.gap(w.next())
		e.DiscontinuitySequence = w.discontinuity
		if e.Discontinuity {
			w.discontinuity++
		}
		w.entries = append(w.entries, e)
		w.segments = append(w.segments, nil)
		w.stats.Gaps.Add(1)
	}
	if w.target == 0 {
		return
	}
	w.slide()
	w.modified = w.lastFrame
	w.render()
	w.snapshot()
	if w.member != nil {
		w.member.published(w.next()-1, w.lastFrame)
	}
}

// gap is the row of a number without bytes, as the ladder's grid has it.
func (w *writer) gap(number uint64) Entry {
	m := w.member
	if m == nil {
		m = w.leader
	}
	return m.gap(number, w.endOfEntries())
}

// next is the number after the last listed one.
func (w *writer) next() uint64 { return w.base + uint64(len(w.entries)) }

// usualFrame is the distance between frames where two have not been seen yet.
func usualFrame(t *ingest.Track) int64 {
	if t.FrameRate >= 1 {
		return int64(Clock / t.FrameRate)
	}
	return Clock / 25
}

// endOfEntries is the wall time at which the last published segment ends; zero before the first.
func (w *writer) endOfEntries() time.Time {
	if len(w.entries) == 0 {
		return w.begun
	}
	e := &w.entries[len(w.entries)-1]
	return e.Start.Add(duration(e.Duration))
}

// configure makes the muxer fit the tracks. Both were checked by configured; an AudioSpecificConfig that the muxer cannot
// express in ADTS costs the audio track, not the publisher.
func (w *writer) configure() {
	c := mpegts.Config{Video: streamType(w.video), Audio: streamType(w.audio)}
	if w.audio != nil {
		c.ASC = w.audio.ASC
	}
	var err error
	if w.mux == nil {
		w.mux, err = mpegts.NewMuxer(c)
	} else {
		err = w.mux.Reconfigure(c)
	}
	if err == nil {
		return
	}
	w.log.Error("the audio track cannot be carried in MPEG-TS and is left out", "error", err)
	c.Audio, c.ASC = 0, nil
	if w.mux == nil {
		w.mux, _ = mpegts.NewMuxer(c)
	} else {
		_ = w.mux.Reconfigure(c)
	}
}

func (w *writer) open(number uint64, at, boundary int64, independent bool) {
	w.cur = &part{
		number: number, buf: w.pool.Buffer(), start: at, boundary: boundary, wall: w.clock.at(at),
		discontinuity: w.broken && number > w.base, independent: independent,
	}
	if w.member != nil {
		w.cur.discontinuity = w.member.breakAt(number)
	}
	w.mux.Begin(w.cur.buf)
}

// cut ends the current part at a boundary and opens the next. The old one is published at once where its audio is
// complete to within a frame, else as soon as that is so, or after audioWait.
func (w *writer) cut(at, boundary int64, arrival time.Time, independent bool) {
	w.cutTo(w.cur.number+1, at, boundary, arrival, independent)
}

func (w *writer) cutTo(number uint64, at, boundary int64, arrival time.Time, independent bool) {
	w.finishClosing()
	w.closing, w.closingBy = w.cur, arrival.Add(audioWait)
	// Audio still in the muxer's hands belongs to the old part; it must not reach the new one's buffer.
	w.open(number, at, boundary, independent)
	if !w.audioIsLate(boundary) {
		w.finishClosing()
	}
}

func (w *writer) audioIsLate(boundary int64) bool {
	if w.audio == nil || !w.sawAudio || w.video == nil {
		return false
	}
	missing := boundary - (w.audioPTS + w.audioDur)
	return missing > w.audioDur && missing < Clock
}

func (w *writer) finishClosing() {
	if p := w.closing; p != nil {
		w.closing = nil
		w.publish(p, w.cur.start)
		if w.tee != nil {
			w.tee.end(w.cur.start, w)
			w.tee.begin(w.cur, w.audio, w)
		}
	}
}

// publish lists a part that ends at presentation time end.
func (w *writer) publish(p *part, end int64) {
	if w.audio != nil {
		w.mux.FlushAudio(p.buf)
	}
	if p.frames == 0 {
		p.buf.Release()
		return
	}
	if p.number < w.next() {
		// It came so late that it was declared lost: a number never means two things.
		w.stats.DroppedLate.Add(int64(p.frames))
		p.buf.Release()
		return
	}
	w.fill(p.number)
	e := Entry{
		Sequence: p.number, Start: p.wall, Duration: max(end-p.start, 1), Size: int64(p.buf.Len()),
		Discontinuity: p.discontinuity, Independent: p.independent, DiscontinuitySequence: w.discontinuity,
	}
	var parts [16][]byte
	for _, b := range p.buf.Slices(parts[:0]) {
		e.CRC32C = crc32.Update(e.CRC32C, castagnoli, b)
	}
	if e.Discontinuity {
		w.discontinuity++
		w.stats.Discontinuities.Add(1)
	}
	if w.member != nil && w.cadence.target == 0 {
		own := w.cadence
		w.cadence.target = w.member.fix(own.fix(e.Duration))
	}
	w.target = w.cadence.fix(e.Duration)
	w.entries = append(w.entries, e)
	w.segments = append(w.segments, newSegment(e, p.buf))
	w.stats.Segments.Add(1)
	w.stats.Bytes.Add(e.Size)
	w.stats.MemoryBytes.Add(e.Size)
	w.slide()
	w.rate.add(&e, p.videoBytes)
	w.variant = w.rate.variant(w.video, w.audio, w.target)
	if w.owner != nil || w.leader != nil {
		w.state = Live
	}
	w.modified = w.lastFrame
	w.render()
	w.snapshot()
	if w.member != nil {
		w.member.published(e.Sequence, w.lastFrame)
	}
}

// slide moves the window on, and lets go of the memory of segments that left it so long ago that no player can ask for
// them any more: the playlist's duration, their own, and the time that a cached playlist may be old.
func (w *writer) slide() {
	want := max(ticks(w.o.Window), int64(3*w.target)*Clock)
	i, sum := len(w.entries), int64(0)
	for i > w.first && (sum < want || len(w.entries)-i < minWindow) {
		i--
		sum += w.entries[i].Duration
	}
	w.first = max(w.first, i)
	keep, hold := w.first, sum+2*int64(w.target)*Clock
	oldest := len(w.entries) - len(w.segments)
	for keep > oldest && hold > 0 {
		keep--
		hold -= w.entries[keep].Duration
	}
	w.evict(keep - oldest)
	w.evict(w.overBudget())
}

// overBudget is how many of the oldest segments in memory have to go, because all streams together hold more than the
// budget and this one more than its share. The newest segment stays: every viewer wants it.
func (w *writer) overBudget() (n int) {
	if w.memory <= 0 || w.stats.MemoryBytes.Load() <= w.memory {
		return 0
	}
	share := w.memory / max(1, w.stats.Recordings.Load())
	held := int64(0)
	for _, s := range w.segments {
		if s != nil {
			held += s.Size
		}
	}
	for n < len(w.segments)-1 && held > share {
		if s := w.segments[n]; s != nil {
			if !s.shelved.Load() {
				break
			}
			held -= s.Size
		}
		n++
	}
	return n
}

// minWindow is the least number of segments in a playlist, where there are so many.
const minWindow = 6

// evict lets go of the n oldest segments in memory. The slice is copied, because snapshots share it.
func (w *writer) evict(n int) {
	if n <= 0 {
		return
	}
	for _, s := range w.segments[:n] {
		if s == nil {
			continue
		}
		w.stats.MemoryBytes.Add(-s.Size)
		s.Release()
	}
	w.segments = append(make([]*Segment, 0, len(w.segments)-n+8), w.segments[n:]...)
}

// render brings the playlists up to date with the table. A multivariant playlist that did not change keeps its ETag and
// date.
func (w *writer) render() {
	s := w.value()
	w.live = w.renderer.live(s)
	if entry := w.renderer.entry(s); w.entry == nil || entry.ETag != w.entry.ETag {
		w.entry = entry
	}
}

// value is the state as a snapshot that is not yet published.
func (w *writer) value() *Snapshot {
	next, writing := w.next(), w.cur != nil
	if writing {
		next = w.cur.number
	}
	return &Snapshot{
		Key: w.t.key, Recording: w.t.id, Generation: w.generation, State: w.state, TargetDuration: w.target,
		Base: w.base, Entries: w.entries, First: w.first, Segments: w.segments,
		Opened: next, Writing: writing, Variant: w.variant, Modified: w.modified, LastFrame: w.lastFrame,
		Live: w.live, Entry: w.entry, archive: w.archive, next: make(chan struct{}),
	}
}

// snapshot publishes the state and wakes those who wait for it.
func (w *writer) snapshot() {
	w.generation++
	s := w.value()
	old := w.t.snap.Swap(s)
	if old != nil {
		close(old.next)
	}
}

// announceWriting publishes that a number is in use before anything of it can be listed.
func (w *writer) announceWriting() {
	if s := w.t.snap.Load(); s == nil || !s.Writing {
		w.snapshot()
	}
}
