package mirror_test

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
)

// errCut is what a publisher ends with whose connection breaks.
var errCut = errors.New("connection reset")

// server is another server on the rig's bucket, with a spool of its own.
func (r *rig) server(node string) *rig {
	r.bucket.swaps = true
	o := &rig{t: r.t, bucket: r.bucket, fault: &fault{Putter: r.bucket}, dir: r.t.TempDir(), node: node}
	o.o.Store = o.fault
	o.so.Dir = o.dir
	o.so.FS = quick
	return o
}

// names returns the recording that the stable entry names; "" if there is no entry.
func (l *ledger) names(stream string) string {
	o, ok := l.object("live/streams/" + stream + ".m3u8")
	if !ok {
		return ""
	}
	return named(string(o.body), stream)
}

// named is the recording in an entry's body.
func named(body, stream string) string {
	_, rest, _ := strings.Cut(body, "\n"+stream+"/")
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// entry is what the stable entry named since a moment.
type entry struct {
	id    string
	since time.Time
}

// entries returns what the stable entry has named, one after another.
func (l *ledger) entries(stream string) (list []entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.history["live/streams/"+stream+".m3u8"] {
		if id := named(string(o.body), stream); len(list) == 0 || list[len(list)-1].id != id {
			list = append(list, entry{id, o.at})
		}
	}
	return list
}

func (r *rig) conflicts() int64 { return r.mirror.Uploaders()[0].Stats().Conflicts.Load() }

// claim is the claim to cam.
func (l *ledger) claim() string {
	o, _ := l.object(".cluster/live/cam.json")
	return string(o.body)
}

// An encoder moves to another server while the first one is cut off from the bucket. When that one comes back, or is started again, the
// entry stays with the other, no playlist goes back, and no number gets a second content.
func TestEncoderMoves(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(map[bool]string{false: "it comes back", true: "it is started again"}[restart], func(t *testing.T) {
			bubble(t, func(t *testing.T, unused *rig) {
				a, b := unused.server("a"), unused.server("b")
				logged := &said{}
				a.o.Log = slog.New(slog.NewTextHandler(logged, nil))
				var notices []mirror.Notice
				a.o.Tell = func(n mirror.Notice) {
					if n.Kind == mirror.StoodDown {
						notices = append(notices, n)
					}
				}
				a.start()
				b.start()
				e := a.publish("cam", 4000)
				e.run(20 * time.Second)
				old := a.bucket.names("cam")
				if old == "" || !strings.Contains(a.bucket.claim(), `"epoch":1,"node":"a"`) {
					t.Fatalf("entry %q, claim %s", old, a.bucket.claim())
				}
				a.fault.set(errAway)
				e.run(10 * time.Second)
				if restart {
					if err := a.stop(); err != nil {
						t.Fatal(err)
					}
				} else {
					e.s.Close(errCut)
				}
				f := b.publish("cam", 4000)
				f.run(20 * time.Second)
				now := a.bucket.names("cam")
				if now == old || !strings.Contains(a.bucket.claim(), `"epoch":2,"node":"b"`) {
					t.Fatalf("entry %q, claim %s", now, a.bucket.claim())
				}
				before, _ := a.bucket.object("live/streams/cam/" + old + "/live.m3u8")
				a.fault.set(nil)
				if restart {
					a.start()
				}
				f.run(2 * time.Minute)
				after, _ := a.bucket.object("live/streams/cam/" + old + "/live.m3u8")
				if string(after.body) != string(before.body) || !a.bucket.list("live/streams/cam/"+old+"/live.m3u8").EndList {
					t.Errorf("the old recording's playlist is\n%s\nbefore:\n%s", after.body, before.body)
				}
				if list := a.bucket.entries("cam"); len(list) != 2 || list[1].id != now {
					t.Errorf("the entry named %v", list)
				}
				if n := a.conflicts() + b.conflicts(); n > 0 {
					t.Errorf("%d conflicts", n)
				}
				health, unwell := a.mirror.Health(), 0 // as long as it knows that nobody else wrote to the recording, it completes its archive
				if restart {
					unwell = 1
				}
				if len(notices) != 1 || len(health) != unwell || strings.Count(logged.String(), "another server has the stream") != 1 || a.mirror.Stats().StoodDown.Load() != 1 {
					t.Errorf("notices %+v, health %+v, log:\n%s", notices, health, logged)
				}
				f.end()
				time.Sleep(20 * time.Second)
				b.settled(time.Minute)
				a.settled(time.Minute) // it waits for no playlist that will not come
				if !strings.Contains(a.bucket.claim(), `"node":"b"`) || !strings.Contains(a.bucket.claim(), `"state":"ended"`) {
					t.Errorf("claim %s", a.bucket.claim())
				}
				if err := errors.Join(a.stop(), b.stop()); err != nil {
					t.Error(err)
				}
				if !restart {
					if key := "live/streams/cam-" + old + ".m3u8"; !a.bucket.list(key).EndList || len(a.bucket.list(key).Segments) != 15 {
						t.Errorf("the old recording's archive is not complete: %+v", a.bucket.list(key))
					}
					return
				}
				// It stays so over another start, although the other server is done with the stream.
				a.start()
				time.Sleep(time.Minute)
				if last, _ := a.bucket.object("live/streams/cam/" + old + "/live.m3u8"); string(last.body) != string(before.body) || a.bucket.names("cam") != now {
					t.Errorf("after another start the entry names %s, the old recording's playlist is:\n%s", a.bucket.names("cam"), last.body)
				}
				if got := len(a.bucket.keysIn("live/streams/cam/" + old)); got < 15 {
					t.Errorf("%d segments of the old recording are stored", got)
				}
				// What is published there now is a new recording, and has the stream.
				g := a.publish("cam", 4000)
				g.run(20 * time.Second)
				if id := a.bucket.names("cam"); id == now || id == old || !strings.Contains(a.bucket.claim(), `"epoch":3,"node":"a"`) {
					t.Errorf("then the entry names %s, claim %s", id, a.bucket.claim())
				}
				if err := a.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// An encoder that moves away and back within the grace begins a new recording each time: the one before has been ended in the bucket.
func TestEncoderComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, unused *rig) {
		a, b := unused.server("a"), unused.server("b")
		a.start()
		b.start()
		e := a.publish("cam", 4000)
		e.run(20 * time.Second)
		first := a.bucket.names("cam")
		e.s.Close(errCut)
		f := b.publish("cam", 4000)
		f.run(20 * time.Second)
		second := a.bucket.names("cam")
		f.s.Close(errCut)
		g := a.publish("cam", 4000)
		g.run(20 * time.Second)
		third := string(a.reg.Timeline("live", "cam").Recording())
		if list := a.bucket.entries("cam"); first == second || first == third || len(list) != 3 || list[2].id != third {
			t.Errorf("the entry named %v", list)
		}
		for _, id := range []string{first, second} {
			if !a.bucket.list("live/streams/cam/" + id + "/live.m3u8").EndList {
				t.Errorf("the playlist of %s has no end", id)
			}
		}
		if !strings.Contains(a.bucket.claim(), `"epoch":3,"node":"a"`) {
			t.Errorf("claim %s", a.bucket.claim())
		}
		g.end()
		time.Sleep(2 * time.Minute)
		a.settled(time.Minute)
		b.settled(time.Minute)
		if !strings.Contains(a.bucket.claim(), `"state":"ended"`) {
			t.Errorf("claim %s", a.bucket.claim())
		}
		if n := a.mirror.Stats().Recordings.Load() + b.mirror.Stats().Recordings.Load(); n != 0 {
			t.Errorf("%d recordings are still at work", n)
		}
		if err := errors.Join(a.stop(), b.stop()); err != nil {
			t.Error(err)
		}
	})
}

// Of two servers that an encoder pushes to at once the later has the stream. The other finds that out when its own entry changes, and
// stands down for good: its own viewers still have it.
func TestEncoderPushesToBoth(t *testing.T) {
	bubble(t, func(t *testing.T, unused *rig) {
		a, b := unused.server("a"), unused.server("b")
		a.start()
		b.start()
		e := a.publish("cam", 4000)
		e.run(20 * time.Second)
		f := b.publish("cam", 4000)
		together := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
				e.frame()
				f.frame()
			}
		}
		together(20 * time.Second)
		first, second := string(a.reg.Timeline("live", "cam").Recording()), string(b.reg.Timeline("live", "cam").Recording())
		e.unit = bytes.Repeat([]byte{0x55}, 40000) // BANDWIDTH rises
		together(20 * time.Second)
		if list := a.bucket.entries("cam"); len(list) != 2 || list[1].id != second {
			t.Errorf("the entry named %v", list)
		}
		if n := a.mirror.Stats().StoodDown.Load(); n != 1 {
			t.Errorf("%d recordings stood down", n)
		}
		before, _ := a.bucket.object("live/streams/cam/" + first + "/live.m3u8")
		segments := len(a.bucket.keysIn("live/streams/cam/" + first))
		together(20 * time.Second)
		after, _ := a.bucket.object("live/streams/cam/" + first + "/live.m3u8")
		if string(after.body) != string(before.body) {
			t.Errorf("its playlist was written:\n%s", after.body)
		}
		if n := len(a.bucket.keysIn("live/streams/cam/" + first)); n < segments+8 {
			t.Errorf("%d segments of it are stored, %d before: they go up all the same", n, segments)
		}
		if s := a.reg.Timeline("live", "cam").Snapshot(); string(s.Recording) != first || len(s.Live.Body) == 0 || s.Next() < 35 {
			t.Errorf("its viewers have %s up to %d", s.Recording, s.Next())
		}
		if err := errors.Join(a.stop(), b.stop()); err != nil {
			t.Error(err)
		}
	})
}

// A publish costs the bucket a few requests more, and nothing after that but two when an entry is replaced, as here once: its average rate is
// known better then.
func TestClaimsCostLittle(t *testing.T) {
	requests := func(node string) (publish, rest int) {
		bubble(t, func(t *testing.T, unused *rig) {
			a := unused.server(node)
			a.start()
			time.Sleep(time.Second)
			begun := a.bucket.requests()
			e := a.publish("cam", 4000)
			e.run(10 * time.Second)
			publish = a.bucket.requests() - begun
			e.run(time.Minute)
			rest = a.bucket.requests() - begun - publish
			e.end()
			time.Sleep(20 * time.Second)
			a.settled(time.Minute)
			publish += a.bucket.requests() - begun - publish - rest
			if err := a.stop(); err != nil {
				t.Error(err)
			}
		})
		return publish, rest
	}
	publish, rest := requests("a")
	without, steady := requests("")
	t.Logf("%d requests more for a publish, %d more in a minute", publish-without, rest-steady)
	if publish-without > 10 || rest > steady+2 {
		t.Errorf("a publish costs %d requests more, a minute %d", publish-without, rest-steady)
	}
}

// What is in the place of a claim, or keeps it from being read, holds up no playlist for good.
func TestClaimsThatCannotBeHad(t *testing.T) {
	for name, prepare := range map[string]func(r *rig){
		"damaged": func(r *rig) { r.bucket.objects[".cluster/live/cam.json"] = stored{body: []byte("{"), size: 1} },
		"a later version's": func(r *rig) {
			body := []byte(`{"epoch":7,"node":"z","recording":"1999-01-01_00-00-00.000","state":"paused","since":12}`)
			r.bucket.objects[".cluster/live/cam.json"] = stored{body: body, size: int64(len(body))}
		},
		"refused":                func(r *rig) { r.o.Store = &refusesOne{ledger: r.bucket, end: ".json"} },
		"conditions are ignored": func(r *rig) { r.bucket.swaps = false },
		"away at first": func(r *rig) {
			r.fault.set(errAway)
			time.AfterFunc(20*time.Second, func() { r.fault.set(nil) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, unused *rig) {
				a := unused.server("a")
				prepare(a)
				a.start()
				e := a.publish("cam", 4000)
				e.run(40 * time.Second)
				if got, want := a.bucket.names("cam"), string(a.reg.Timeline("live", "cam").Recording()); got != want {
					t.Errorf("the entry names %q, want %q", got, want)
				}
				e.end()
				time.Sleep(20 * time.Second)
				a.settled(time.Minute)
				a.complete(20, 0)
				if err := a.stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Two servers, one encoder that goes from one to the other, cuts between them and the bucket, and starts, in any order: the entry never goes
// back to a recording that was published to before another that it had named.
func TestRandomMoves(t *testing.T) {
	seeds := max(2, int(40*scale()))
	for seed := range uint64(seeds) {
		bubble(t, func(t *testing.T, unused *rig) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			both := []*rig{unused.server("a"), unused.server("b")}
			for _, r := range both {
				r.start()
			}
			var moves []entry // the recording of each publish, and its moment
			at := 0
			var e *encoder
			publish := func() {
				e = both[at].publish("cam", 3000)
				moves = append(moves, entry{"", time.Now()})
			}
			run := func(d time.Duration) {
				e.run(d)
				if line := both[at].reg.Timeline("live", "cam"); line != nil {
					moves[len(moves)-1].id = string(line.Recording())
				}
			}
			for range 40 {
				switch rnd.IntN(6) {
				case 0, 1: // the encoder moves, or is there for the first time
					if e != nil {
						e.s.Close(errCut)
						at = 1 - at
					}
					publish()
				case 2:
					both[rnd.IntN(2)].fault.set(errAway)
				case 3:
					for _, r := range both {
						r.fault.set(nil)
					}
				case 4:
					i := rnd.IntN(2)
					if err := both[i].stop(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Duration(rnd.IntN(20)) * time.Second)
					both[i].start()
					if e != nil && i == at {
						publish()
					}
				}
				if e != nil {
					run(time.Duration(2+rnd.IntN(20)) * time.Second)
				}
			}
			for _, r := range both {
				r.fault.set(nil)
			}
			if e == nil {
				publish()
			}
			run(30 * time.Second)
			e.s.Close(ingest.ErrUnpublished)
			time.Sleep(7 * time.Minute)
			last, named := 0, unused.bucket.entries("cam")
			for _, n := range named {
				published := -1
				for i, m := range moves {
					if m.id == n.id && !m.since.After(n.since) {
						published = i
					}
				}
				if published < last {
					t.Errorf("seed %d: at %v the entry names %s again", seed, n.since, n.id)
				}
				last = max(last, published)
			}
			if t.Failed() {
				t.Errorf("seed %d: it named %v, published were %v", seed, named, moves)
			}
			for _, r := range both {
				if n := r.conflicts(); n > 0 {
					t.Errorf("seed %d: %d conflicts", seed, n)
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// bodies returns the playlists whose keys contain a text.
func (l *ledger) bodies(text string) map[string]string {
	all := map[string]string{}
	for _, key := range l.keys(".m3u8") {
		if o, ok := l.object(key); ok && strings.Contains(key, text) {
			all[key] = string(o.body)
		}
	}
	return all
}

// A ladder moves as a whole: its own playlists, those of its rungs, the low-latency ones and those of CMAF.
func TestLadderMoves(t *testing.T) {
	bubble(t, func(t *testing.T, unused *rig) {
		a, b := unused.server("a"), unused.server("b")
		for _, r := range []*rig{a, b} {
			withCMAF(r)
			r.groups, r.low = map[string][]string{"show": {"high", "low"}}, true
		}
		push := func(r *rig, d time.Duration) {
			high, low := r.publish("high", 4000), r.publish("low", 2000)
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
				high.frame()
				low.frame()
			}
			if r == b {
				high.end()
				low.end()
			}
		}
		a.start()
		stopA := a.ladders()
		b.start()
		stopB := b.ladders()
		push(a, 20*time.Second)
		first := a.bucket.names("high")
		a.fault.set(errAway)
		stopA()
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		push(b, 20*time.Second)
		old := a.bucket.bodies(first)
		if len(old) < 10 {
			t.Errorf("the bucket has %d playlists of the first recording", len(old))
		}
		for key, body := range old {
			if n, _ := segmenter.ParseName(key); (n.Kind == segmenter.KindLive || n.Kind == segmenter.KindLowLatency || n.Kind == segmenter.KindTrackLive) && !strings.HasSuffix(body, m3u8.EndList) {
				t.Errorf("%s has no end", key)
			}
		}
		entries := func() map[string]string {
			all := map[string]string{}
			for key, body := range a.bucket.bodies("live/streams/") {
				if n, _ := segmenter.ParseName(key); n.Recording == "" {
					all[key] = body
				}
			}
			return all
		}
		now := entries()
		for key, body := range now {
			if strings.Contains(body, first) {
				t.Errorf("%s is the first server's", key)
			}
		}
		if len(now) < 3*3 {
			t.Errorf("%d entries: %v", len(now), a.bucket.keys(".m3u8"))
		}
		a.fault.set(nil)
		a.start()
		stopA = a.ladders()
		time.Sleep(30 * time.Second)
		if later := entries(); !maps.Equal(now, later) {
			t.Errorf("entries were written again:\n%v\nbefore:\n%v", later, now)
		}
		if later := a.bucket.bodies(first); !maps.Equal(old, later) {
			t.Errorf("playlists of the first recording were written again: %d, %d before", len(later), len(old))
		}
		if n := a.mirror.Stats().StoodDown.Load(); n != 3 {
			t.Errorf("%d stood down, want the ladder and its rungs", n)
		}
		for _, name := range []string{"show", "high", "low"} {
			if o, _ := a.bucket.object(".cluster/live/" + name + ".json"); !strings.Contains(string(o.body), `"epoch":2,"node":"b"`) {
				t.Errorf("claim to %s: %s", name, o.body)
			}
		}
		time.Sleep(10 * time.Minute) // all is over
		b.settled(time.Minute)
		stopA()
		stopB()
		for _, name := range []string{"show", "high", "low"} {
			if o, _ := a.bucket.object(".cluster/live/" + name + ".json"); !strings.Contains(string(o.body), `"state":"ended"`) {
				t.Errorf("claim to %s in the end: %s", name, o.body)
			}
		}
		if err := errors.Join(a.stop(), b.stop()); err != nil {
			t.Error(err)
		}
	})
}

// A server that lost its name, with the file that has it, is not another server for what it finds in its spool.
func TestServerLosesItsName(t *testing.T) {
	bubble(t, func(t *testing.T, unused *rig) {
		a := unused.server("a")
		a.start()
		a.publish("cam", 4000).run(20 * time.Second)
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		for _, a.node = range []string{"b", "c"} { // it may happen again
			a.start()
			a.publish("cam", 4000).run(20 * time.Second)
			if err := a.stop(); err != nil {
				t.Fatal(err)
			}
		}
		a.node = "d"
		a.start()
		time.Sleep(10 * time.Minute)
		a.settled(time.Minute)
		if n := a.mirror.Stats().StoodDown.Load(); n != 0 {
			t.Errorf("%d stood down", n)
		}
		if lists, keys := a.archives(); len(lists) != 1 || !lists[0].EndList {
			t.Errorf("%v", keys)
		}
		if !strings.Contains(a.bucket.claim(), `"state":"ended"`) {
			t.Errorf("claim %s", a.bucket.claim())
		}
		if err := a.stop(); err != nil {
			t.Error(err)
		}
	})
}
