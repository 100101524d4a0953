package ingest

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// show is a publisher over time: what happens to ten frames of each track a second.
type show struct {
	t       *testing.T
	l       *Ledger
	a       Auditor
	now     time.Time
	found   []Finding
	at      []time.Duration // of the findings
	refused error
	ended   time.Duration // when
	begun   time.Time
}

func newShow(t *testing.T) *show {
	l := NewLedger(nil)
	now := time.Unix(1_000_000, 0)
	return &show{t: t, l: l, a: NewAuditor(l), now: now, begun: now}
}

// fate is what happens to a frame; nil means that none arrives.
type fate func(*Account)

func written(a *Account)   { a.Received.Add(1); a.Written.Add(1) }
func handedOn(a *Account)  { a.Received.Add(1) } // to a session that does not say what it does
func lose(r Reason) fate   { return func(a *Account) { a.Refuse(r) } }
func mixed(r Reason) fate  { return func(a *Account) { a.Refuse(r); written(a) } }
func refuse(r Reason) fate { return func(a *Account) { a.Received.Add(1); a.Drop(r) } } // by the segmenter

// run advances by a number of seconds.
func (s *show) run(seconds int, video, audio fate) {
	for range 10 * seconds {
		if video != nil {
			video(&s.l.Video)
		}
		if audio != nil {
			audio(&s.l.Audio)
		}
		if video != nil || audio != nil {
			found, err := s.a.Audit(s.now)
			for _, f := range found {
				s.found, s.at = append(s.found, f), append(s.at, s.now.Sub(s.begun))
			}
			if err != nil && s.refused == nil {
				s.refused, s.ended = err, s.now.Sub(s.begun)
			}
		}
		s.now = s.now.Add(100 * time.Millisecond)
	}
}

// expect checks the findings and their times: "video no_header" for each.
func (s *show) expect(what string, when ...time.Duration) {
	s.t.Helper()
	var got []string
	for _, f := range s.found {
		got = append(got, f.Track+" "+f.Reason.String())
	}
	if strings.Join(got, ", ") != what {
		s.t.Errorf("found %q at %v, want %q", strings.Join(got, ", "), s.at, what)
		return
	}
	for i, w := range when {
		if d := s.at[i] - w; d < 0 || d > 2*time.Second {
			s.t.Errorf("%s was found after %v, want %v", got[i], s.at[i], w)
		}
	}
}

// goes checks that the publisher is refused after a time with these words, or not at all.
func (s *show) goes(after time.Duration, words ...string) {
	s.t.Helper()
	if after == 0 {
		if s.refused != nil {
			s.t.Errorf("refused after %v: %v", s.ended, s.refused)
		}
		return
	}
	var r *Refusal
	if !errors.As(s.refused, &r) || r.Kind != Unsupported || s.ended < after || s.ended > after+2*time.Second {
		s.t.Errorf("refused after %v with %v, want after %v", s.ended, s.refused, after)
		return
	}
	for _, w := range words {
		if !strings.Contains(r.Reason, w) {
			s.t.Errorf("refused with %q, want %q in it", r.Reason, w)
		}
	}
}

func TestAuditNothingWrong(t *testing.T) {
	s := newShow(t)
	s.run(30, written, handedOn)
	s.run(30, mixed(Malformed), written)
	s.run(30, nil, written)
	s.expect("")
	s.goes(0)
}

func TestAuditLostFromTheBeginning(t *testing.T) {
	for name, used := range map[string]fate{"written": written, "handed on": handedOn} {
		t.Run(name, func(t *testing.T) {
			s := newShow(t)
			s.run(60, lose(NoHeader), used)
			s.expect("video no_header", 5*time.Second)
			s.goes(0)
			if f := s.found[0]; f.Words != NoHeader.Words() || f.Frames < 50 || f.Frames > 75 {
				t.Errorf("%+v", f)
			}
			if p := s.l.Problem(); p != "video: "+NoHeader.Words() {
				t.Errorf("the problem is %q", p)
			}
		})
	}
}

// TestAuditLostInMidShow checks that the cause is the current one, not the one most frames were dropped for earlier, and that a loss which
// ends and begins again is reported again.
func TestAuditLostInMidShow(t *testing.T) {
	s := newShow(t)
	s.run(14, refuse(BeforeKey), refuse(BeforeVideo)) // 140 frames
	s.run(30, written, written)
	s.expect("")
	s.run(8, written, lose(NotAFrame)) // 80
	s.expect("audio not_a_frame", 49*time.Second)
	if f := s.found[0]; f.Frames > 75 {
		t.Errorf("%d frames of this time", f.Frames)
	}
	if p := s.l.Problem(); !strings.HasPrefix(p, "audio: ") || s.l.Video.Problem() != nil {
		t.Errorf("the problem is %q", p)
	}
	s.run(10, written, written)
	if p := s.l.Problem(); p != "" {
		t.Errorf("the problem is %q", p)
	}
	s.run(8, written, lose(Malformed))
	s.expect("audio not_a_frame, audio malformed", 49*time.Second, 67*time.Second)
	s.goes(0)
}

// TestAuditWaiting checks that an encoder with a long keyframe interval is waited for, and that this is reported after a while.
func TestAuditWaiting(t *testing.T) {
	s := newShow(t)
	s.run(11, refuse(BeforeKey), refuse(BeforeVideo))
	s.expect("")
	s.goes(0)
	s.run(20, refuse(BeforeKey), refuse(BeforeVideo))
	s.expect("video before_keyframe, audio before_video", 15*time.Second, 15*time.Second)
	s.goes(0)
}

// TestAuditPause checks that a pausing encoder is no finding, neither during the pause nor after it.
func TestAuditPause(t *testing.T) {
	s := newShow(t)
	s.run(10, written, written)
	s.run(3600, nil, nil)
	s.run(10, written, written)
	s.run(3, lose(Malformed), lose(Malformed))
	s.run(3600, nil, nil)
	s.run(3, lose(Malformed), lose(Malformed)) // six seconds of it in an hour, and a little for the pause
	s.goes(0)
	s.run(2, written, written)
	for range 50 { // one frame a minute counts as a pause too
		s.now = s.now.Add(time.Minute)
		s.run(1, written, nil)
	}
	s.goes(0)
	if n := len(s.found); n > 2 {
		t.Errorf("found %+v", s.found)
	}
}

// TestAuditNothingUsable checks that a publisher from whom nothing can be used is refused with the cause for each track.
func TestAuditNothingUsable(t *testing.T) {
	s := newShow(t)
	s.l.Audio.Explain(Uncarried, "AAC-ELD audio is not supported: set the encoder to AAC-LC")
	s.run(30, lose(NoHeader), lose(Uncarried))
	s.expect("video no_header, audio uncarried", 5*time.Second, 5*time.Second)
	s.goes(10*time.Second, "video: "+NoHeader.Words(), "audio: AAC-ELD audio is not supported")

	s = newShow(t)
	s.run(30, nil, lose(NoHeader))
	s.goes(10*time.Second, "audio: "+NoHeader.Words())

	// Audio that waits for lost video waits in vain.
	s = newShow(t)
	s.run(30, lose(NoHeader), refuse(BeforeVideo))
	s.goes(10*time.Second, "video: "+NoHeader.Words(), "audio: "+BeforeVideo.Words())

	// The same in mid-show.
	s = newShow(t)
	s.run(60, written, written)
	s.run(30, lose(Malformed), lose(Malformed))
	s.goes(70*time.Second, Malformed.Words())
}

// TestAuditGathered checks that frames which a session first gathers and then drops count as lost.
func TestAuditGathered(t *testing.T) {
	s := newShow(t)
	s.run(1, handedOn, written)
	for range 10 {
		s.l.Video.Drop(Late)
	}
	s.run(30, refuse(Late), written)
	s.expect("video late", 15*time.Second)
	s.goes(0)
}

// TestAuditCostsNothing checks that a call within the same second, and a look that finds nothing, do not allocate.
func TestAuditCostsNothing(t *testing.T) {
	s := newShow(t)
	if n := testing.AllocsPerRun(1000, func() {
		s.now = s.now.Add(40 * time.Millisecond)
		written(&s.l.Video)
		if _, err := s.a.Audit(s.now); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
