package gate_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/gate"
	"github.com/hlsorigin/hlsorigin/storage/ladder"
	"github.com/hlsorigin/hlsorigin/storage/mirror"
	"github.com/hlsorigin/hlsorigin/storage/spool"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

var (
	cam   = segmenter.Key{App: "live", Stream: "cam"}
	show  = segmenter.Key{App: "live", Stream: "show"}
	rungs = []string{"show_high", "show_mid", "show_low"}
)

// peers answers for every node by its address.
type peers map[string]func() (bool, error)

var (
	errRefused = errors.New("connection refused")
	errReset   = errors.New("reset")
)

func (p peers) Fed(_ context.Context, address, _, _ string) (bool, error) {
	if f := p[address]; f != nil {
		return f()
	}
	return false, errRefused
}

// server is one of several on a bucket.
type server struct {
	t      *testing.T
	node   string
	ahead  time.Duration // of its clock
	store  *storetest.Faulty
	reg    *segmenter.Registry
	mirror *mirror.Mirror
	dir    string                       // of the spool
	disk   atomic.Pointer[func() error] // asked before the spool's disk does anything; nil: it works
	spool  *spool.Spool
	gate   *gate.Gate
	took   []gate.Taken
	loses  atomic.Int64 // recordings that it was about to let go of
	twin   twin
	end    func()
}

// begin starts a server with a spool of its own; it ends with the test.
func begin(t *testing.T, bucket storage.Store, node string, p peers) *server {
	t.Helper()
	return beginWith(t, bucket, node, p, false)
}

// beginWith is begin; rich: with low latency and CMAF.
func beginWith(t *testing.T, bucket storage.Store, node string, p peers, rich bool) *server {
	t.Helper()
	return beginGroups(t, bucket, node, p, rich, map[string][]string{"show": rungs})
}

// beginGroups is beginWith with ladders of one's own.
func beginGroups(t *testing.T, bucket storage.Store, node string, p peers, rich bool, groups map[string][]string) *server {
	t.Helper()
	return beginAll(t, bucket, node, p, rich, groups, 0)
}

// beginAt is begin with a clock that is ahead.
func beginAt(t *testing.T, bucket storage.Store, node string, p peers, ahead time.Duration) *server {
	t.Helper()
	return beginAll(t, bucket, node, p, false, map[string][]string{"show": rungs}, ahead)
}

func beginAll(t *testing.T, bucket storage.Store, node string, p peers, rich bool, groups map[string][]string, ahead time.Duration) *server {
	t.Helper()
	now := func() time.Time { return time.Now().Add(ahead) }
	s := &server{t: t, node: node, ahead: ahead, store: storetest.NewFaulty(bucket)}
	s.reg = segmenter.NewRegistry(segmenter.Options{
		Apps: map[string]segmenter.AppOptions{"live": {SegmentDuration: 2 * time.Second, Window: 20 * time.Second, TargetDuration: 2 * time.Second, LowLatency: rich, PartDuration: map[string]time.Duration{"b": 2 * time.Second}[node],
			Groups: groups, Audio: true}}, Confirmed: true,
		Now: now,
	})
	log := slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(t.Output(), nil)).With("at", node)
	}
	over := make(chan mirror.Notice, 64)
	s.dir = t.TempDir()
	s.spool = spool.New(spool.Options{Dir: s.dir, Sync: spool.Never, FS: spool.FS{
		ReadDir: func(dir string) ([]fs.DirEntry, error) {
			if err := s.fails(); err != nil {
				return nil, err
			}
			return os.ReadDir(dir)
		},
		Mkdir: func(dir string) error {
			if err := s.fails(); err != nil {
				return err
			}
			return os.Mkdir(dir, 0o750)
		},
	}})
	s.mirror = mirror.New(mirror.Options{Now: now, CMAF: func(string) bool { return rich }, Store: s.store, Spool: s.spool, Log: log, Tell: func(n mirror.Notice) {
		if n.Kind == mirror.StoodDown {
			over <- n
		}
	}})
	s.mirror.Name(claim.Server{Node: node, Address: "http://" + node})
	if _, err := s.mirror.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.gate = gate.New(gate.Options{Registry: s.reg, Mirror: s.mirror, Store: s.store, Peer: p, Twin: &s.twin, Log: log, Now: now, Took: func(n gate.Taken) { s.took = append(s.took, n) },
		Loses: func(key segmenter.Key, id segmenter.RecordingID) {
			if s.loses.Add(1); s.reg.Recording(key.App, key.Stream, id) == nil {
				t.Errorf("%s: viewers do without %s of %s before it is said that it is let go of", node, id, key)
			}
		},
		Others: func() (all []claim.Server) {
			for address := range p {
				if name := strings.TrimPrefix(address, "http://"); name != node {
					all = append(all, claim.Server{Node: name, Address: address})
				}
			}
			return all
		}})
	ctx, cancel := context.WithCancel(t.Context())
	done, ticked := make(chan error, 3), make(chan struct{})
	go func() { done <- s.mirror.Run(ctx, s.reg) }()
	go func() { done <- ladder.New(s.mirror, s.reg).Run(ctx) }()
	go func() { done <- s.gate.Run(ctx) }()
	go func() {
		defer close(ticked)
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case n := <-over: // as the server does
				s.gate.Lost(ctx, n.Key, n.Recording, n.Node)
			case <-tick.C:
				s.reg.Expire(now())
			}
		}
	}()
	s.end = func() {
		cancel()
		<-ticked
		if err := errors.Join(<-done, <-done, <-done); err != nil {
			t.Error(err)
		}
		s.end = func() {}
	}
	p["http://"+node] = func() (bool, error) { // as package peer does
		for _, key := range s.reg.Publishers() {
			if p, ok := s.reg.Publisher(key); ok && time.Since(p.LastFrame) < 2*time.Second {
				return true, nil
			}
		}
		return s.gate.Coming(cam) || s.gate.Coming(show), nil
	}
	synctest.Wait() // the mirror runs
	return s
}

// fails is why the spool's disk does nothing.
func (s *server) fails() error {
	if disk := s.disk.Load(); disk != nil {
		return (*disk)()
	}
	return nil
}

// reads checks that a server reads every segment that the bucket has as it is there, though its spool may have the number with other bytes.
func (s *server) reads(bucket *storetest.Memory) {
	s.t.Helper()
	for _, key := range storetest.Keys(s.t, bucket, "") {
		n, ok := segmenter.ParseName(key)
		if !ok || n.Kind != segmenter.KindSegment || !s.mirror.Stored(cam, n.Recording, n.Sequence) {
			continue
		}
		f, _, err := s.spool.Open(key)
		if err != nil {
			continue
		}
		body, err := io.ReadAll(f)
		f.Close()
		if err != nil || !bytes.Equal(body, storetest.Read(s.t, bucket, key, 0, -1)) {
			s.t.Errorf("%s has other bytes in the spool of %s: %v", key, s.node, err)
		}
	}
}

// die leaves of a server what a power cut leaves: nothing that anybody could ask, and nothing more in the bucket.
func (s *server) die(p peers) {
	s.store.Set(storetest.Fault{Err: errors.New("dead")})
	delete(p, "http://"+s.node)
	s.end()
}

// encoder publishes one picture a second, every second one a keyframe.
type encoder struct {
	s     ingest.Session
	t     *testing.T
	track *ingest.Track
	n     int64
	ahead time.Duration // of the server's clock
	unit  []byte
	cut   atomic.Pointer[error] // why it was sent away; nil: it was not
}

// told is what it was told when it was sent away.
func (e *encoder) told() error {
	if err := e.cut.Load(); err != nil {
		return *err
	}
	return nil
}

var sps = []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60}

// publish begins to push; the error is the refusal.
func (s *server) publish() (*encoder, error) { return s.publishAs("cam") }

// publishAs is publish of another stream.
func (s *server) publishAs(stream string) (*encoder, error) {
	e := &encoder{t: s.t, ahead: s.ahead, unit: bytes.Repeat([]byte{byte(s.node[0])}, 2000),
		track: &ingest.Track{Codec: ingest.H264, SPS: [][]byte{sps}, PPS: [][]byte{{0x68, 0xee, 0x3c, 0x80}}, Width: 1280, Height: 720, FrameRate: 1, Alone: true}}
	var err error
	e.s, err = s.gate.Publish(s.t.Context(), ingest.Announce{
		App: "live", Stream: stream, Protocol: "test", Remote: "192.0.2.1:5000", Identity: "me", Cancel: func(err error) { e.cut.Store(&err) },
	})
	return e, err
}

// admitted is publish where nobody is refused.
func (s *server) admitted() *encoder {
	s.t.Helper()
	e, err := s.publish()
	if err != nil {
		s.t.Fatalf("%s refuses: %v", s.node, err)
	}
	return e
}

func (e *encoder) run(d time.Duration) {
	e.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end) && e.told() == nil; time.Sleep(time.Second) {
		e.unit[0] = 0x41
		if e.n%2 == 0 {
			e.unit[0] = 0x65
		}
		binary.BigEndian.PutUint64(e.unit[1:], 0x0101010101010101+uint64(e.n)<<8)
		dts := e.n * ingest.Clock
		if err := e.s.WriteFrame(&ingest.Frame{Track: e.track, PTS: dts, DTS: dts, Key: e.n%2 == 0, Units: [][]byte{e.unit}, Arrival: time.Now().Add(e.ahead)}); err != nil {
			if e.told() == nil {
				e.t.Fatal(err)
			}
			return
		}
		e.n++
	}
}

// end says goodbye, and waits until the recording has ended and is stored.
func (e *encoder) end(s *server) {
	e.t.Helper()
	e.s.Close(ingest.ErrUnpublished)
	time.Sleep(time.Minute)
	ctx, cancel := context.WithTimeout(e.t.Context(), time.Minute)
	defer cancel()
	if err := s.mirror.Flush(ctx); err != nil {
		e.t.Error(err)
	}
}

func media(t *testing.T, store storage.Getter, key string) *m3u8.Media {
	t.Helper()
	m, err := m3u8.ParseMedia(storetest.Read(t, store, key, 0, -1))
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return m
}

func held(t *testing.T, store storage.Getter) claim.Claim {
	t.Helper()
	c, _, err := claim.Read(t.Context(), store, claim.Key("live", "cam"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// archives are the timestamped playlists of the stream, in order.
func archives(t *testing.T, store *storetest.Memory) (lists []*m3u8.Media, names []string) {
	t.Helper()
	ids, err := storage.Archives(t.Context(), store, cam)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		lists, names = append(lists, media(t, store, "live/streams/cam-"+string(id)+".m3u8")), append(names, string(id))
	}
	return lists, names
}

// whole fails the test unless the timestamped playlists are finished, name one number after another from 0 on, and only what is there.
func whole(t *testing.T, store *storetest.Memory, breaks int) (segments int) {
	t.Helper()
	lists, names := archives(t, store)
	keys := storetest.Keys(t, store, "")
	var end time.Time
	for i, m := range lists {
		if !m.EndList || m.Type != m3u8.VOD || m.MediaSequence != uint64(segments) {
			t.Errorf("%s: type %v, end %v, begins with %d, want %d", names[i], m.Type, m.EndList, m.MediaSequence, segments)
		}
		for _, s := range m.Segments {
			if s.Discontinuity {
				breaks--
			}
			if s.Gap || !slices.Contains(keys, path.Join("live/streams", s.URI)) {
				t.Errorf("%s: %s is not there", names[i], s.URI)
			}
			if s.ProgramDateTime.Before(end.Add(-50 * time.Millisecond)) {
				t.Errorf("%s: %s begins at %v, the one before it ends at %v", names[i], s.URI, s.ProgramDateTime, end)
			}
			end = s.ProgramDateTime.Add(time.Duration(s.Duration) * 100000 / 9)
		}
		segments += len(m.Segments)
	}
	if breaks != 0 {
		t.Errorf("%d discontinuities too few", breaks)
	}
	return segments
}

func bubble(t *testing.T, fn func(t *testing.T, store *storetest.Memory, p peers)) {
	synctest.Test(t, func(t *testing.T) { fn(t, &storetest.Memory{Now: time.Now}, peers{}) })
}

// A server dies, and another goes on with its recording: the same numbers, one discontinuity, nothing twice.
func TestOwnerDies(t *testing.T) {
	for _, runs := range []time.Duration{6 * time.Second, 30 * time.Second, 10 * time.Minute} {
		t.Run(fmt.Sprint(runs), func(t *testing.T) {
			bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
				a, b := begin(t, store, "a", p), begin(t, store, "b", p)
				defer b.end()
				a.admitted().run(runs)
				id := string(a.reg.Timeline("live", "cam").Recording())
				a.die(p)
				live := "live/streams/cam/" + id + "/live.m3u8"
				before := media(t, store, live)

				e := b.admitted()
				e.run(20 * time.Second)
				synctest.Wait()
				if got := string(b.reg.Timeline("live", "cam").Recording()); got != id {
					t.Fatalf("%s goes on, want %s", got, id)
				}
				after := media(t, store, live)
				if c := held(t, store); c.Epoch != 2 || c.Node != "b" || c.Recording != id || c.State != claim.Live {
					t.Errorf("%+v", c)
				}
				if after.TargetDuration != before.TargetDuration || after.MediaSequence < before.MediaSequence || after.MediaSequence+uint64(len(after.Segments)) <= before.MediaSequence+uint64(len(before.Segments))+6 {
					t.Errorf("%d+%d, then %d+%d", before.MediaSequence, len(before.Segments), after.MediaSequence, len(after.Segments))
				}
				viewed := b.reg.Timeline("live", "cam").Snapshot()
				if m, err := m3u8.ParseMedia(viewed.Live.Body); err != nil || m.MediaSequence+uint64(len(m.Segments)) != after.MediaSequence+uint64(len(after.Segments)) ||
					m.MediaSequence < after.MediaSequence || m.MediaSequence > after.MediaSequence+1 { // it is written when a segment is confirmed, and they are shown it then
					t.Errorf("viewers have\n%s\nthe bucket\n%s", viewed.Live.Body, after.Append(nil))
				}
				e.end(b)
				n := whole(t, store, 1)
				if want := int(runs/time.Second)/2 + 10; n < want-2 || n > want {
					t.Errorf("%d segments, want %d", n, want)
				}
				if lists, names := archives(t, store); len(lists) != 2 || names[0] != id {
					t.Errorf("timestamped playlists %v", names)
				}
				if c := held(t, store); c.State != claim.Ended {
					t.Errorf("%+v", c)
				}
				if len(b.took) != 1 || b.took[0].From.Node != "a" || b.gate.Stats().Takeovers.Load() != 1 {
					t.Errorf("%+v", b.took)
				}
				if n := b.mirror.Stats().Recordings.Load(); n != 0 {
					t.Errorf("%d recordings are still at work", n)
				}
			})
		})
	}
}

// The same with low latency and CMAF: all their playlists end with the recording, and name what is there.
func TestOwnerOfAllPackagingsDies(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := beginWith(t, store, "a", p, true), beginWith(t, store, "b", p, true)
		defer b.end()
		a.admitted().run(time.Minute)
		id, parts := string(a.reg.Timeline("live", "cam").Recording()), a.reg.Timeline("live", "cam").Snapshot().PartTarget
		a.die(p)
		e := b.admitted()
		e.run(20 * time.Second)
		if got := string(b.reg.Timeline("live", "cam").Recording()); got != id {
			t.Fatalf("%s goes on, want %s", got, id)
		}
		if got := b.reg.Timeline("live", "cam").Snapshot().PartTarget; parts == 0 || got != parts {
			t.Errorf("PART-TARGET was %d ticks, and is %d", parts, got)
		}
		e.end(b)
		whole(t, store, 1)
		dir := "live/streams/cam/" + id + "/"
		for _, name := range []string{"live.m3u8", "ll.m3u8", "v/live.m3u8"} {
			if m := media(t, store, dir+name); !m.EndList || m.MediaSequence+uint64(len(m.Segments)) < 39 {
				t.Errorf("%s: end %v, %d+%d", name, m.EndList, m.MediaSequence, len(m.Segments))
			}
		}
		keys, next := storetest.Keys(t, store, ""), uint64(0)
		_, names := archives(t, store)
		for _, name := range names {
			m := media(t, store, dir+"v/"+name+".m3u8")
			if m.MediaSequence != next || !m.EndList {
				t.Errorf("%s of the tracks begins with %d, want %d; end %v", name, m.MediaSequence, next, m.EndList)
			}
			for _, s := range m.Segments {
				if s.Gap || !slices.Contains(keys, path.Join(dir, "v", s.URI)) {
					t.Errorf("%s names %s", name, s.URI)
				}
			}
			next += uint64(len(m.Segments))
		}
	})
}

// What was stored and not listed when the server died is taken up.
func TestUnlistedSegmentsAreAdopted(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer b.end()
		e := a.admitted()
		e.run(20 * time.Second)
		a.store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpPut}, Err: errors.New("dead"), Match: func(_ storetest.Op, key string) bool { return strings.HasSuffix(key, ".m3u8") }})
		e.run(6 * time.Second)
		a.die(p)
		f := b.admitted()
		f.run(20 * time.Second)
		f.end(b)
		if n := whole(t, store, 1); n != 23 && n != 22 {
			t.Errorf("%d segments", n)
		}
	})
}

// What was stored and not listed may be of a server that had the recording before the one that died, and of another encoder: it begins with a
// discontinuity where its time stamps do not go on.
func TestUnlistedSegmentsOfAnotherEncoder(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer b.end()
		a.admitted().run(20 * time.Second)
		line := a.reg.Timeline("live", "cam")
		a.die(p)
		m := media(t, store, "live/streams/cam/"+string(line.Recording())+"/live.m3u8")
		name := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: line.Recording()}
		earlier := name
		name.Sequence, earlier.Sequence = m.MediaSequence+uint64(len(m.Segments)), 2
		if _, err := store.Put(t.Context(), name.String(), bytes.NewReader(storetest.Read(t, store, earlier.String(), 0, -1)), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		f := b.admitted()
		f.run(20 * time.Second)
		f.end(b)
		if n := whole(t, store, 2); n < 18 || n > 21 {
			t.Errorf("%d segments", n)
		}
		lists, _ := archives(t, store)
		if first := lists[0]; !first.Segments[len(first.Segments)-1].Discontinuity {
			t.Error("what another encoder has sent follows without a discontinuity")
		}
	})
}

// A server that is alive and fed keeps its stream; one that has lost its encoder gives it to the server that it has gone to, and back.
func TestOwnerIsAsked(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer a.end()
		defer b.end()
		e := a.admitted()
		e.run(20 * time.Second)
		id := a.reg.Timeline("live", "cam").Recording()
		_, err := b.publish()
		var refusal *ingest.Refusal
		if !errors.As(err, &refusal) || refusal.Kind != ingest.NameTaken || !strings.Contains(refusal.Reason, "server a ") || b.gate.Stats().Refused.Load() != 1 {
			t.Errorf("%v", err)
		}
		for i, s := range []*server{b, a, b} {
			e.s.Close(errors.New("reset"))
			time.Sleep(time.Second)
			e = s.admitted()
			e.run(20 * time.Second)
			if got := s.reg.Timeline("live", "cam").Recording(); got != id {
				t.Errorf("%s goes on, want %s", got, id)
			}
			if c := held(t, store); c.Epoch != uint64(i)+2 || c.Node != s.node {
				t.Errorf("%+v", c)
			}
		}
		if line := a.reg.Timeline("live", "cam"); line != nil {
			t.Errorf("the former owner's viewers are shown %v", line.Snapshot().State)
		}
		e.end(b)
		if n := whole(t, store, 3); n < 38 {
			t.Errorf("%d segments", n)
		}
	})
}

// A former owner that comes back from a cut, with its encoder, writes no playlist and sends the encoder away; here it is refused until the
// owner has lost its own.
func TestFormerOwnerComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer a.end()
		defer b.end()
		e := a.admitted()
		e.run(20 * time.Second)
		a.store.Set(storetest.Fault{Err: errors.New("away")})
		reach := p["http://a"]
		delete(p, "http://a")
		f := b.admitted()
		for range 10 {
			e.run(time.Second)
			f.run(time.Second)
		}
		a.store.Set()
		p["http://a"] = reach
		for range 30 {
			e.run(time.Second)
			f.run(time.Second)
		}
		var refusal *ingest.Refusal
		if !errors.As(e.told(), &refusal) || refusal.Kind != ingest.NameTaken || !strings.Contains(refusal.Reason, "server b ") {
			t.Errorf("its encoder is told %v", e.told())
		}
		if line := a.reg.Timeline("live", "cam"); line != nil {
			t.Errorf("its viewers are shown %v", line.Snapshot().State)
		}
		if _, err := a.publish(); !errors.As(err, &refusal) || refusal.Kind != ingest.NameTaken {
			t.Errorf("%v", err)
		}
		if n := b.mirror.Stats().StoodDown.Load(); n != 0 {
			t.Errorf("the owner stood down %d times", n)
		}
		a.reads(store)
		b.reads(store)
		f.end(b)
		lists, _ := archives(t, store)
		gaps := 0
		for _, m := range lists {
			for _, s := range m.Segments {
				if s.Gap {
					gaps++
				}
			}
			if !m.EndList {
				t.Errorf("%+v", m)
			}
		}
		if len(lists) != 2 || gaps > 4 { // numbers that the former owner sent first
			t.Errorf("%d playlists, %d gaps", len(lists), gaps)
		}
	})
}

// Of a stream that is fed the claim is read when its entry is replaced, and not else.
func TestFedStreamIsNotLookedAt(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a := begin(t, store, "a", p)
		defer a.end()
		e := a.admitted()
		e.run(20 * time.Second)
		a.store.Set(storetest.Fault{Match: func(_ storetest.Op, key string) bool { return key == claim.Key("live", "cam") }})
		e.run(20 * time.Second)
		if n := a.store.Hits(); n > 2 { // when its entry is replaced
			t.Errorf("its claim was read or written %d times", n)
		}
		e.s.Close(errors.New("reset"))
		time.Sleep(10 * time.Second)
		if n := a.store.Hits(); n < 8 || n > 12 {
			t.Errorf("without a publisher, %d times", n)
		}
	})
}

// A rung goes where its ladder is, if that is fed there.
func TestRungOfALadderElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		b := begin(t, store, "b", p)
		defer func() { b.end() }()
		push := func() error {
			s, err := b.gate.Publish(t.Context(), ingest.Announce{App: "live", Stream: "show_low", Protocol: "test", Remote: "192.0.2.1:5000", Cancel: func(error) {}})
			if err == nil {
				s.Close(ingest.ErrUnpublished)
			}
			return err
		}
		claimed := func(state, node string) {
			c := `{"epoch":7,"node":"` + node + `","address":"http://z","recording":"2000-01-01_00-00-00.000","state":"` + state + `"}`
			if _, err := store.Put(t.Context(), claim.Key("live", "show"), strings.NewReader(c), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
		}
		answers := func(fed bool) { p["http://z"] = func() (bool, error) { return fed, nil } }
		answers(true)
		claimed("live", "z")
		var refusal *ingest.Refusal
		if err := push(); !errors.As(err, &refusal) || refusal.Kind != ingest.NameTaken || !strings.Contains(refusal.Reason, "ladder show") || !strings.Contains(refusal.Reason, "server z ") || b.gate.Stats().Refused.Load() != 1 {
			t.Errorf("%v", err)
		}
		for what, change := range map[string]func(){
			"has no publisher": func() { claimed("live", "z"); answers(false) },
			"is gone":          func() { claimed("live", "z"); delete(p, "http://z") },
			"has ended it":     func() { claimed("ended", "z"); answers(true) },
			"is this one":      func() { claimed("live", "b"); answers(true) },
		} {
			if change(); push() != nil {
				t.Errorf("where the server that had the ladder %s, the rung is refused", what)
			}
		}
	})
}

// A server whose disk fails or hangs goes on with another's recording from memory, as it begins new ones, and says so; with a disk again the
// spool has what comes then.
func TestTakeoverWithoutADisk(t *testing.T) {
	for name, disk := range map[string]func(healed <-chan struct{}) error{
		"broken":    func(<-chan struct{}) error { return syscall.EIO },
		"read-only": func(<-chan struct{}) error { return syscall.EROFS },
		"no folder": func(<-chan struct{}) error { return syscall.ENOTDIR },
		"hangs": func(healed <-chan struct{}) error {
			<-healed
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
				a := begin(t, store, "a", p)
				a.admitted().run(20 * time.Second)
				id := held(t, store).Recording
				a.die(p)
				b := begin(t, store, "b", p)
				defer func() { b.end() }()
				healed := make(chan struct{})
				fails := func() error { return disk(healed) }
				b.disk.Store(&fails)
				e := b.admitted()
				e.run(40 * time.Second)
				if now := held(t, store); now.Recording != id || now.Node != "b" || len(b.took) != 1 || b.gate.Stats().Failed.Load() != 0 {
					t.Fatalf("%+v, was %s; %+v", now, id, b.took)
				}
				live := media(t, store, "live/streams/cam/"+id+"/live.m3u8")
				if n := live.MediaSequence + uint64(len(live.Segments)); n < 27 {
					t.Errorf("the bucket has the numbers before %d", n)
				}
				if h := b.mirror.Health(); name != "hangs" && (len(h) != 1 || h[0].Kind != "disk" || !strings.Contains(h[0].Text, "the spool's disk has failed")) {
					t.Errorf("%+v", h)
				}
				b.disk.Store(nil)
				close(healed)
				e.run(time.Minute)
				if h := b.mirror.Health(); len(h) != 0 || b.spool.Stats().Files.Load() == 0 {
					t.Errorf("%+v, %d files", h, b.spool.Stats().Files.Load())
				}
				e.end(b)
				if n := whole(t, store, 1); n < 57 {
					t.Errorf("%d segments", n)
				}
			})
		})
	}
}

// Where the disk has what the server had of a recording before, and does not let it be put aside, the recording does not go on there: the next start
// would find it. Who publishes is told so, and not that the bucket is away.
func TestTakeoverOverWhatTheDiskKeeps(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer func() { b.end() }()
		eb := b.admitted()
		eb.run(20 * time.Second)
		eb.s.Close(errors.New("reset"))
		synctest.Wait() // what it has is stored: b lives, and would send it beside a
		id := held(t, store).Recording
		a.admitted().run(20 * time.Second)
		synctest.Wait()
		if now := held(t, store); now.Recording != id || now.Node != "a" {
			t.Fatalf("%+v, was %s", now, id)
		}
		a.die(p)
		inTheWay := filepath.Join(b.dir, ".aside")
		if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := b.publish()
		var refused *ingest.Refusal
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "the server a") || strings.Contains(err.Error(), "bucket") {
			t.Errorf("%v", err)
		}
		if st := b.gate.Stats(); st.Failed.Load() != 1 || st.Unknown.Load() != 0 {
			t.Errorf("%d failed, %d unknown", st.Failed.Load(), st.Unknown.Load())
		}
		key := segmenter.Key{App: "live", Stream: "cam"}
		if b.gate.Coming(key) || !b.gate.Taking(key) {
			t.Errorf("claimed, and not taken up: coming %v, taking %v", b.gate.Coming(key), b.gate.Taking(key))
		}
		if err := os.Remove(inTheWay); err != nil {
			t.Fatal(err)
		}
		e := b.admitted()
		if b.gate.Taking(key) {
			t.Error("it is taken up")
		}
		e.run(20 * time.Second)
		if now := held(t, store); now.Recording != id || now.Node != "b" {
			t.Errorf("%+v, was %s", now, id)
		}
		e.end(b)
		whole(t, store, 2)
	})
}

// Where it cannot be known who has a stream, nobody is admitted, and the encoder tries again.
func TestBucketIsAway(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a := begin(t, store, "a", p)
		defer a.end()
		for name, fault := range map[string]storetest.Fault{"fails": {Err: errors.New("away")}, "hangs": {Hang: true}} {
			a.store.Set(fault)
			begun := time.Now()
			_, err := a.publish()
			var refusal *ingest.Refusal
			if !errors.As(err, &refusal) || refusal.Kind != ingest.Overloaded || time.Since(begun) > 6*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(begun))
			}
		}
		a.store.Set()
		e := a.admitted()
		e.run(20 * time.Second)
		a.store.Set(storetest.Fault{Err: errors.New("away")})
		e.s.Close(errors.New("reset"))
		f := a.admitted() // its recording runs here: nobody is asked
		f.run(10 * time.Second)
		a.store.Set(storetest.Fault{Hang: true})
		f.s.Close(errors.New("reset"))
		begun := time.Now()
		f = a.admitted()
		if took := time.Since(begun); took > 1500*time.Millisecond {
			t.Errorf("who comes back waits %v for a bucket that is away", took)
		}
		f.run(10 * time.Second)
		a.store.Set()
		f.end(a)
		if n := whole(t, store, 2); n < 19 {
			t.Errorf("%d segments", n)
		}
	})
}

// What has ended, or what nobody was shown, is not gone on with.
func TestNewRecording(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, store *storetest.Memory, a *server, p peers){
		"it ended": func(_ *testing.T, _ *storetest.Memory, a *server, _ peers) {
			e := a.admitted()
			e.run(20 * time.Second)
			e.end(a)
		},
		"nothing was listed": func(t *testing.T, store *storetest.Memory, a *server, p peers) {
			c := `{"epoch":7,"node":"z","address":"http://z","recording":"1999-01-01_00-00-00.000","state":"live"}`
			if _, err := store.Put(t.Context(), claim.Key("live", "cam"), strings.NewReader(c), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
		},
		"its playlist has an end": func(t *testing.T, store *storetest.Memory, a *server, p peers) {
			a.admitted().run(20 * time.Second)
			key := "live/streams/cam/" + string(a.reg.Timeline("live", "cam").Recording()) + "/live.m3u8"
			a.die(p)
			body := string(storetest.Read(t, store, key, 0, -1)) + m3u8.EndList
			if _, err := store.Put(t.Context(), key, strings.NewReader(body), storage.Attributes{}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
				a, b := begin(t, store, "a", p), begin(t, store, "b", p)
				defer func() { a.end() }()
				defer b.end()
				before(t, store, a, p)
				was := held(t, store)
				e := b.admitted()
				e.run(20 * time.Second)
				now := held(t, store)
				if now.Recording == was.Recording || now.Node != "b" || now.Epoch != was.Epoch+1 || len(b.took) != 0 {
					t.Errorf("%+v, then %+v, took %v", was, now, b.took)
				}
				if m := media(t, store, "live/streams/cam/"+was.Recording+"/live.m3u8"); !m.EndList {
					t.Error("the recording before has no end")
				}
				e.end(b)
			})
		})
	}
}

// An entry that another server has written with the same bytes has the same ETag: a server that does not know yet that another has its stream
// writes none over it all the same.
func TestEntryWithTheSameBytes(t *testing.T) {
	bubble(t, func(t *testing.T, store *storetest.Memory, p peers) {
		a, b := begin(t, store, "a", p), begin(t, store, "b", p)
		defer func() { a.end() }()
		defer func() { b.end() }()
		old := a.admitted()
		old.run(20 * time.Second)
		entry := "live/streams/cam.m3u8"
		before := string(storetest.Read(t, store, entry, 0, -1))
		delete(p, "http://a")
		wrote := 0
		a.store.Set(storetest.Fault{Ops: []storetest.Op{storetest.OpPut}, Match: func(_ storetest.Op, key string) bool { return strings.HasSuffix(key, "/live.m3u8") }, Err: errors.New("away")},
			storetest.Fault{Ops: []storetest.Op{storetest.OpPut}, Match: func(_ storetest.Op, key string) bool {
				if key == entry {
					wrote++
				}
				return false
			}})
		e := b.admitted() // its recording, and nothing to write yet
		if got := string(storetest.Read(t, store, entry, 0, -1)); got != before {
			t.Fatalf("the other server's entry is\n%s\nit was\n%s", got, before)
		}
		old.run(2 * time.Second) // what it was told of the claim is older than that by now
		before, wrote = string(storetest.Read(t, store, entry, 0, -1)), 0
		old.unit = bytes.Repeat([]byte{'a'}, 60_000) // more than the entry says
		old.run(10 * time.Second)
		if got := string(storetest.Read(t, store, entry, 0, -1)); wrote != 0 || got != before {
			t.Errorf("%d playlists and entries were written by the one that has lost the stream:\n%s", wrote, got)
		}
		e.run(10 * time.Second)
		e.end(b)
	})
}
