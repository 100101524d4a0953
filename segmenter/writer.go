package segmenter

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// Limits and tolerances of a publisher's time line.
const (
	audioWait   = 50 * time.Millisecond // for late audio at a cut
	apartLimit  = 10 * Clock            // audio that is further from the video is of another time line
	backLimit   = 1 * Clock             // a DTS that falls by more begins a new time line
	gapLimit    = 2 * Clock             // a DTS that jumps ahead by more does, too
	unevenness  = Clock / 20            // by which the next frame may come later than the last one did; of slow pictures no more
	videoSilent = Clock / 2             // video this far behind audio no longer leads the cuts
	maxDelay    = 10 * Clock            // a PTS further behind its DTS is nonsense: at most 16 pictures are reordered
	maxSegment  = 256 << 20             // bytes: time stamps that stand still would make a segment without end
)

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
	splitFirst    uint64      // number of the first segment of the timestamped playlist that grows
	splitName     RecordingID // its name; empty: the recording's
	splitSeen     uint64      // the rows before it are in their splits
	end           time.Time   // when a recording without a publisher ends; when an ended one is forgotten

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
	held         *part // of a rung: cut off in the middle, see suspend
	broken       bool  // the next part begins a new time line
	cadence      cadence
	clock        wallclock

	videoDTS, frameDur int64 // of the last video frame; the usual distance between two
	delay              int64 // composition offset of the last keyframe
	videoArrival       time.Time
	audioPTS, audioDur int64
	sawVideo, sawAudio bool
	keyless            int64 // DTS of the first frame that was dropped for want of a keyframe
	isKeyless          bool
	newAudio           *ingest.Track // a configuration that begins at the next keyframe
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
	w.video, w.audio, w.newAudio = nil, nil, nil
	return true
}

// breakLine ends the time line: what is written so far is published, and the next segment begins with a discontinuity.
func (w *writer) breakLine() {
	w.suspend()
	w.broken = true
	w.sawVideo, w.sawAudio, w.isKeyless = false, false, false
	w.cadence.reset()
	if w.mux != nil {
		w.mux.Discontinuity()
	}
}

// write takes one frame of the session that attached; of another, it does nothing.
func (t *Timeline) write(s *session, f *ingest.Frame) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.w.owner != s {
		return nil
	}
	return t.w.write(f)
}

// errStill is why a publisher is sent away whose segment does not end.
var errStill = fmt.Errorf("its time stamps do not go on: %d MiB came without filling one segment", maxSegment>>20)

func (w *writer) write(f *ingest.Frame) error {
	w.lastFrame = f.Arrival
	if w.closing != nil && !f.Arrival.Before(w.closingBy) {
		w.finishClosing()
	}
	if f.Track.Codec.IsVideo() {
		w.writeVideo(f)
	} else {
		w.writeAudio(f)
	}
	if w.cur != nil && w.cur.buf.Len() > maxSegment {
		return errStill
	}
	return nil
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
		Live: w.live, Entry: w.entry, ArchiveName: w.archiveName(), archive: w.archive, next: make(chan struct{}),
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
