package segmenter

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/mpegts"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// partBook keeps every part of a stage's streams as it was when it was first seen.
type partBook struct {
	s     *stage
	parts map[string][]keptPart // by "stream/recording/sequence"
	said  map[string]int
	last  map[string]*Snapshot
	had   map[string][]Part // the parts of last, as they were
	hints map[string]uint64 // the newest number whose first part was promised
	beats int               // snapshots that were newer by parts alone
}

type keptPart struct {
	Part
	bytes  []byte
	listed bool // its segment was listed by then
}

func newPartBook(s *stage) *partBook {
	b := &partBook{s: s, parts: map[string][]keptPart{}, said: map[string]int{}, last: map[string]*Snapshot{}, had: map[string][]Part{}, hints: map[string]uint64{}}
	s.every = b.look
	return b
}

func (b *partBook) fail(format string, args ...any) {
	b.s.t.Helper()
	if b.said[format]++; b.said[format] <= 2 {
		b.s.t.Errorf(format, args...)
	}
}

// look takes what is new, and holds that a part never changes, from the time that its segment is written.
func (b *partBook) look() {
	b.s.t.Helper()
	for _, tl := range b.s.reg.Timelines() {
		snap := tl.Snapshot()
		name := snap.Stream + "/" + string(snap.Recording)
		was := b.last[name]
		if was == snap {
			continue
		}
		if was != nil && !slices.Equal(was.Parts, b.had[name]) {
			b.fail("%s: the parts of a snapshot change: they were %v and are %v", name, b.had[name], was.Parts)
		}
		b.last[name], b.had[name] = snap, slices.Clone(snap.Parts)
		if was != nil && was.PartTarget != snap.PartTarget && len(was.Rows) > 0 {
			b.fail("%s: PART-TARGET changes from %d to %d", name, was.PartTarget, snap.PartTarget)
		}
		if was != nil && len(was.Rows) == len(snap.Rows) && len(was.Parts) != len(snap.Parts) {
			b.beats++
		}
		b.playlist(name, snap)
		if was != nil && !was.Edge.Start.IsZero() && len(snap.Rows) == len(was.Rows)+1 && !snap.Rows[len(was.Rows)].Start.Equal(was.Edge.Start) {
			b.fail("%s: number %d began at %v and is listed at %v", name, was.Next(), was.Edge.Start, snap.Rows[len(was.Rows)].Start)
		}
		if n, ok := b.hints[name]; ok && (n < snap.Next() || snap.Count(n) > 0) {
			if snap.Count(n) == 0 && !snap.Rows[n-snap.Base].Gap {
				b.fail("%s: a part of number %d was promised and never came", name, n)
			}
			delete(b.hints, name)
		}
		if n, i, ok := snap.Hint(); ok && i == 0 {
			b.hints[name] = n
		}
		for _, p := range snap.Parts {
			key := fmt.Sprintf("%s/%d", name, p.Sequence)
			kept := b.parts[key]
			if p.Index > len(kept) {
				b.fail("%s: part %d comes after part %d", key, p.Index, len(kept)-1)
				continue
			}
			if p.Index < len(kept) {
				if k := kept[p.Index]; k.Part != p {
					b.fail("%s: part %d was %v and is %v", key, p.Index, k.Part, p)
				}
				continue
			}
			if !p.Retain() {
				b.fail("%s: part %d has no bytes", key, p.Index)
				continue
			}
			b.parts[key] = append(kept, keptPart{p, bytes.Join(p.Slices(nil), nil), p.Sequence < snap.Next()})
			p.Release()
		}
	}
}

// playlist holds that the low-latency playlist says what the snapshot has, and nothing twice.
func (b *partBook) playlist(name string, snap *Snapshot) {
	b.s.t.Helper()
	p := snap.LowLatency(false)
	if len(snap.Rows) == 0 {
		if p != nil {
			b.fail("%s: a playlist without a row", name)
		}
		return
	}
	m, err := m3u8.ParseMedia(p.Body)
	if err != nil {
		b.fail("%s: %v", name, err)
		return
	}
	if want := snap.Rows[snap.First:]; len(m.Segments) != len(want) || m.MediaSequence != want[0].Sequence {
		b.fail("%s: the playlist has %d rows from %d on, the snapshot %d from %d", name, len(m.Segments), m.MediaSequence, len(want), want[0].Sequence)
	}
	seen := map[string]bool{}
	for _, u := range regexp.MustCompile(`(?m)^#EXT-X-PART:.*URI="([^"]*)"`).FindAllStringSubmatch(string(p.Body), -1) {
		if seen[u[1]] {
			b.fail("%s: %s stands twice", name, u[1])
		}
		seen[u[1]] = true
	}
	if sequence, index, ok := snap.Hint(); ok && !strings.Contains(string(p.Body), `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="`+PartFile(sequence, index)+`"`) {
		b.fail("%s: no hint of %s in %s", name, PartFile(sequence, index), p.Body)
	}
	if !bytes.Contains(p.Body, []byte("\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES")) {
		b.fail("%s: no SERVER-CONTROL", name)
	}
}

// laws holds what parts are, of all that a stream listed. The frame is the longest distance between two frames, ticks.
func (b *partBook) laws(stream string, frame int64) {
	b.s.t.Helper()
	rows := b.s.tape(stream).rows
	n := 0
	for i := range rows {
		row := &rows[i]
		key := fmt.Sprintf("%s/%s/%d", stream, row.recording, row.Sequence)
		parts := b.parts[key]
		if row.Gap || len(parts) == 0 {
			if !row.Gap {
				b.fail("%s has no parts", key)
			}
			continue
		}
		target := b.last[stream+"/"+string(row.recording)].PartTarget
		at, sum := int64(0), int64(0)
		for k := range parts {
			p := &parts[k]
			n++
			if p.Offset != at || p.Size != int64(len(p.bytes)) || p.Offset+p.Size > row.Size {
				b.fail("%s: part %d is %d bytes from %d on, %d were read, and the one before ends at %d", key, k, p.Size, p.Offset, len(p.bytes), at)
				continue
			}
			if !bytes.Equal(p.bytes, row.bytes[p.Offset:p.Offset+p.Size]) {
				b.fail("%s: part %d is not what the segment has there", key, k)
			}
			at, sum = at+p.Size, sum+p.Duration
			if p.Duration > target {
				b.fail("%s: part %d lasts %v, more than PART-TARGET %v", key, k, cut.Duration(p.Duration), cut.Duration(target))
			}
			if k+1 < len(parts) && p.Duration*100 < target*85 && frame < Clock/2 {
				b.fail("%s: part %d of %d lasts %v, less than 85 %% of PART-TARGET %v", key, k, len(parts), cut.Duration(p.Duration), cut.Duration(target))
			}
			if p.bytes[0] != 0x47 || p.bytes[1]&0x1f != 0 || p.bytes[2] != 0 || p.bytes[mpegts.PacketSize+1]&0x1f != 0x10 {
				b.fail("%s: part %d does not begin with PAT and PMT", key, k)
			}
		}
		if rest := row.Size - at; rest > 2*mpegts.PacketSize {
			b.fail("%s: %d bytes are in no part", key, rest)
		}
		if off := sum - row.Duration; off > frame || off < -frame-Clock {
			b.fail("%s: its parts last %v, itself %v", key, cut.Duration(sum), cut.Duration(row.Duration))
		}
		if row.Independent != parts[0].Independent && row.Independent {
			b.fail("%s is independent, and its first part is not", key)
		}
	}
	if n == 0 {
		b.fail("%s has no parts", stream)
	}
}

func lowLatencyOptions() AppOptions { return AppOptions{LowLatency: true} }

// TestParts feeds what encoders of many shapes send: their segments have parts, which can be read before the segment is complete
// and are what it has there then, and otherwise they are as without.
func TestParts(t *testing.T) {
	for _, shape := range encoderShapes() {
		t.Run(shape.name, func(t *testing.T) {
			s := newStage(t, lowLatencyOptions())
			b := newPartBook(s)
			s.play(on("cam", shape.frames(20*time.Second)))
			s.finish()
			s.laws("cam", shape.longest())
			s.whole("cam", shape.mayMiss(s.sent["cam"]))
			b.laws("cam", shape.longest())
			if shape.clump == 0 && b.beats < 15 && shape.longest() < Clock/4 {
				t.Errorf("only %d parts were to be had before their segment", b.beats)
			}
			s.end()
		})
	}
}

// The parts of a ladder's rungs, of different frame rates too, begin at the same times, and its audio-only variant has parts like them.
func TestPartsOfLadderAreAligned(t *testing.T) {
	o := ladderOptions()
	o.LowLatency, o.Audio = true, true
	s := newStage(t, o)
	b := newPartBook(s)
	fast := encoderShape{codec: ingest.H264, num: 50, den: 1, gop: 100, audio: "aac"}
	slow := encoderShape{codec: ingest.H264, num: 25, den: 1, gop: 50, audio: "aac"}
	s.play(together(fast.stream(ladderRungs[0], 30*time.Second), slow.stream(ladderRungs[1], 30*time.Second), slow.stream(ladderRungs[2], 30*time.Second)))
	s.finish()
	for _, rung := range ladderRungs {
		b.laws(rung, Clock/25)
	}
	b.laws("show"+AudioSuffix, Clock/25)
	rows := s.tape(ladderRungs[0]).rows
	for _, row := range rows[2 : len(rows)-1] {
		for _, stream := range []string{ladderRungs[0], ladderRungs[2], "show" + AudioSuffix} {
			b.aligned(string(row.recording), row.Sequence, stream, ladderRungs[1])
		}
	}
	s.end()
}

// aligned holds that the parts of a segment begin at the same times in a stream as in another.
func (b *partBook) aligned(recording string, sequence uint64, stream, with string) {
	b.s.t.Helper()
	of := func(stream string) []keptPart { return b.parts[fmt.Sprintf("%s/%s/%d", stream, recording, sequence)] }
	got, want := of(stream), of(with)
	if len(got) != len(want) {
		b.fail("%d: %s has %d parts, %s %d", sequence, stream, len(got), with, len(want))
		return
	}
	for i := range got {
		if off := got[i].Start.Sub(want[i].Start); off > 21*time.Millisecond || off < -21*time.Millisecond {
			b.fail("%d: part %d of %s begins %v after that of %s", sequence, i, stream, off, with)
		}
	}
}

// A rung that comes later has no segment before its first, and shares the frames of that as the others do.
func TestPartsOfLateRungAreAligned(t *testing.T) {
	o := ladderOptions()
	o.LowLatency = true
	s := newStage(t, o)
	b := newPartBook(s)
	shape := encoderShape{codec: ingest.H264, num: 25, den: 1, gop: 100, audio: "aac"}
	late := slices.DeleteFunc(shape.stream(ladderRungs[2], 34*time.Second), func(f sentFrame) bool { return f.at < 14*time.Second })
	s.play(together(shape.stream(ladderRungs[0], 34*time.Second), shape.stream(ladderRungs[1], 34*time.Second), late))
	s.finish()
	rows := s.tape(ladderRungs[2]).rows
	n := 0
	for _, row := range rows[:len(rows)-1] {
		if row.Gap {
			continue
		}
		n++
		b.aligned(string(row.recording), row.Sequence, ladderRungs[2], ladderRungs[0])
	}
	if n < 3 {
		t.Errorf("only %d segments of the late rung were looked at", n)
	}
	s.end()
}

// A rendition report says what the other rendition has.
func TestRenditionReportsSayWhatTheOtherHas(t *testing.T) {
	o := ladderOptions()
	o.LowLatency = true
	s := newStage(t, o)
	shape := encoderShape{codec: ingest.H264, num: 25, den: 1, gop: 50, audio: "aac"}
	late := later(shape.stream(ladderRungs[1], 30*time.Second), 700*time.Millisecond)
	looks := 0
	s.every = func() {
		first, second := s.reg.Timeline("live", ladderRungs[0]), s.reg.Timeline("live", ladderRungs[1])
		if first == nil || second == nil || first.Snapshot().Next() < 3 || second.Snapshot().Next() < 3 {
			return
		}
		other := second.Snapshot()
		msn, part := other.Newest()
		want := fmt.Sprintf(`#EXT-X-RENDITION-REPORT:URI="../../%s/%s/ll.m3u8",LAST-MSN=%d,LAST-PART=%d`, other.Stream, other.Recording, msn, part)
		snap := *first.Snapshot()
		snap.ll = &lowLatency{r: &s.reg.renderer, t: first} // as rendered now
		if body := string(snap.LowLatency(false).Body); !strings.Contains(body, want+"\n") {
			t.Fatalf("no %s in\n%s", want, body)
		}
		looks++
	}
	s.play(together(shape.stream(ladderRungs[0], 30*time.Second), late, shape.stream(ladderRungs[2], 30*time.Second)))
	if looks < 100 {
		t.Errorf("looked %d times", looks)
	}
	s.every = nil
	s.end()
}

// Without low latency nothing of it is to be seen.
func TestWithoutLowLatency(t *testing.T) {
	s := newStage(t, AppOptions{})
	shape := encoderShape{codec: ingest.H264, num: 25, den: 1, gop: 50, audio: "aac"}
	s.play(shape.stream("cam", 20*time.Second))
	if snap := s.snap("cam"); len(snap.Parts) > 0 || snap.PartTarget != 0 || snap.LowLatency(false) != nil || snap.Advanced() != snap.Changed() {
		t.Errorf("there are parts: %+v", snap)
	}
	s.end()
}

// The ordinary playlists are the same with low latency as without, and so is what stands in the segments, but for tables.
func TestOrdinaryPlaylistsStayAsTheyAre(t *testing.T) {
	shape := encoderShape{codec: ingest.H264, num: 25, den: 1, gop: 50, between: 1, audio: "aac"}
	bodies := func(o AppOptions) (list []string) {
		s := newStage(t, o)
		var last *Playlist
		s.every = func() {
			if tl := s.reg.Timeline("live", "cam"); tl != nil && tl.Snapshot().Live != last {
				snap := tl.Snapshot()
				last = snap.Live
				list = append(list, string(last.Body))
			}
		}
		s.play(shape.stream("cam", 40*time.Second))
		s.end()
		return list
	}
	plain, low := bodies(AppOptions{}), bodies(lowLatencyOptions())
	if len(plain) < 5 || len(plain) != len(low) {
		t.Fatalf("%d playlists without, %d with", len(plain), len(low))
	}
	for i := range plain {
		if plain[i] != low[i] {
			t.Fatalf("without:\n%s\nwith:\n%s", plain[i], low[i])
		}
	}
}

// A delta update leaves out what is older than CAN-SKIP-UNTIL, and offers none where the window is short.
func TestDeltaUpdate(t *testing.T) {
	o := lowLatencyOptions()
	o.Window = 5 * time.Minute
	s := newStage(t, o)
	shape := encoderShape{codec: ingest.H264, num: 25, den: 1, gop: 100, audio: "aac"}
	s.play(shape.stream("cam", 80*time.Second))
	snap := s.snap("cam")
	whole, delta := string(snap.LowLatency(false).Body), string(snap.LowLatency(true).Body)
	skipped := len(snap.Rows) - 6
	for _, want := range []string{"#EXT-X-VERSION:9\n", ",CAN-SKIP-UNTIL=24,", fmt.Sprintf("#EXT-X-SKIP:SKIPPED-SEGMENTS=%d\n", skipped), "#EXT-X-MEDIA-SEQUENCE:0\n"} {
		if !strings.Contains(delta, want) {
			t.Errorf("no %q in\n%s", want, delta)
		}
	}
	if strings.Contains(whole, "SKIPPED") || !strings.Contains(whole, ",CAN-SKIP-UNTIL=24,") {
		t.Errorf("whole:\n%s", whole)
	}
	tail := func(s string) string { return s[strings.Index(s, "#EXTINF"):] }
	if n := strings.Count(whole, "#EXTINF") - strings.Count(delta, "#EXTINF"); n != skipped || !strings.HasSuffix(whole, tail(delta)) {
		t.Errorf("%d rows are left out, %d are skipped:\n%s", n, skipped, delta)
	}
	s.end()

	s = newStage(t, lowLatencyOptions())
	s.play(shape.stream("cam", 80*time.Second))
	if body := string(s.snap("cam").LowLatency(true).Body); strings.Contains(body, "SKIP") {
		t.Errorf("a delta update of a short window:\n%s", body)
	}
	s.end()
}

// A hiccup of the encoder and a stall of the publisher leave PART-TARGET as it is, and no part is longer.
func TestPartsOverHiccupAndStall(t *testing.T) {
	for _, gap := range []time.Duration{1500 * time.Millisecond, 20 * time.Second} {
		s := newStage(t, lowLatencyOptions())
		b := newPartBook(s)
		shape := encoderShape{codec: ingest.H264, num: 25, den: 1, gop: 50, audio: "aac"}
		frames := shape.stream("cam", 40*time.Second)
		s.play(without(frames, func(f *sentFrame) bool {
			return f.at > 15*time.Second+200*time.Millisecond && f.at < 15*time.Second+200*time.Millisecond+gap
		}))
		s.finish()
		b.laws("cam", Clock/25+2*Clock)
		if snap := b.last["cam/"+string(s.tapes["cam"].recordings[0])]; snap.PartTarget != Clock/2 {
			t.Errorf("PART-TARGET is %d", snap.PartTarget)
		}
		s.end()
	}
}

// After a restart PART-TARGET is what it was, whatever is configured now.
func TestPartTargetOutlivesRestart(t *testing.T) {
	o := lowLatencyOptions()
	o.PartDuration = 300 * time.Millisecond
	s := newStage(t, o)
	shape := encoderShape{codec: ingest.H264, num: 25, den: 1, gop: 50, audio: "aac"}
	rows := []Row{{Start: start.Add(-8 * time.Second), Duration: 4 * Clock, Size: 1000, Independent: true}, {Sequence: 1, Start: start.Add(-4 * time.Second), Duration: 4 * Clock, Size: 1000, Independent: true}}
	err := s.reg.Restore(Recovered{
		Key: Key{"live", "cam"}, Recording: NewRecordingID(start.Add(-8 * time.Second)), TargetDuration: 4, PartTarget: Clock, Rows: rows, Next: 2,
		Variant: variant.Variant{Bandwidth: 1000000, Codecs: "avc1.64001f,mp4a.40.2", VideoCodec: "h264", AudioCodec: "aac"}, LastFrame: start,
	})
	if err != nil {
		t.Fatal(err)
	}
	b := newPartBook(s)
	s.play(shape.stream("cam", 20*time.Second))
	snap := s.snap("cam")
	if snap.PartTarget != Clock || len(snap.Parts) == 0 || snap.Next() < 5 {
		t.Errorf("PART-TARGET is %d; %d parts, %d rows", snap.PartTarget, len(snap.Parts), snap.Next())
	}
	for _, p := range snap.Parts {
		if p.Duration != Clock && p.Index < snap.Count(p.Sequence)-1 {
			t.Errorf("part %d of %d lasts %v", p.Index, p.Sequence, cut.Duration(p.Duration))
		}
	}
	_ = b
	s.end()
}

// Parts are read while more of their segment is written, and when it is trimmed; under the race detector this holds that nobody
// touches what another reads.
func TestPartsBesideThePublisher(t *testing.T) {
	r := newRig(t, lowLatencyOptions())
	e := r.mustPublish("cam")
	e.run(5 * time.Second)
	line := r.reg.Timeline("live", "cam")
	stop, done := make(chan struct{}), make(chan struct{})
	read := 0
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			snap := line.Snapshot()
			for _, p := range snap.Parts {
				if !p.Retain() {
					continue
				}
				size, first := int64(0), byte(0)
				for i, b := range p.Slices(nil) {
					if size += int64(len(b)); i == 0 {
						first = b[0]
					}
				}
				p.Release()
				if read++; size != p.Size || first != 0x47 {
					t.Errorf("part %d of %d has %d bytes, not %d, and begins with %#x", p.Index, p.Sequence, size, p.Size, first)
					return
				}
			}
			snap.LowLatency(false)
		}
	}()
	e.run(120 * time.Second)
	close(stop)
	<-done
	if read < 100 {
		t.Errorf("only %d parts were read", read)
	}
}

// Memory that parts were read from when their segment was complete is given back afterwards: parts cost none of their own, but for
// the tables that each begins with.
func TestPartsCostNoMemory(t *testing.T) {
	unused := func(low bool) int64 { // memory that segments have and no bytes of theirs are in
		r := newRig(t, AppOptions{LowLatency: low})
		e := r.mustPublish("cam")
		e.run(4500 * time.Millisecond)
		for range 30 {
			if parts := r.snapshot().Parts; len(parts) > 0 {
				p := parts[len(parts)-1]
				if !p.Retain() {
					t.Fatal("it is gone")
				}
				e.run(4 * time.Second) // a viewer is at it when the segment is complete
				p.Release()
				continue
			}
			e.run(4 * time.Second)
		}
		e.run(8 * time.Second)
		return r.reg.MemoryInUse() - r.reg.Stats().MemoryBytes.Load()
	}
	without, with := unused(false), unused(true)
	const segments, granule = 32, 8 << 10 // memory comes in pieces of so much
	if with > without+segments*granule {
		t.Errorf("%d bytes are unused with low latency, %d without", with, without)
	}
}

// A number that a rung sends anew has no parts: viewers may have been shown others by their names.
func TestPartsAreNeverNamedTwice(t *testing.T) {
	o := ladderOptions()
	o.LowLatency = true
	s := newStage(t, o)
	b := newPartBook(s) // it fails where a part changes
	shape := encoderShape{codec: ingest.H264, num: 25, den: 1, gop: 50, audio: "aac"}
	frames := rungs(shape.frames(60 * time.Second))
	cut := func(f *sentFrame) bool {
		return f.at > 21*time.Second && f.at < 22*time.Second && f.stream == ladderRungs[1]
	}
	all := without(frames, cut)
	i := 0
	for i < len(all) && all[i].at < 21*time.Second {
		i++
	}
	s.play(all[:i])
	s.disconnect(ladderRungs[1], errReset)
	var again []sentFrame // the encoder sends what it had again, from its last keyframe
	for _, f := range frames {
		if f.stream == ladderRungs[1] && f.at >= 18*time.Second && f.at < 21*time.Second {
			f.at = 21*time.Second + (f.at-18*time.Second)/4
			again = append(again, f)
		}
	}
	s.play(together(again, all[i:]))
	s.finish()
	b.laws(ladderRungs[0], Clock/25)
	s.end()
}

// Snapshots share their parts. Those of a segment that is not the next one any more leave by a copy.
func TestPartsAreShared(t *testing.T) {
	grown := func(number uint64, n int) *growth {
		g := &growth{row: Row{Sequence: number}}
		for i := range n {
			g.parts = append(g.parts, Part{Sequence: number, Index: i})
		}
		return g
	}
	var l log
	have := func(want ...uint64) []Part {
		t.Helper()
		var numbers []uint64
		for _, p := range l.parts {
			numbers = append(numbers, p.Sequence)
		}
		if !slices.Equal(numbers, want) {
			t.Errorf("parts of %v, want %v", numbers, want)
		}
		return l.parts[:len(l.parts):len(l.parts)]
	}
	l.follow(grown(1, 2))
	l.edge, l.shown = nil, 0 // it is listed
	g := grown(2, 1)
	l.follow(g)
	have(1, 1, 2)
	g.parts = append(g.parts, Part{Sequence: 2, Index: 1})
	l.follow(g)
	before := have(1, 1, 2, 2)
	was := slices.Clone(before)
	l.follow(grown(3, 2))
	have(1, 1, 3, 3)
	l.follow(nil)
	have(1, 1)
	l.follow(grown(4, 3))
	have(1, 1, 4, 4, 4)
	if !slices.Equal(before, was) {
		t.Errorf("a snapshot had %v and has %v", was, before)
	}
}

// What a part costs in garbage is bounded, however many there are in a snapshot: nobody may have asked for low latency.
func TestPartsCostLittleGarbage(t *testing.T) {
	allocated := func(low bool) int64 {
		r := newRig(t, AppOptions{LowLatency: low, PartDuration: 200 * time.Millisecond})
		e := r.mustPublish("cam")
		e.run(60 * time.Second)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e.run(60 * time.Second)
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	const parts, most = 300, 2 << 10
	if each := (allocated(true) - allocated(false)) / parts; each > most {
		t.Errorf("%d bytes for each part, want at most %d", each, most)
	} else {
		t.Logf("%d bytes for each part", each)
	}
}

// TestAwaited holds that a session knows by how much the frame comes later that ends a part, or a segment as the one before was, as soon as
// somebody waits for it.
func TestAwaited(t *testing.T) {
	for _, c := range []struct {
		name string
		keys int // pictures from keyframe to keyframe
		fps  int64
	}{{"whole parts", 60, 30}, {"the last part is short", 70, 30}, {"fifty a second", 90, 50}, {"ten a second", 20, 10}} {
		t.Run(c.name, func(t *testing.T) {
			now := start
			reg := NewRegistry(Options{Apps: map[string]AppOptions{
				"live": {SegmentDuration: 2 * time.Second, Window: 20 * time.Second, LowLatency: true}, "plain": {SegmentDuration: 2 * time.Second},
			}, Now: func() time.Time { return now }})
			for _, app := range []string{"live", "plain"} {
				s, err := reg.Publish(t.Context(), ingest.Announce{App: app, Stream: "cam", Cancel: func(error) {}})
				if err != nil {
					t.Fatal(err)
				}
				e := newEncoder(nil, s)
				e.video.FrameRate = float64(c.fps)
				awaited, parts, seen := int64(0), 0, -1 // awaited: a decoding time
				for i := range int64(600) {
					now = now.Add(time.Second / time.Duration(c.fps))
					f := ingest.Frame{Track: e.video, DTS: i * Clock / c.fps, PTS: i * Clock / c.fps, Key: i%int64(c.keys) == 0, Arrival: now, Units: [][]byte{make([]byte, 3000)}}
					if f.Units[0][0] = 0x41; f.Key {
						f.Units[0][0] = 0x65
					}
					for k := range int64(2) {
						_ = s.WriteFrame(&ingest.Frame{Track: e.audio, Key: true, Units: [][]byte{make([]byte, 340)}, DTS: f.DTS + k*1500, PTS: f.DTS + k*1500, Arrival: now})
					}
					if err := s.WriteFrame(&f); err != nil {
						t.Fatal(err)
					}
					tl := reg.Timeline(app, "cam")
					if tl == nil {
						if ingest.Awaited(s) != 0 {
							t.Fatal("a frame is awaited before anything was written")
						}
						continue
					}
					snap := tl.Snapshot()
					if n := int(snap.Next())*1000 + len(snap.Parts); n != seen {
						if seen = n; len(snap.Rows) > 2 && app == "live" {
							parts++
							if d := f.DTS - awaited; d < -Clock/c.fps/2 || d > Clock/c.fps/2 {
								t.Errorf("picture %d ended a part; the one at %d was awaited, not at %d", i, awaited, f.DTS)
							}
						}
					}
					if ingest.Awaited(s) != 0 && !snap.awaited() {
						t.Fatalf("picture %d: a frame is awaited for which nobody waits", i)
					}
					snap.Advanced()
					d := ingest.Awaited(s)
					if (app == "plain") != (d == 0) {
						t.Fatalf("%s: picture %d: awaited after %v", app, i, d)
					}
					awaited = f.DTS + codec.Ticks(d)
				}
				s.Close(ingest.ErrUnpublished)
				if ingest.Awaited(s) != 0 {
					t.Error("a session that is over waits")
				}
				if app == "live" && parts < 10 {
					t.Errorf("%d parts", parts)
				}
			}
			if ingest.Awaited(nil) != 0 {
				t.Error("nobody waits")
			}
		})
	}
}
