package segmenter

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
)

// stage is a rig on which frames are played in the order of their arrival, and what came of them is kept.
type stage struct {
	*rig
	witness  *witness
	sessions map[string]ingest.Session
	sent     map[string][]sentFrame // by stream, as they were written
	ended    map[string]error       // the error that a stream's publisher was sent away with
	tapes    map[string]*tape       // by stream
	warnings bytes.Buffer
	every    func() // is called after each look; may be nil
	looked   time.Time
	rendered map[string]*Snapshot // by stream: the newest whose playlists were looked at
	said     map[string]int
	arrivals map[string]map[int64]time.Duration // of pictures, by stream
}

// tape is what a stream listed, over all its recordings.
type tape struct {
	recordings []RecordingID
	rows       []tapeRow
	next       map[RecordingID]uint64
	read       int // rows that were read back
	reader     *tsReader
	reading    RecordingID
}

// tapeRow is a row of the table with its bytes.
type tapeRow struct {
	Row
	recording RecordingID
	bytes     []byte
	listed    time.Time // when it was seen
	segment   *tsSegment
}

func newStage(t *testing.T, o AppOptions) *stage {
	s := &stage{rig: newRig(t, o), witness: newWitness(t), sessions: map[string]ingest.Session{}, sent: map[string][]sentFrame{},
		ended: map[string]error{}, tapes: map[string]*tape{}, rendered: map[string]*Snapshot{}, said: map[string]int{}}
	s.witness.grid = len(o.Groups) > 0
	s.reg = NewRegistry(Options{
		Apps: map[string]AppOptions{"live": o},
		Now:  func() time.Time { return s.now },
		Log:  slog.New(slog.NewTextHandler(&s.warnings, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Pool: &stagePool,
	})
	t.Cleanup(func() { // the next stage has the memory
		s.reg.Close(true)
		for range 3 {
			s.now = s.now.Add(time.Hour)
			s.reg.Expire(s.now)
		}
	})
	return s
}

// stagePool is the memory of all stages.
var stagePool mpegts.Pool

// ladderOptions are those of the ladder "show" of three rungs.
func ladderOptions() AppOptions {
	return AppOptions{Groups: map[string][]string{"show": ladderRungs}}
}

// connect publishes a stream.
func (s *stage) connect(stream string) {
	s.t.Helper()
	session, err := s.publish(stream, "me")
	if err != nil {
		s.t.Fatal(err)
	}
	s.sessions[stream] = session
}

func (s *stage) disconnect(stream string, cause error) {
	if session := s.sessions[stream]; session != nil {
		session.Close(cause)
		delete(s.sessions, stream)
	}
	s.look()
}

// on gives frames to a stream.
func on(stream string, frames []sentFrame) []sentFrame {
	for i := range frames {
		frames[i].stream = stream
	}
	return frames
}

// rungs gives each rung of the ladder a copy of the frames, with a track of its own.
func rungs(frames []sentFrame) (all []sentFrame) {
	for _, name := range ladderRungs {
		own := map[*ingest.Track]*ingest.Track{}
		for _, f := range frames {
			if own[f.Track] == nil {
				t := *f.Track
				own[f.Track] = &t
			}
			f.Track, f.stream = own[f.Track], name
			all = append(all, f)
		}
	}
	return together(all)
}

// together puts frames in the order of their arrival.
func together(frames ...[]sentFrame) []sentFrame {
	all := slices.Concat(frames...)
	slices.SortStableFunc(all, func(a, b sentFrame) int { return int(max(-1, min(1, a.at-b.at))) })
	return all
}

// later lets frames arrive so much later.
func later(frames []sentFrame, d time.Duration) []sentFrame {
	frames = slices.Clone(frames)
	for i := range frames {
		frames[i].at += d
	}
	return frames
}

// jump adds so many ticks to the time stamps of what arrives from at on.
func jump(frames []sentFrame, at time.Duration, ticks int64) []sentFrame {
	frames = slices.Clone(frames)
	for i := range frames {
		if frames[i].at >= at {
			frames[i].PTS += ticks
			frames[i].DTS += ticks
		}
	}
	return frames
}

// without leaves out the frames of which drop is true.
func without(frames []sentFrame, drop func(f *sentFrame) bool) []sentFrame {
	return slices.DeleteFunc(slices.Clone(frames), func(f sentFrame) bool { return drop(&f) })
}

// play writes frames, each at its time after the beginning of the test; streams that are not connected are connected first.
func (s *stage) play(frames []sentFrame) {
	s.t.Helper()
	for i := range frames {
		f := &frames[i]
		s.until(start.Add(f.at))
		if s.ended[f.stream] != nil {
			continue
		}
		if s.sessions[f.stream] == nil {
			s.connect(f.stream)
		}
		frame := f.Frame
		frame.Arrival = s.now
		if err := s.sessions[f.stream].WriteFrame(&frame); err != nil {
			s.ended[f.stream] = err
			s.disconnect(f.stream, err)
			continue
		}
		s.sent[f.stream] = append(s.sent[f.stream], *f)
	}
	s.look()
}

// until lets time pass, with Expire and a look 25 times a second.
func (s *stage) until(at time.Time) {
	const step = 40 * time.Millisecond
	for at.Sub(s.now) > step {
		s.now = s.now.Add(step)
		s.look()
	}
	if at.After(s.now) {
		s.now = at
	}
	if s.now.Sub(s.looked) >= step {
		s.look()
	}
}

// finish takes all publishers' leave and lets their recordings end, so that what is still in hand is listed.
func (s *stage) finish() {
	for _, name := range slices.Sorted(maps.Keys(s.sessions)) {
		s.disconnect(name, ingest.ErrUnpublished)
	}
	for range 20 {
		s.now = s.now.Add(time.Second)
		s.look()
	}
}

// end is finish and the end of all recordings; nothing may be left behind.
func (s *stage) end() {
	s.t.Helper()
	s.finish()
	for range 20 {
		s.now = s.now.Add(time.Minute)
		s.look()
	}
	st := s.reg.Stats()
	if st.Publishers.Load() != 0 || st.Recordings.Load() != 0 || st.MemoryBytes.Load() != 0 || len(s.reg.Timelines())+len(s.reg.Ladders()) != 0 {
		s.t.Errorf("left behind: %d publishers, %d recordings, %d bytes, %d timelines", st.Publishers.Load(), st.Recordings.Load(), st.MemoryBytes.Load(),
			len(s.reg.Timelines())+len(s.reg.Ladders()))
	}
}

// look keeps what is new in all recordings.
func (s *stage) look() {
	s.reg.Expire(s.now)
	s.looked = s.now
	s.witness.look(s.reg)
	for _, tl := range s.reg.Timelines() {
		s.keep(tl.Snapshot())
	}
	if s.every != nil {
		s.every()
	}
}

func (s *stage) keep(snap *Snapshot) {
	t := s.tapes[snap.Stream]
	if t == nil {
		t = &tape{next: map[RecordingID]uint64{}}
		s.tapes[snap.Stream] = t
	}
	if len(snap.Rows) == 0 {
		return // Base may still change
	}
	if !slices.Contains(t.recordings, snap.Recording) {
		t.recordings = append(t.recordings, snap.Recording)
		t.next[snap.Recording] = snap.Base
	}
	for n := max(t.next[snap.Recording], snap.Base); n < snap.Next(); n++ {
		row := tapeRow{Row: snap.Rows[n-snap.Base], recording: snap.Recording, listed: s.now}
		if seg := snap.Segment(n); seg != nil && seg.Retain() {
			row.bytes = bytes.Join(seg.Slices(nil), nil)
			seg.Release()
		}
		t.rows = append(t.rows, row)
	}
	t.next[snap.Recording] = max(snap.Next(), t.next[snap.Recording])
}

// snap is the newest snapshot of a stream.
func (s *stage) snap(stream string) *Snapshot {
	s.t.Helper()
	tl := s.reg.Timeline("live", stream)
	if tl == nil {
		s.t.Fatalf("no timeline of %s", stream)
	}
	return tl.Snapshot()
}

// tape is what a stream listed, read back.
func (s *stage) tape(stream string) *tape {
	s.t.Helper()
	t := s.tapes[stream]
	if t == nil || len(t.rows) == 0 {
		s.t.Fatalf("%s lists nothing", stream)
	}
	slices.SortStableFunc(t.rows[t.read:], func(a, b tapeRow) int { return strings.Compare(string(a.recording), string(b.recording)) })
	t.readBack(s.t, stream)
	return t
}

// breaks are the rows that begin with a discontinuity.
func (t *tape) breaks() (list []tapeRow) {
	for _, row := range t.rows {
		if row.Discontinuity {
			list = append(list, row)
		}
	}
	return list
}

func (t *tape) gaps() (n int) {
	for _, row := range t.rows {
		n += count(row.Gap)
	}
	return n
}

// dropped is the number of frames that were dropped for whatever reason.
func (s *stage) dropped() (n int64) {
	v := reflect.ValueOf(s.reg.Stats()).Elem()
	for i := range v.NumField() {
		if strings.HasPrefix(v.Type().Field(i).Name, "Dropped") {
			n += v.Field(i).Addr().Interface().(interface{ Load() int64 }).Load()
		}
	}
	return n
}

// whole holds that every frame that was sent on a stream stands in exactly one segment, in the order in which it was sent,
// with the time stamps that it was sent with, but for those that may be missing.
func (s *stage) whole(stream string, mayMiss func(f *sentFrame) bool) {
	s.t.Helper()
	t := s.tape(stream)
	for kind, what := range []string{"picture", "sound frame"} {
		seen := map[int64]int{}
		last := int64(-1)
		for _, row := range t.rows {
			for _, u := range row.segment.units[kind] {
				seen[u.id]++
				if u.id <= last && seen[u.id] == 1 {
					s.t.Errorf("%s: %s %d stands behind %d", stream, what, u.id, last)
				}
				last = u.id
			}
		}
		missing, twice := []int64(nil), []int64(nil)
		for i := range s.sent[stream] {
			f := &s.sent[stream][i]
			if f.kind() != kind {
				continue
			}
			switch n := seen[f.id]; {
			case n == 0 && (mayMiss == nil || !mayMiss(f)):
				missing = append(missing, f.id)
			case n > 1:
				twice = append(twice, f.id)
			}
		}
		if len(missing) > 0 {
			s.t.Errorf("%s: %d of %d %ss are in no segment: %s", stream, len(missing), s.count(stream, kind), what, runs(missing))
		}
		if len(twice) > 0 {
			s.t.Errorf("%s: %d %ss are in two segments: %s", stream, len(twice), what, runs(twice))
		}
	}
}

func (s *stage) count(stream string, kind int) (n int) {
	for i := range s.sent[stream] {
		n += count(s.sent[stream][i].kind() == kind)
	}
	return n
}

// runs writes rising numbers as ranges.
func runs(list []int64) string {
	var b strings.Builder
	for i := 0; i < len(list); {
		k := i
		for k+1 < len(list) && list[k+1] == list[k]+1 {
			k++
		}
		if b.Len() > 60 {
			return b.String() + " …"
		}
		fmt.Fprintf(&b, " %d", list[i])
		if k > i {
			fmt.Fprintf(&b, "–%d", list[k])
		}
		i = k + 1
	}
	return b.String()
}

// noForced holds that no segment was cut without a keyframe.
func (s *stage) noForced() {
	s.t.Helper()
	if n := s.reg.Stats().ForcedCuts.Load(); n != 0 {
		s.t.Errorf("%d forced cuts", n)
	}
}

var errReset = errors.New("connection reset")
