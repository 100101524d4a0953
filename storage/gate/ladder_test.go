package gate_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// everything is what a ladder of the tests consists of.
var everything = append(slices.Clone(rungs), "show_audio")

// source is an encoder that makes all rungs of the ladder from one picture and one sound, and pushes each on a connection of its own: one
// picture a second, every second one a keyframe.
type source struct {
	t      *testing.T
	n      int64 // pictures made
	sounds int64
	units  map[string][]byte
	on     map[string]ingest.Session
	told   map[string]error // why a rung was sent away
	video  map[string]*ingest.Track
	audio  *ingest.Track
	made   bool // the server makes all rungs but the first
}

func newSource(t *testing.T) *source {
	e := &source{t: t, units: map[string][]byte{}, on: map[string]ingest.Session{}, told: map[string]error{}, video: map[string]*ingest.Track{},
		audio: &ingest.Track{Codec: ingest.AAC, ASC: []byte{0x12, 0x10}, SampleRate: 44100, Channels: 2}}
	for _, rung := range rungs {
		e.units[rung] = bytes.Repeat([]byte{rung[len("show_")]}, 2000)
		e.video[rung] = &ingest.Track{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 1}
	}
	return e
}

// join pushes a rung to a server. The error is the refusal.
func (e *source) join(s *server, rung string) error {
	e.t.Helper()
	session, err := s.gate.Publish(e.t.Context(), ingest.Announce{App: "live", Stream: rung, Protocol: "test", Remote: "192.0.2.1:5000", Identity: "me", Cancel: func(error) {}, Derived: e.made && rung != rungs[0]})
	if err == nil {
		e.on[rung] = session
		delete(e.told, rung)
	}
	return err
}

// joined is join for several, where none is refused.
func (e *source) joined(s *server, rungs ...string) {
	e.t.Helper()
	for _, rung := range rungs {
		if err := e.join(s, rung); err != nil {
			e.t.Fatalf("%s refuses %s: %v", s.node, rung, err)
		}
	}
}

// leave breaks all connections.
func (e *source) leave(cause error) {
	for _, s := range e.on {
		s.Close(cause)
	}
	clear(e.on)
}

// run sends in real time. A connection that the server closes is gone.
func (e *source) run(d time.Duration) {
	e.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		for _, rung := range rungs {
			if s := e.on[rung]; s != nil {
				if err := e.write(s, rung); err != nil {
					e.told[rung] = err
					delete(e.on, rung)
				}
			}
		}
		e.n++
		for e.sounds*1024*ingest.Clock/44100 < e.n*ingest.Clock {
			e.sounds++
		}
	}
}

func (e *source) write(s ingest.Session, rung string) error {
	unit := e.units[rung]
	if unit[0] = 0x41; e.n%2 == 0 {
		unit[0] = 0x65
	}
	binary.BigEndian.PutUint64(unit[1:], 0x0101010101010101+uint64(e.n)<<8)
	dts := e.n * ingest.Clock
	if err := s.WriteFrame(&ingest.Frame{Track: e.video[rung], PTS: dts, DTS: dts, Key: e.n%2 == 0, Units: [][]byte{unit}, Arrival: time.Now()}); err != nil {
		return err
	}
	for n := e.sounds; n*1024*ingest.Clock/44100 < (e.n+1)*ingest.Clock; n++ {
		dts := n * 1024 * ingest.Clock / 44100
		if err := s.WriteFrame(&ingest.Frame{Track: e.audio, PTS: dts, DTS: dts, Key: true, Units: [][]byte{{byte(n), 1, 2, 3, 4, 5, 6, 7}}, Arrival: time.Now()}); err != nil {
			return err
		}
	}
	return nil
}

// end says goodbye, and waits until the ladder has ended and is stored.
func (e *source) end(s *server) {
	e.t.Helper()
	e.leave(ingest.ErrUnpublished)
	time.Sleep(2 * time.Minute)
	synctest.Wait()
}

// variants are the streams that the ladder's stable entry in the bucket names.
func variants(t *testing.T, store *storetest.Memory) (streams []string) {
	t.Helper()
	m, err := m3u8.ParseMaster(storetest.Read(t, store, "live/streams/show.m3u8", 0, -1))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range m.Variants {
		n, ok := segmenter.ParseName("live/streams/" + v.URI)
		if !ok {
			t.Fatalf("the entry names %s", v.URI)
		}
		streams = append(streams, n.Stream)
	}
	return streams
}

func ladderClaim(t *testing.T, store storage.Getter, stream string) claim.Claim {
	t.Helper()
	c, _, err := claim.Read(t.Context(), store, claim.Key("live", stream))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// row is what a number is in one stream of a ladder.
type row struct {
	gap, breaks bool
	at          time.Time
	lasts       int64
}

// rows are the numbers of a stream, from its timestamped playlists, which have to be finished, to be without a hole, and to name what is there.
func rows(t *testing.T, store *storetest.Memory, stream string) (all []row, target int, names []string) {
	t.Helper()
	ids, err := storage.Archives(t.Context(), store, segmenter.Key{App: "live", Stream: stream})
	if err != nil {
		t.Fatal(err)
	}
	keys := storetest.Keys(t, store, "")
	for _, id := range ids {
		m := media(t, store, "live/streams/"+stream+"-"+string(id)+".m3u8")
		for len(names) == 0 && uint64(len(all)) < m.MediaSequence { // it came later than others
			all = append(all, row{gap: true})
		}
		if names = append(names, string(id)); !m.EndList || m.MediaSequence != uint64(len(all)) {
			t.Errorf("%s-%s: end %v, begins with %d, want %d", stream, id, m.EndList, m.MediaSequence, len(all))
		}
		if target = max(target, m.TargetDuration); target != m.TargetDuration {
			t.Errorf("%s-%s: TARGETDURATION %d, was %d", stream, id, m.TargetDuration, target)
		}
		for _, s := range m.Segments {
			if !s.Gap && !slices.Contains(keys, path.Join("live/streams", s.URI)) {
				t.Errorf("%s-%s: %s is not there", stream, id, s.URI)
			}
			all = append(all, row{s.Gap, s.Discontinuity, s.ProgramDateTime, s.Duration})
		}
	}
	return all, target, names
}

// aligned fails the test unless all streams of the ladder have the same numbers, at the same times, with discontinuities at the same ones, and
// at most some gaps each. breaks below 0: however many there are. It returns how many numbers there are.
func aligned(t *testing.T, store *storetest.Memory, breaks, gaps int, streams ...string) int {
	t.Helper()
	first, target, names := rows(t, store, streams[0])
	for _, stream := range streams {
		list, td, splits := rows(t, store, stream)
		if len(list) != len(first) || td != target || !slices.Equal(splits, names) {
			t.Errorf("%s has %d numbers, TARGETDURATION %d, in %v; %s has %d, %d, in %v", stream, len(list), td, splits, streams[0], len(first), target, names)
			continue
		}
		lost, broken := 0, 0
		for n, r := range list {
			if r.gap {
				lost++
			}
			if r.breaks {
				broken++
			}
			if r.breaks != first[n].breaks {
				t.Errorf("%s: the discontinuity before %d is not in all rungs", stream, n)
			}
			if d := r.at.Sub(first[n].at); !r.gap && !first[n].gap && d.Abs() > 50*time.Millisecond {
				t.Errorf("%s: %d is %v after that of %s", stream, n, d, streams[0])
			}
		}
		if breaks >= 0 && broken != breaks || lost > gaps {
			t.Errorf("%s: %d discontinuities, want %d; %d gaps", stream, broken, breaks, lost)
		}
	}
	own, err := storage.Archives(t.Context(), store, show)
	for _, id := range own {
		if !slices.Contains(names, string(id)) {
			t.Errorf("the ladder has a timestamped playlist %s, %v, and its rungs have none", id, err)
		}
	}
	for _, name := range names { // the ladder's own lead to them
		key := "live/streams/show-" + name + ".m3u8"
		if _, err := store.Stat(t.Context(), key); err != nil {
			t.Errorf("%s is not there", key)
			continue
		}
		m, err := m3u8.ParseMaster(storetest.Read(t, store, key, 0, -1))
		if err != nil || len(m.Variants) < len(streams) {
			var uris []string
			for _, v := range m.Variants {
				uris = append(uris, v.URI)
			}
			t.Errorf("%s: %v: %v", key, err, uris)
			continue
		}
		for _, v := range m.Variants {
			if _, err := store.Stat(t.Context(), "live/streams/"+v.URI); err != nil {
				t.Errorf("%s names %s, which is not there", key, v.URI)
			}
		}
	}
	return len(first)
}

// A server dies, and another goes on with its ladder as a whole, in whatever order the rungs come back.
func TestLadderGoesOn(t *testing.T) {
	const rich, made = "rich", "made"
	for name, back := range map[string][]string{
		"best first":  {"show_high", "show_mid", "show_low"},
		"worst first": {"show_low", "show_mid", "show_high"},
		"at once":     nil,
		rich:          {"show_mid", "show_high", "show_low"},
		made:          nil,
	} {
		for _, runs := range []time.Duration{9 * time.Second, 30 * time.Second, 10 * time.Minute} {
			if runs > time.Minute && name != rich && scale() < 1 {
				continue
			}
			t.Run(fmt.Sprint(name, " after ", runs), func(t *testing.T) {
				bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
					groups := map[string][]string{"show": rungs}
					if name == made {
						groups = map[string][]string{segmenter.Wildcard: {"*_high", "*_mid", "*_low"}}
					}
					a, b := beginGroups(t, store, "a", p, name == rich, groups), beginGroups(t, store, "b", p, name == rich, groups)
					defer func() { b.end() }()
					e := newSource(t)
					e.made = name == made
					e.joined(a, rungs...)
					e.run(runs)
					id, entry := string(a.reg.Timeline("live", "show").Recording()), variants(t, store)
					if len(entry) != 4 {
						t.Fatalf("the entry names %v", entry)
					}
					a.die(p)
					e.leave(errors.New("reset"))

					if back == nil {
						e.joined(b, rungs...)
					}
					for _, rung := range back {
						e.joined(b, rung)
						e.run(time.Second)
						if got := variants(t, store); !slices.Equal(got, entry) {
							t.Errorf("with %s the entry names %v", rung, got)
						}
					}
					for range 20 {
						e.run(time.Second)
						if got := variants(t, store); !slices.Equal(got, entry) {
							t.Errorf("the entry names %v", got)
						}
					}
					if got := string(b.reg.Timeline("live", "show").Recording()); got != id {
						t.Fatalf("%s goes on, want %s", got, id)
					}
					for _, stream := range append(slices.Clone(everything), "show") {
						if c := ladderClaim(t, store, stream); c.Node != "b" || c.Recording != id || c.State != claim.Live {
							t.Errorf("%s: %+v", stream, c)
						}
					}
					for _, rung := range b.reg.Rungs(show) {
						if rung.State != segmenter.RungIn {
							t.Errorf("%+v", rung)
						}
					}
					e.end(b)
					want := int((runs + 20*time.Second) / (2 * time.Second))
					if n := aligned(t, store, 1, 2, everything...); n < want-2 || n > want+3 {
						t.Errorf("%d numbers, want %d", n, want)
					}
					if len(b.took) != 1 || b.took[0].Key != show || b.took[0].From.Node != "a" {
						t.Errorf("%+v", b.took)
					}
					for _, stream := range append(slices.Clone(everything), "show") {
						if c := ladderClaim(t, store, stream); c.State != claim.Ended {
							t.Errorf("%s: %+v", stream, c)
						}
					}
				})
			})
		}
	}
}

// Who has the ladder refuses nothing of it; whoever has not refuses every rung, by name, and nothing of that is listed.
func TestRungsAtDifferentServers(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer func() { a.end() }()
		defer func() { b.end() }()
		e := newSource(t)
		type answer struct {
			server *server
			rung   string
			err    error
		}
		answers, mu := make(chan answer), sync.Mutex{}
		for i, rung := range rungs {
			s := []*server{a, b}[i%2]
			go func() {
				session, err := s.gate.Publish(t.Context(), ingest.Announce{App: "live", Stream: rung, Protocol: "test", Remote: "192.0.2.1:5000", Identity: "me", Cancel: func(error) {}})
				if err == nil {
					mu.Lock()
					e.on[rung] = session
					mu.Unlock()
				}
				answers <- answer{s, rung, err}
			}()
		}
		var has *server
		refused := map[string]*server{}
		for range rungs {
			x := <-answers
			var refusal *ingest.Refusal
			switch {
			case x.err == nil && has == nil, x.err == nil && has == x.server:
				has = x.server
			case x.err == nil:
				t.Errorf("both have the ladder")
			case !errors.As(x.err, &refusal) || refusal.Kind != ingest.NameTaken || !strings.Contains(refusal.Reason, "ladder show"):
				t.Errorf("%s is refused: %v", x.rung, x.err)
			default:
				refused[x.rung] = x.server
			}
		}
		synctest.Wait()
		if has == nil || len(refused) == 0 {
			t.Fatalf("%v has it, %v are refused", has, refused)
		}
		if c := ladderClaim(t, store, "show"); c.Node != has.node || c.Epoch != 1 {
			t.Errorf("%+v", c)
		}
		e.run(5 * time.Second)
		for rung, s := range refused {
			if err := e.join(s, rung); err == nil || !strings.Contains(err.Error(), "server "+has.node+" ") {
				t.Errorf("%s at %s: %v", rung, s.node, err)
			}
			e.joined(has, rung)
		}
		e.run(20 * time.Second)
		if got := variants(t, store); len(got) != 4 {
			t.Errorf("the entry names %v", got)
		}
		e.end(has)
		aligned(t, store, 0, 4, rungs...) // a rung that comes late has a timestamped playlist, too, which begins with a later number
	})
}

// A rung that never comes back holds up nobody.
func TestRungStaysAway(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer func() { b.end() }()
		e := newSource(t)
		e.joined(a, rungs...)
		e.run(30 * time.Second)
		a.die(p)
		e.leave(errors.New("reset"))
		e.joined(b, "show_low", "show_high")
		e.run(time.Minute)
		if got := variants(t, store); slices.Contains(got, "show_mid") || len(got) != 3 {
			t.Errorf("the entry names %v", got)
		}
		s := b.reg.Timeline("live", "show_low").Snapshot()
		if end := s.Rows[len(s.Rows)-1].End(); time.Since(end) > 6*time.Second {
			t.Errorf("its newest segment ended %v ago", time.Since(end))
		}
		e.joined(b, "show_mid") // later than all graces, it is one of the ladder still
		e.run(20 * time.Second)
		if got := variants(t, store); len(got) != 4 {
			t.Errorf("the entry names %v", got)
		}
		e.end(b)
		aligned(t, store, 1, 1, "show_high", "show_low", "show_audio")
		aligned(t, store, 1, 40, everything...)
	})
}

// A rung that stands outside has numbers of its own: it is not gone on with as one of the ladder, and begins anew.
func TestRungOutside(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer func() { b.end() }()
		e, odd := newSource(t), newSource(t)
		odd.n = 1000
		run := func(seconds int) {
			for range seconds {
				e.run(time.Millisecond) // which takes a second
				odd.n++                 // its time stamps are others
				for odd.sounds*1024*ingest.Clock/44100 < odd.n*ingest.Clock {
					odd.sounds++
				}
				for rung, s := range odd.on {
					if err := odd.write(s, rung); err != nil {
						odd.told[rung] = err
						delete(odd.on, rung)
					}
				}
			}
		}
		e.joined(a, "show_high", "show_mid")
		run(4)
		odd.joined(a, "show_low")
		run(40)
		id := string(a.reg.Timeline("live", "show").Recording())
		if state := a.reg.Rungs(show)[2].State; state != segmenter.RungOutside {
			t.Fatalf("the rung is %s: this tests nothing", state)
		}
		a.die(p)
		e.leave(errors.New("reset"))
		odd.leave(errors.New("reset"))
		odd.joined(b, "show_low")
		run(2)
		e.joined(b, "show_mid", "show_high")
		run(40)
		if got := string(b.reg.Timeline("live", "show").Recording()); got != id {
			t.Errorf("%s goes on, want %s", got, id)
		}
		low := b.reg.Timeline("live", "show_low")
		if got := string(low.Recording()); got == id || low.Snapshot().Whole().Next() < 8 {
			t.Errorf("the one outside is %s, with %d segments", got, low.Snapshot().Whole().Next())
		}
		if got := variants(t, store); len(got) != 3 || slices.Contains(got, "show_low") {
			t.Errorf("the entry names %v", got)
		}
		odd.leave(ingest.ErrUnpublished)
		e.end(b)
		aligned(t, store, 1, 4, "show_high", "show_mid", "show_audio")
	})
}

// A ladder goes from server to server and back, slowly or sooner than a server forgets what it has let go of, and each time as a whole.
func TestLadderWanders(t *testing.T) {
	for _, stays := range []time.Duration{20 * time.Second, 7 * time.Second} {
		t.Run(stays.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
				all := []*server{begin(t, store, "a", p), begin(t, store, "b", p)}
				for _, s := range all {
					defer func() { s.end() }()
				}
				e := newSource(t)
				moves := 6
				for n := range moves + 1 {
					s := all[n%2]
					e.joined(s, rungs...)
					e.run(stays)
					if got := variants(t, store); len(got) != 4 {
						t.Errorf("move %d: the entry names %v", n, got)
					}
					if c := ladderClaim(t, store, "show"); c.Node != s.node || c.Epoch < uint64(n+1) {
						t.Errorf("move %d: %+v", n, c)
					}
					if n < moves {
						e.leave(errors.New("reset"))
						time.Sleep(time.Second)
					}
				}
				e.end(all[moves%2])
				aligned(t, store, moves, moves, everything...)
			})
		})
	}
}

// A former server may say of a rung that it has nothing more of it at the very moment at which another takes the ladder over.
func TestLadderIsTakenFromWhoLetsGo(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer func() { a.end() }()
		defer func() { b.end() }()
		e := newSource(t)
		e.joined(a, rungs...)
		e.run(20 * time.Second)
		e.leave(errors.New("reset"))
		time.Sleep(time.Second)
		key, words := claim.Key("live", "show_mid"), 0
		b.store.Set(storetest.Fault{
			Ops: []storetest.Op{storetest.OpPut}, Match: func(_ storetest.Op, at string) bool { return at == key }, Times: 1,
			Hook: func(ctx context.Context, _ storetest.Op, _ string) {
				words++
				said := bytes.Replace(storetest.Read(t, store, key, 0, -1), []byte(`"`+claim.Live+`"`), []byte(`"`+claim.Ended+`"`), 1)
				if _, err := store.Put(ctx, key, bytes.NewReader(said), storage.Attributes{ContentType: "application/json"}); err != nil {
					t.Error(err)
				}
			},
		})
		e.joined(b, rungs...)
		e.run(20 * time.Second)
		if words != 1 {
			t.Errorf("the former server said %d words", words)
		}
		if got := variants(t, store); len(got) != 4 {
			t.Errorf("the entry names %v", got)
		}
		e.end(b)
		aligned(t, store, 1, 1, everything...)
	})
}

// An owner that sleeps, and wakes up when another has its ladder, lets all of it go, and writes no playlist of it.
func TestLadderOwnerIsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer func() { a.end() }()
		defer func() { b.end() }()
		old, e := newSource(t), newSource(t)
		old.joined(a, rungs...)
		old.run(20 * time.Second)
		e.n, e.sounds = old.n, old.sounds
		asks := p["http://a"]
		delete(p, "http://a")
		a.store.Set(storetest.Fault{Err: errors.New("away")})
		e.joined(b, rungs...)
		for range 20 {
			old.run(time.Second)
			e.n, e.sounds = old.n-1, old.sounds-43
			e.run(time.Millisecond)
			e.n, e.sounds = old.n, old.sounds
		}
		before := map[string]string{}
		for _, key := range storetest.Keys(t, store, "") {
			if n, ok := segmenter.ParseName(key); ok && n.Kind != segmenter.KindSegment {
				before[key] = string(storetest.Read(t, store, key, 0, -1))
			}
		}
		e.leave(errors.New("reset")) // b writes nothing more but gaps
		a.store.Set()
		p["http://a"] = asks
		for range 10 {
			old.run(time.Second)
		}
		if len(old.on) > 0 || len(old.told) != 3 {
			t.Errorf("%v are connected, and %v sent away", slices.Collect(maps.Keys(old.on)), old.told)
		}
		for rung, err := range old.told {
			if !strings.Contains(err.Error(), "server b has") {
				t.Errorf("%s is told %v", rung, err)
			}
		}
		if line := a.reg.Timeline("live", "show"); line != nil {
			t.Error("viewers are still answered from the one that was cut off")
		}
		e.joined(b, rungs...)
		e.run(20 * time.Second)
		e.end(b)
		aligned(t, store, 2, 12, everything...)
	})
}

// The claim is damaged while a ladder, or a stream, is on the air: nobody else is admitted for that.
func TestDamagedClaimOnTheAir(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer func() { a.end() }()
		defer func() { b.end() }()
		e := newSource(t)
		e.joined(a, "show_high", "show_low")
		e.run(10 * time.Second)
		for _, stream := range []string{"show", "show_mid"} {
			if _, err := store.Put(t.Context(), claim.Key("live", stream), strings.NewReader(`{"epo`), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.join(b, "show_mid"); err == nil || !strings.Contains(err.Error(), "server a ") {
			t.Errorf("%v", err)
		}
		e.joined(a, "show_mid")
		e.run(20 * time.Second)
		if got := variants(t, store); len(got) != 4 {
			t.Errorf("the entry names %v", got)
		}
		e.end(a)
		f := newSource(t)
		if _, err := store.Put(t.Context(), claim.Key("live", "show"), strings.NewReader(`{"epo`), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		f.joined(b, rungs...) // nobody feeds it
		f.run(10 * time.Second)
		if c := ladderClaim(t, store, "show"); c.Node != "b" || c.State != claim.Live {
			t.Errorf("%+v", c)
		}
		f.end(b)
	})
}

// Whatever happens to whom, in whatever order: a number means one thing in all rungs, and what is listed is there.
func TestLadderSchedules(t *testing.T) {
	for seed := range uint64(max(5, 100*scale())) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
				random := rand.New(rand.NewPCG(seed, 15))
				var all []*server
				for _, node := range []string{"a", "b", "c"} {
					all = append(all, begin(t, store, node, p))
				}
				defer func() {
					for _, s := range all {
						s.end()
					}
				}()
				e := newSource(t)
				for round := range 9 {
					for try := 0; len(e.on) < len(rungs) && try < 60; try++ { // each rung alone, at whatever server
						for _, i := range random.Perm(len(rungs)) {
							if rung := rungs[i]; e.on[rung] == nil {
								_ = e.join(all[random.IntN(len(all))], rung)
							}
						}
						e.run(time.Second)
					}
					if len(e.on) < len(rungs) {
						t.Fatalf("only %v are admitted in a minute", slices.Collect(maps.Keys(e.on)))
					}
					e.run(time.Duration(3+random.IntN(20)) * time.Second)
					if round == 8 {
						break
					}
					owner := ladderClaim(t, store, "show").Node
					i := slices.IndexFunc(all, func(s *server) bool { return s.node == owner })
					if random.IntN(2) == 0 {
						all[i].die(p)
						e.leave(errors.New("reset"))
						all[i] = begin(t, store, owner, p) // without what its spool had
					} else {
						e.leave(errors.New("reset"))
					}
				}
				e.leave(ingest.ErrUnpublished)
				time.Sleep(2 * time.Minute)
				if live := storetest.Keys(t, store, "live/streams/show_high/"); path.Dir(live[0]) != path.Dir(live[len(live)-1]) {
					t.Errorf("it went on in another recording: %s and %s", live[0], live[len(live)-1])
				}
				aligned(t, store, -1, 1000, everything...)
				keys := storetest.Keys(t, store, "")
				for _, key := range keys {
					n, ok := segmenter.ParseName(key)
					if !ok || n.Kind != segmenter.KindLive {
						continue
					}
					for _, s := range media(t, store, key).Segments {
						if !s.Gap && !slices.Contains(keys, path.Join(path.Dir(key), s.URI)) {
							t.Errorf("%s lists %s, which is not there", key, s.URI)
						}
					}
				}
			})
		})
	}
}

// While a rung is being admitted its ladder may be taken over, with all rungs: of each viewers have what the bucket has by then.
func TestLadderIsBeingTaken(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a := begin(t, store, "a", p)
		defer a.end()
		a.store.Set(storetest.Fault{Hang: true})
		done := make(chan error)
		go func() {
			s, err := a.gate.Publish(t.Context(), ingest.Announce{App: "live", Stream: rungs[0]})
			if err == nil {
				s.Close(ingest.ErrUnpublished)
			}
			done <- err
		}()
		synctest.Wait()
		for stream, want := range map[string]bool{rungs[0]: true, rungs[1]: true, "show": true, "other": false} {
			if a.gate.Taking(segmenter.Key{App: "live", Stream: stream}) != want {
				t.Errorf("%s: want %v", stream, want)
			}
		}
		a.store.Set()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if a.gate.Taking(segmenter.Key{App: "live", Stream: rungs[1]}) {
			t.Error("nobody is being admitted any more")
		}
	})
}
