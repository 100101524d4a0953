package segmenter

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/cut"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// What viewers may rely on in playlists, line by line, held against every playlist of one eventful recording. Each event
// has tests of its own elsewhere; here it is what all of them together must never break.

// moment is a playlist as it was published, and what stood behind it.
type moment struct {
	at   time.Time
	snap *Snapshot
	live *m3u8.Media
	text string
	feed bool // input had arrived without a break since the moment before
}

type history struct {
	t       *testing.T
	moments []moment
	fed     bool
}

// run publishes for d and keeps every new playlist.
func (h *history) run(e *encoder, d time.Duration) {
	h.t.Helper()
	for end := e.rig.now.Add(d); e.rig.now.Before(end); {
		e.run(200 * time.Millisecond)
		h.look(e.rig)
	}
}

func (h *history) look(r *rig) {
	h.t.Helper()
	tl := r.reg.Timeline("live", "cam")
	if tl == nil || tl.Snapshot().Live == nil {
		return
	}
	s := tl.Snapshot()
	if n := len(h.moments); n > 0 && h.moments[n-1].snap.Live.ETag == s.Live.ETag {
		return
	}
	m, err := m3u8.ParseMedia(s.Live.Body)
	if err != nil {
		h.t.Fatalf("%v in %s", err, s.Live.Body)
	}
	h.moments = append(h.moments, moment{at: r.now, snap: s, live: m, text: string(s.Live.Body), feed: h.fed})
	h.fed = true
}

// away lets time pass without input.
func (h *history) away(r *rig, d time.Duration) {
	r.now = r.now.Add(d)
	r.reg.Expire(r.now)
	h.fed = false
	h.look(r)
	h.fed = false
}

// eventful is a recording with all that may happen to one: a lost connection, another resolution, keyframes that stay
// away, a crash of the server with the loss of a segment, and the end.
func eventful(t *testing.T) *history {
	t.Helper()
	h := &history{t: t}
	r := newRig(t, AppOptions{Window: 24 * time.Second})
	e := r.mustPublish("cam")
	h.run(e, 2*time.Minute)
	e.s.Close(errors.New("connection reset"))
	h.away(r, 5*time.Second)
	e = r.mustPublish("cam")
	h.run(e, 41*time.Second)

	other := *e.video
	other.SPS = [][]byte{append(bytes.Clone(testSPS), 0x80)}
	e.video = &other
	h.run(e, 40*time.Second)
	every := e.keyframe
	e.keyframe = func(int64) bool { return false }
	h.run(e, 15*time.Second)
	e.keyframe = every
	h.run(e, 40*time.Second)

	s := r.snapshot()
	after := newRig(t, AppOptions{Window: 24 * time.Second})
	after.now = r.now.Add(7 * time.Second)
	if err := after.reg.Restore(Recovered{
		Key: s.Key, Recording: s.Recording, TargetDuration: s.TargetDuration, Rows: append([]Row(nil), s.Rows...),
		Next: s.Opened + 1, Variant: s.Variant, LastFrame: s.LastFrame,
	}); err != nil {
		t.Fatal(err)
	}
	h.fed = false
	h.away(after, 3*time.Second)
	e = after.mustPublish("cam")
	h.run(e, time.Minute)
	e.s.Close(ingest.ErrUnpublished)
	h.away(after, time.Minute)

	gaps, forced, breaks := 0, 0, 0
	for _, row := range after.snapshot().Rows {
		gaps += count(row.Gap)
		forced += count(!row.Independent && !row.Gap)
		breaks += count(row.Discontinuity)
	}
	if gaps == 0 || forced == 0 || breaks < 3 {
		t.Fatalf("not eventful: %d gaps, %d forced cuts, %d discontinuities", gaps, forced, breaks)
	}
	return h
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestContract_3_01_HeaderAndVersion(t *testing.T) {
	for _, m := range eventful(t).moments {
		for _, text := range []string{m.text, string(m.snap.Archive().Body), string(m.snap.Entry.Body)} {
			if !strings.HasPrefix(text, "#EXTM3U\n") || !utf8.ValidString(text) || strings.Count(text, "#EXT-X-VERSION:") != 1 {
				t.Fatalf("begins wrongly, or not with one version:\n%s", text)
			}
			want := 3
			switch {
			case strings.Contains(text, "#EXT-X-GAP\n"):
				want = 8
			case strings.Contains(text, "#EXT-X-INDEPENDENT-SEGMENTS\n"):
				want = 6
			case strings.Contains(text, "#EXT-X-STREAM-INF:"):
				want = 4
			}
			if !strings.Contains(text, fmt.Sprintf("\n#EXT-X-VERSION:%d\n", want)) {
				t.Fatalf("not version %d:\n%s", want, text)
			}
		}
	}
}

func TestContract_3_02_TargetDurationAndIndependence(t *testing.T) {
	h := eventful(t)
	for _, m := range h.moments {
		if m.live.TargetDuration != h.moments[0].live.TargetDuration {
			t.Fatalf("TARGETDURATION was %d and is %d", h.moments[0].live.TargetDuration, m.live.TargetDuration)
		}
		for _, s := range m.live.Segments {
			if cut.RoundSeconds(s.Duration) > m.live.TargetDuration {
				t.Errorf("%s lasts %v", s.URI, cut.Duration(s.Duration))
			}
		}
		if m.live.IndependentSegments != independent(m.snap.Rows[m.snap.First:]) {
			t.Errorf("INDEPENDENT-SEGMENTS is %v\n%s", m.live.IndependentSegments, m.text)
		}
	}
}

// Of 30 pictures a second a tick is exact and a millisecond is not: what is rounded must not add up.
func TestContract_3_03_DurationsAddUp(t *testing.T) {
	r := newRig(t, AppOptions{Window: 10 * time.Minute})
	e := r.mustPublish("cam")
	e.fps, e.gop = 30, 41
	for range 2000 {
		e.step()
		e.n++
	}
	m := r.media()
	for first := range m.Segments {
		sum := int64(0)
		for last := first; last < len(m.Segments); last++ {
			sum += m.Segments[last].Duration
			const gop = 41 * 3000 // ticks
			if off := (sum + gop/2) % gop; off < gop/2-3000 || off > gop/2+3000 {
				t.Fatalf("%d to %d last %v, which is no number of groups of pictures", first, last, cut.Duration(sum))
			}
		}
	}
}

func TestContract_3_04_NumbersKeepTheirMeaning(t *testing.T) {
	type meaning struct {
		uri      string
		duration int64
		gap      bool
	}
	all := map[uint64]meaning{}
	sequence, next := uint64(0), uint64(0)
	for _, m := range eventful(t).moments {
		if m.live.MediaSequence < sequence || m.live.MediaSequence+uint64(len(m.live.Segments)) < next {
			t.Errorf("%d to %d follows %d to %d", m.live.MediaSequence, m.live.MediaSequence+uint64(len(m.live.Segments)), sequence, next)
		}
		sequence, next = m.live.MediaSequence, m.live.MediaSequence+uint64(len(m.live.Segments))
		for i, s := range m.live.Segments {
			n, now := sequence+uint64(i), meaning{s.URI, s.Duration, s.Gap}
			if old, ok := all[n]; ok && old != now {
				t.Errorf("number %d was %+v and is %+v", n, old, now)
			}
			all[n] = now
		}
	}
}

func TestContract_3_05_DiscontinuitySequence(t *testing.T) {
	h := eventful(t)
	last := h.moments[len(h.moments)-1].snap
	for _, m := range h.moments {
		want := uint64(0)
		for _, row := range last.Rows {
			if row.Sequence < m.live.MediaSequence {
				want += uint64(count(row.Discontinuity))
			}
		}
		if !strings.Contains(m.text, fmt.Sprintf("\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", want)) {
			t.Errorf("not %d:\n%s", want, m.text)
		}
	}
}

func TestContract_3_06_ProgramDateTime(t *testing.T) {
	form := regexp.MustCompile(`(?m)^#EXT-X-PROGRAM-DATE-TIME:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	for _, m := range eventful(t).moments {
		if strings.Count(m.text, "PROGRAM-DATE-TIME") != len(form.FindAllString(m.text, -1)) {
			t.Fatalf("another form of time:\n%s", m.text)
		}
		var at time.Time
		for i, s := range m.live.Segments {
			if (i == 0 || s.Discontinuity) && s.ProgramDateTime.IsZero() {
				t.Fatalf("%s has no time:\n%s", s.URI, m.text)
			}
			if off := s.ProgramDateTime.Sub(at); !at.IsZero() && !s.ProgramDateTime.IsZero() &&
				(off < -40*time.Millisecond || !s.Discontinuity && !s.Gap && off > 40*time.Millisecond && !m.live.Segments[i-1].Gap) {
				t.Fatalf("%s begins %v after the end of the one before it:\n%s", s.URI, off, m.text)
			}
			if !s.ProgramDateTime.IsZero() {
				at = s.ProgramDateTime
			}
			at = at.Add(cut.Duration(s.Duration))
		}
	}
}

// An encoder whose clock is a hundredth slow: the time is set right at most every ten minutes, by a step that is a
// discontinuity; in between it follows the media.
func TestContract_3_06_ClockIsSetRightInSteps(t *testing.T) {
	r := newRig(t, AppOptions{SegmentDuration: 10 * time.Second})
	e := r.mustPublish("cam")
	e.fps, e.gop, e.audio = 1, 2, nil
	var steps []time.Time
	last, seen := Row{}, uint64(0)
	for end := start.Add(150 * time.Minute); r.now.Before(end); e.n++ {
		e.step()
		r.now = r.now.Add(10 * time.Millisecond)
		tl := r.reg.Timeline("live", "cam")
		if tl == nil {
			continue
		}
		for _, row := range tl.Snapshot().Rows[seen:] {
			off := row.Start.Sub(last.Start) - cut.Duration(last.Duration)
			switch {
			case row.Discontinuity:
				steps = append(steps, row.Start)
				if late := r.now.Sub(row.Start); off <= 0 || late > 15*time.Second { // a segment is listed when it is over
					t.Errorf("set right by %v, and %v late still", off, late)
				}
			case seen > 0 && off.Abs() > time.Millisecond:
				t.Errorf("%d slides by %v", row.Sequence, off)
			}
			last = row
			seen++
		}
	}
	if len(steps) != 14 {
		t.Errorf("set right %d times in 150 minutes", len(steps))
	}
	for i := 1; i < len(steps); i++ {
		if steps[i].Sub(steps[i-1]) < 10*time.Minute {
			t.Errorf("set right at %v", steps)
		}
	}
}

func TestContract_3_07_Window(t *testing.T) {
	h := eventful(t)
	short := &history{t: t}
	r := newRig(t, AppOptions{Window: time.Second})
	short.run(r.mustPublish("cam"), 2*time.Minute)
	for _, m := range append(h.moments, short.moments...) {
		sum := int64(0)
		for _, s := range m.live.Segments {
			sum += s.Duration
		}
		if m.live.MediaSequence > 0 && (sum < int64(3*m.live.TargetDuration)*Clock || len(m.live.Segments) < 6) {
			t.Errorf("%d segments of %v:\n%s", len(m.live.Segments), cut.Duration(sum), m.text)
		}
		if strings.Contains(m.text, "PLAYLIST-TYPE") {
			t.Errorf("a sliding playlist with a type:\n%s", m.text)
		}
		archive := string(m.snap.Archive().Body)
		if ended := m.snap.State == Ended; ended != strings.Contains(archive, "PLAYLIST-TYPE:VOD\n") ||
			ended == strings.Contains(archive, "PLAYLIST-TYPE:EVENT\n") || ended != strings.HasSuffix(archive, m3u8.EndList) || ended != m.live.EndList {
			t.Errorf("ended %v:\n%s", ended, archive)
		}
	}
}

func TestContract_3_08_NewSegmentInTime(t *testing.T) {
	var before moment
	for _, m := range eventful(t).moments {
		limit := time.Duration(m.live.TargetDuration) * 1500 * time.Millisecond
		if wait := m.at.Sub(before.at); m.feed && before.snap != nil && wait > limit {
			t.Errorf("a new segment after %v:\n%s", wait, m.text)
		}
		before = m
	}
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	for range 100 { // what is listed is whole and there
		e.run(time.Second)
		s := r.reg.Timeline("live", "cam").Snapshot()
		for _, row := range s.Rows[min(s.First, len(s.Rows)):] {
			seg := s.Segment(row.Sequence)
			if seg == nil || !seg.Retain() {
				t.Fatalf("%d is listed and not in memory", row.Sequence)
			}
			size := 0
			for _, b := range seg.Slices(nil) {
				size += len(b)
			}
			seg.Release()
			if int64(size) != row.Size || size%188 != 0 {
				t.Fatalf("%d has %d bytes of %d", row.Sequence, size, row.Size)
			}
		}
	}
}

// A segment stays for the playlist's duration, its own, and as long as a cache may keep a playlist that names it.
func TestContract_3_09_SegmentOutlivesItsListing(t *testing.T) {
	r := newRig(t, AppOptions{Window: 24 * time.Second})
	e := r.mustPublish("cam")
	left, gone := map[uint64]time.Time{}, 0
	for range 5 * 240 {
		e.run(200 * time.Millisecond)
		s := r.reg.Timeline("live", "cam").Snapshot()
		if s.Live == nil {
			continue
		}
		window := int64(0)
		for _, row := range s.Rows[s.First:] {
			window += row.Duration
		}
		for _, row := range s.Rows[:s.First] {
			if left[row.Sequence].IsZero() {
				left[row.Sequence] = r.now
			}
			keep := cut.Duration(window) + cut.Duration(row.Duration) + time.Duration(max(1, s.TargetDuration/2))*time.Second
			if s.Segment(row.Sequence) == nil {
				gone++
				if since := r.now.Sub(left[row.Sequence]); since < keep {
					t.Fatalf("%d is gone %v after it was listed, not %v", row.Sequence, since, keep)
				}
			}
		}
	}
	if gone == 0 {
		t.Error("nothing ever left memory")
	}
}

func TestContract_3_10_LossesAndChangesAreMarked(t *testing.T) {
	h := eventful(t)
	last := h.moments[len(h.moments)-1].snap
	for i, row := range last.Rows {
		if row.Gap && row.Size != 0 {
			t.Errorf("%d is a gap with %d bytes", row.Sequence, row.Size)
		}
		if i > 0 && !row.Gap && last.Rows[i-1].Gap && !row.Discontinuity {
			t.Errorf("%d follows a loss without a discontinuity", row.Sequence)
		}
	}
	for _, m := range h.moments {
		for i, s := range m.live.Segments {
			row := m.snap.Rows[m.snap.First+i]
			if s.Gap != row.Gap || s.Discontinuity != row.Discontinuity {
				t.Errorf("%s: gap %v, discontinuity %v; the table says %v, %v", s.URI, s.Gap, s.Discontinuity, row.Gap, row.Discontinuity)
			}
		}
	}
}

func TestContract_3_11_MultivariantPlaylist(t *testing.T) {
	r := newRig(t, AppOptions{})
	e := r.mustPublish("cam")
	e.video.Bitrate, e.audio.Bitrate = 2_000_000, 64_000
	e.run(60 * time.Second)
	entry := func() m3u8.Variant {
		m, err := m3u8.ParseMaster(r.snapshot().Entry.Body)
		if err != nil || len(m.Variants) != 1 {
			t.Fatalf("%v in %s", err, r.snapshot().Entry.Body)
		}
		return m.Variants[0]
	}
	v := entry()
	if v.Bandwidth != (2_000_000+64_000)*5/4 {
		t.Errorf("BANDWIDTH %d, announced were %d", v.Bandwidth, 2_064_000)
	}
	if v.AverageBandwidth == 0 || v.AverageBandwidth > v.Bandwidth || v.Codecs != "avc1.64001f,mp4a.40.2" || v.Width != 1280 || v.Height != 720 || v.FrameRate != 25 {
		t.Errorf("%+v", v)
	}

	// Without the encoder's word it is the peak, raised only by what is beyond it by a tenth.
	r = newRig(t, AppOptions{})
	e = r.mustPublish("cam")
	e.run(60 * time.Second)
	first, changes := entry().Bandwidth, 0
	for _, s := range r.snapshot().Rows {
		if peak := int(s.Size * 8 * Clock / s.Duration); s.Duration >= Clock && peak > first+first/10 {
			t.Errorf("a segment of %d bits per second, BANDWIDTH %d", peak, first)
		}
	}
	for n := range 30 {
		big := &ingest.Frame{Track: e.video, DTS: e.n*Clock/25 - 1, PTS: e.n*Clock/25 + 10*Clock/25, Units: [][]byte{append([]byte{0x41}, make([]byte, 4000*n)...)}}
		e.send(big)
		e.run(4 * time.Second)
		if now := entry().Bandwidth; now != first {
			changes++
			if now <= first+first/10 {
				t.Errorf("BANDWIDTH went from %d to %d", first, now)
			}
			first = now
		}
	}
	if changes == 0 {
		t.Error("BANDWIDTH never was raised")
	}
	if strings.Contains(string(r.snapshot().Entry.Body), "INDEPENDENT") != independent(r.snapshot().Rows[r.snapshot().First:]) {
		t.Error("INDEPENDENT-SEGMENTS is not true")
	}
}
