package gate_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/pair"
	"github.com/hlsorigin/hlsorigin/storage/gate"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// twin asks servers by address, as package peer does.
type twin struct {
	mu     sync.Mutex
	others map[string]*server
	down   map[string]bool
	err    error // in place of an answer
	leaves bool  // the others are being drained
}

func (w *twin) set(change func(w *twin)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

// at is the server at an address; nil: none answers.
func (w *twin) at(address string) *server {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down[address] {
		return nil
	}
	return w.others[address]
}

func (w *twin) Report(_ context.Context, address, app, stream string, step bool) (r pair.Report, ok bool, err error) {
	s, key := w.at(address), segmenter.Key{App: app, Stream: stream}
	if s == nil {
		return r, false, gate.ErrAway
	}
	w.mu.Lock()
	err, r.Leaving = w.err, w.leaves
	w.mu.Unlock()
	if err != nil {
		return r, false, err
	}
	told, ok := s.reg.Report(key, step)
	if told.Leaving = r.Leaving; !ok {
		return r, false, nil
	}
	by, there := s.reg.Publisher(key)
	told.Fed = there && time.Now().Add(s.ahead).Sub(by.LastFrame) < 2*time.Second
	text, err := json.Marshal(told) // it goes over a network
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, true, err
}

func (w *twin) Segment(_ context.Context, address string, name segmenter.Name) ([]byte, error) {
	s := w.at(address)
	if s == nil {
		return nil, gate.ErrAway
	}
	seg := s.reg.Timeline(name.App, name.Stream).Snapshot().Whole().Segment(name.Sequence)
	if seg == nil || !seg.Retain() {
		return nil, errors.New("it has left memory")
	}
	defer seg.Release()
	return bytes.Join(seg.Slices(nil), nil), nil
}

// evenly starts servers whose streams are deterministic.
func evenly(t *testing.T, store *storetest.Memory, p peers, names ...string) (all []*server) {
	t.Helper()
	return evenlyAt(t, store, p, 0, names...)
}

// evenlyAt is evenly where the clock of each server is ahead of that of the one before it.
func evenlyAt(t *testing.T, store *storetest.Memory, p peers, ahead time.Duration, names ...string) (all []*server) {
	t.Helper()
	others := map[string]*server{}
	for i, name := range names {
		s := beginAt(t, store, name, p, time.Duration(i)*ahead)
		s.reg.Reconfigure(map[string]segmenter.AppOptions{"live": {SegmentDuration: 2 * time.Second, Window: 20 * time.Second, TargetDuration: 2 * time.Second, Deterministic: true}})
		at := "http://" + name
		s.twin.others, s.twin.down, others[at] = others, map[string]bool{}, s
		fed := p[at]
		p[at] = func() (bool, error) {
			if s.twin.at(at) == nil {
				return false, errRefused
			}
			return fed()
		}
		all = append(all, s)
	}
	return all
}

// cutOff is die of one of several, which find out while they run.
func (s *server) cutOff(all ...*server) {
	s.store.Set(storetest.Fault{Err: errors.New("dead")})
	for _, o := range append(all, s) {
		o.twin.set(func(w *twin) { w.down["http://"+s.node] = true })
	}
	s.end()
}

// leg begins to push what all legs send.
func (s *server) leg(backup bool) *encoder {
	s.t.Helper()
	e := &encoder{t: s.t, ahead: s.ahead, unit: bytes.Repeat([]byte{7}, 2000),
		track: &ingest.Track{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 1, Alone: true}}
	var err error
	e.s, err = s.gate.Publish(s.t.Context(), ingest.Announce{
		App: "live", Stream: "cam", Protocol: "test", Remote: "192.0.2.1:5000", Identity: "me", Backup: backup, Cancel: func(err error) { e.cut.Store(&err) },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// tee sends the same pictures to all, one a second, from a number on; who was sent away gets none. It returns the next number.
func tee(t *testing.T, from, n int64, legs ...*encoder) int64 {
	t.Helper()
	for i := from; i < from+n; i++ {
		for _, e := range legs {
			e.send(i)
		}
		time.Sleep(time.Second)
	}
	return from + n
}

// send sends a picture with a number.
func (e *encoder) send(i int64) {
	e.t.Helper()
	if e.told() != nil {
		return
	}
	if e.unit[0] = 0x41; i%2 == 0 {
		e.unit[0] = 0x65
	}
	binary.BigEndian.PutUint64(e.unit[1:], 0x0101010101010101+uint64(i)<<8)
	dts := i * ingest.Clock
	f := &ingest.Frame{Track: e.track, PTS: dts, DTS: dts, Key: i%2 == 0, Units: [][]byte{e.unit}, Arrival: time.Now().Add(e.ahead)}
	if err := e.s.WriteFrame(f); err != nil && e.told() == nil {
		e.t.Fatal(err)
	}
}

// beside is what stands by on a server; the zero value: nobody.
func (s *server) beside() gate.Beside {
	if all := s.gate.Standbys(); len(all) > 0 {
		return all[0]
	}
	return gate.Beside{}
}

// One that stands by goes on where the other dies, loses its publisher or is drained: without a discontinuity, and without a loss.
func TestStandby(t *testing.T) {
	for name, end := range map[string]func(a *server, ea *encoder, b *server){
		"it dies":              func(a *server, _ *encoder, b *server) { a.cutOff(b) },
		"its publisher breaks": func(_ *server, ea *encoder, _ *server) { ea.s.Close(errors.New("reset")) },
		"it is drained":        func(_ *server, _ *encoder, b *server) { b.twin.set(func(w *twin) { w.leaves = true }) },
		"the bucket is away, too": func(a *server, _ *encoder, b *server) {
			b.store.Set(storetest.Fault{Err: errors.New("away")})
			a.cutOff(b)
			go func() {
				time.Sleep(9 * time.Second)
				b.store.Set()
			}()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
				all := evenly(t, store, p, "a", "b")
				a, b := all[0], all[1]
				defer func() { b.end() }()
				ea := a.leg(false)
				at := tee(t, 0, 7, ea)
				eb := b.leg(true)
				at = tee(t, at, 20, ea, eb)
				if s := b.beside(); s.State != gate.StandbySteps || s.Node != "a" || s.Same-s.Joined < 4 {
					t.Fatalf("%+v", s)
				}
				end(a, ea, b)
				legs := []*encoder{eb}
				if name == "it is drained" {
					legs = append(legs, ea)
				}
				at = tee(t, at, 20, legs...)
				if s := b.beside(); s.State != "" || len(b.took) != 1 || b.took[0].From.Node != "a" || b.gate.Stats().Promotions.Load() != 1 {
					t.Fatalf("%+v, %+v", s, b.took)
				}
				if said := ea.told(); name == "it is drained" && said == nil {
					t.Error("the former one's publisher is still there")
				}
				eb.end(b)
				a.end()
				if n := whole(t, store, 0); n != int(at+1)/2 {
					t.Errorf("%d segments of %d pictures", n, at)
				}
			})
		})
	}
}

// What is not the same is found in the segment in which it is, said with the byte, and harms nobody but the one that stands by.
func TestStandbyDiffers(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		all := evenly(t, store, p, "a", "b")
		a, b := all[0], all[1]
		defer func() { a.end() }()
		defer func() { b.end() }()
		ea, eb := a.leg(false), b.leg(true)
		at := tee(t, 0, 20, ea, eb)
		eb.unit[1500] ^= 1
		at = tee(t, at, 6, ea, eb)
		said := eb.told()
		var why *ingest.Refusal
		if !errors.As(said, &why) || why.Kind != ingest.NameTaken || !strings.Contains(why.Reason, "segment 10 differs: its CRC-32C") || !strings.Contains(why.Reason, ", from byte 1") {
			t.Errorf("%v", said)
		}
		if st := b.gate.Stats(); st.Different.Load() != 1 || st.Unlike.Load() != 1 || st.Same.Load() < 5 {
			t.Errorf("%d, %d, %d", st.Different.Load(), st.Unlike.Load(), st.Same.Load())
		}
		eb.s.Close(errors.New("sent away"))
		if b.beside().State != "" || b.gate.Stats().Standing.Load() != 0 {
			t.Errorf("%+v", b.beside())
		}
		eb = b.leg(true) // and finds its place again
		tee(t, at, 20, ea, eb)
		if s := b.beside(); s.State != gate.StandbySteps {
			t.Errorf("%+v, %v", s, eb.told())
		}
		eb.s.Close(errors.New("enough"))
		ea.end(a)
		whole(t, store, 0)
	})
}

// Who cannot stand by is told why.
func TestStandbyIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *server, eb *encoder)
		after  int64 // seconds
		said   string
	}{
		"another encoder":    {func(_ *server, eb *encoder) { eb.unit[1500] ^= 1 }, 45, "nothing of what comes here is what that server is fed"},
		"it does not answer": {func(b *server, _ *encoder) { b.twin.set(func(w *twin) { w.err = errors.New("another secret") }) }, 45, "another secret"},
		"other settings": {func(b *server, _ *encoder) {
			b.reg.Reconfigure(map[string]segmenter.AppOptions{"live": {SegmentDuration: 4 * time.Second, TargetDuration: 4 * time.Second, Deterministic: true}})
		}, 10, "has other settings"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
				all := evenly(t, store, p, "a", "b")
				a, b := all[0], all[1]
				defer func() { a.end() }()
				defer func() { b.end() }()
				ea := a.leg(false)
				at := tee(t, 0, 8, ea)
				eb := new(encoder)
				if name == "other settings" {
					c.change(b, eb)
				}
				eb = b.leg(false) // who does not say that it is one of two
				c.change(b, eb)
				tee(t, at, c.after, ea, eb)
				if said := eb.told(); said == nil || !strings.Contains(said.Error(), c.said) {
					t.Errorf("%v", said)
				}
				eb.s.Close(errors.New("sent away"))
				ea.end(a)
				whole(t, store, 0)
			})
		})
	}
}

// The leg that says that it is one of two may come first: it lets the other have the stream, and has it where no other comes.
func TestBackupComesFirst(t *testing.T) {
	for name, other := range map[string]bool{"the other comes": true, "it stays alone": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
				all := evenly(t, store, p, "a", "b")
				a, b := all[0], all[1]
				defer func() { a.end() }()
				defer func() { b.end() }()
				eb := b.leg(true)
				at := tee(t, 0, 3, eb)
				if s := b.beside(); s.State != gate.StandbyWaits {
					t.Errorf("%+v", s)
				}
				if !other {
					at = tee(t, at, 25, eb)
					if b.beside().State != "" || held(t, store).Node != "b" {
						t.Errorf("%+v, %+v", b.beside(), held(t, store))
					}
					eb.end(b)
					if n := whole(t, store, 0); n < int(at-16)/2 {
						t.Errorf("%d segments of %d pictures", n, at)
					}
					return
				}
				ea := a.leg(false)
				at = tee(t, at, 25, ea, eb)
				if s := b.beside(); s.State != gate.StandbySteps || held(t, store).Node != "a" {
					t.Errorf("%+v", s)
				}
				a.cutOff(b)
				tee(t, at, 10, eb)
				eb.end(b)
				whole(t, store, 0)
			})
		})
	}
}

// Of two that stand by one goes on, and the other stands by for that one.
func TestTwoStandBy(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		all := evenly(t, store, p, "a", "b", "c")
		legs := []*encoder{all[0].leg(false), all[1].leg(true), all[2].leg(true)}
		at := tee(t, 0, 20, legs...)
		for range 2 {
			owner := held(t, store).Node
			left := 0
			for i, s := range all {
				if s.node == owner {
					s.cutOff(all...)
					left = i
				}
			}
			all, legs = append(all[:left:left], all[left+1:]...), append(legs[:left:left], legs[left+1:]...)
			at = tee(t, at, 16, legs...)
		}
		if held(t, store).Node != all[0].node {
			t.Fatalf("%+v", held(t, store))
		}
		legs[0].end(all[0])
		all[0].end()
		if n := whole(t, store, 0); n != int(at+1)/2 {
			t.Errorf("%d segments of %d pictures", n, at)
		}
	})
}

// Of one stream one publisher stands by on a server, so that connections without end cost it no memory. One that is silent makes room for its own
// encoder, and for no other.
func TestOneStandsBy(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		all := evenly(t, store, p, "a", "b")
		a, b := all[0], all[1]
		defer func() { a.end() }()
		defer func() { b.end() }()
		ea, eb := a.leg(false), b.leg(true)
		at := tee(t, 0, 12, ea, eb)
		again := func(identity string) error {
			s, err := b.gate.Publish(t.Context(), ingest.Announce{App: "live", Stream: "cam", Protocol: "test", Remote: "192.0.2.1:5001", Identity: identity, Backup: true, Cancel: func(error) {}})
			if err == nil {
				s.Close(errors.New("enough"))
			}
			return err
		}
		var refused *ingest.Refusal
		if err := again("me"); !errors.As(err, &refused) || refused.Kind != ingest.NameTaken || !strings.Contains(refused.Reason, "stands by") {
			t.Errorf("a second one: %v", err)
		}
		at = tee(t, at, 4, ea)
		if err := again("somebody else"); !errors.As(err, &refused) || refused.Kind != ingest.NameTaken {
			t.Errorf("somebody else: %v", err)
		}
		if eb.told() != nil || len(b.gate.Standbys()) != 1 {
			t.Errorf("%v, %+v", eb.told(), b.gate.Standbys())
		}
		second := b.leg(true)
		if said := eb.told(); !errors.Is(said, ingest.ErrReplaced) {
			t.Errorf("the silent one is told %v", said)
		}
		eb.s.Close(ingest.ErrReplaced)
		tee(t, at, 20, ea, second)
		if s := b.beside(); s.State != gate.StandbySteps || len(b.gate.Standbys()) != 1 || b.gate.Stats().Standing.Load() != 1 {
			t.Errorf("%+v, %d", s, b.gate.Stats().Standing.Load())
		}
		second.s.Close(errors.New("enough"))
		ea.end(a)
		whole(t, store, 0)
	})
}

// One that has not found its place when the other dies publishes like any other.
func TestStandbyOutOfStep(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		all := evenly(t, store, p, "a", "b")
		a, b := all[0], all[1]
		defer func() { b.end() }()
		ea := a.leg(false)
		at := tee(t, 0, 12, ea)
		eb := b.leg(true)
		eb.unit[1500] ^= 1
		at = tee(t, at, 6, ea, eb)
		a.cutOff(b)
		tee(t, at, 12, eb)
		if len(b.took) != 1 || b.gate.Stats().Promotions.Load() != 0 || eb.told() != nil {
			t.Errorf("%+v, %v", b.took, eb.told())
		}
		eb.end(b)
		whole(t, store, 1)
	})
}

// A server that is drained sends those away that stand by, and says who has what they feed; the one that has it goes on.
func TestStandbysAreDismissed(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		all := evenly(t, store, p, "a", "b")
		a, b := all[0], all[1]
		defer func() { a.end() }()
		defer func() { b.end() }()
		eb := b.leg(true)
		b.gate.Dismiss() // nobody has the stream yet
		if said := eb.told(); said == nil || !strings.HasSuffix(said.Error(), "this server is being drained: publish to another") {
			t.Errorf("%v", said)
		}
		eb.s.Close(eb.told())
		ea, eb := a.leg(false), b.leg(true)
		at := tee(t, 0, 20, ea, eb)
		if s := b.beside(); s.State != gate.StandbySteps {
			t.Fatalf("%+v, %v", s, eb.told())
		}
		b.gate.Dismiss()
		b.gate.Dismiss()
		var why *ingest.Refusal
		if said := eb.told(); !errors.As(said, &why) || why.Kind != ingest.Overloaded ||
			why.Reason != "this server is being drained: publish to another; live/cam is being published to the server a (http://a)" {
			t.Errorf("%v", said)
		}
		if err := eb.s.WriteFrame(&ingest.Frame{Track: eb.track, Units: [][]byte{eb.unit}}); err == nil {
			t.Error("what comes after that is taken")
		}
		at = tee(t, at, 4, ea)
		if b.beside().State != "" || b.gate.Stats().Standing.Load() != 0 || held(t, store).Node != "a" {
			t.Errorf("%+v", b.beside())
		}
		eb.s.Close(eb.told())
		tee(t, at, 4, ea)
		ea.end(a)
		whole(t, store, 0)
	})
}

// One that nothing comes from is said to be silent, and since when, and the server that has the stream does not count on it. When what it had to
// send comes all at once, it is in step again.
func TestSilentStandby(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		all := evenly(t, store, p, "a", "b")
		a, b := all[0], all[1]
		defer func() { a.end() }()
		defer func() { b.end() }()
		backed := func() bool { return a.reg.Timeline("live", "cam").Snapshot().Handed }
		ea, eb := a.leg(false), b.leg(true)
		at := tee(t, 0, 20, ea, eb)
		if s := b.beside(); s.State != gate.StandbySteps || !backed() {
			t.Fatalf("%+v, backed %v", s, backed())
		}
		since, from := time.Now().Add(-time.Second), at
		at = tee(t, at, 8, ea)
		if s := b.beside(); s.State != gate.StandbyQuiet || !s.LastFrame.Equal(since) || s.Node != "a" || backed() {
			t.Errorf("silent since %v: %+v, backed %v", since, s, backed())
		}
		for ; from < at; from++ {
			eb.send(from)
		}
		before := b.beside().Same
		at = tee(t, at, 8, ea, eb)
		if s := b.beside(); s.State != gate.StandbySteps || s.Same < before+3 || !backed() {
			t.Errorf("%+v, %d were the same before, backed %v, %v", s, before, backed(), eb.told())
		}
		a.cutOff(b)
		tee(t, at, 8, eb)
		if b.gate.Stats().Promotions.Load() != 1 {
			t.Errorf("it does not go on: %+v", b.beside())
		}
		eb.end(b)
		whole(t, store, 0)
	})
}

// The clocks of two servers may be far apart: what stands by goes on with the times of the other.
func TestStandbyOfAnotherClock(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 40 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
				all := evenlyAt(t, store, p, ahead, "a", "b")
				a, b := all[0], all[1]
				defer func() { b.end() }()
				ea, eb := a.leg(false), b.leg(true)
				at := tee(t, 0, 20, ea, eb)
				if s := b.beside(); s.State != gate.StandbySteps || s.Same-s.Joined < 4 {
					t.Fatalf("%+v, %v", s, eb.told())
				}
				a.cutOff(b)
				at = tee(t, at, 20, eb)
				if b.gate.Stats().Promotions.Load() != 1 {
					t.Fatalf("%+v, %v", b.beside(), eb.told())
				}
				eb.end(b)
				if n := whole(t, store, 0); n != int(at+1)/2 {
					t.Errorf("%d segments of %d pictures", n, at)
				}
				lists, _ := archives(t, store)
				last := lists[len(lists)-1].Segments
				if off := time.Since(last[len(last)-1].ProgramDateTime); off < 0 || off > 3*time.Minute {
					t.Errorf("the last segment is said to be from %v ago", off)
				}
			})
		})
	}
}
