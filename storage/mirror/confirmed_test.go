package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// viewer looks at every playlist that a stream's viewers are shown, where they wait for the first store.
type viewer struct {
	r      *rig
	stream string

	mu                   sync.Mutex
	first, breaks, ended uint64 // of the newest playlist
	id                   segmenter.RecordingID
	looks                int
	late                 int // playlists that had fewer segments than there were
}

// follow looks at each snapshot as it comes, until the result is called.
func (v *viewer) follow() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			changed := v.r.reg.Changed()
			if line := v.r.reg.Timeline("live", v.stream); line != nil {
				s := line.Snapshot()
				v.look(s)
				changed = s.Changed()
				if s.State == segmenter.Ended {
					changed = v.r.reg.Changed()
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func (v *viewer) look(s *segmenter.Snapshot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.looks++
	if s.Unlisted() > 0 {
		v.late++
	}
	if s.Live == nil {
		return
	}
	for _, p := range []*segmenter.Playlist{s.Live, s.Archive()} {
		m, err := m3u8.ParseMedia(p.Body)
		if err != nil {
			v.r.t.Error(err)
			return
		}
		name := segmenter.Name{Kind: segmenter.KindLive, App: "live", Stream: v.stream, Recording: s.Recording}
		if p != s.Live {
			name.Kind = segmenter.KindArchive
		}
		for i := range m.Segments {
			at := path.Join(path.Dir(name.String()), m.Segments[i].URI)
			if _, ok := v.r.bucket.object(at); !ok && !m.Segments[i].Gap {
				v.r.t.Errorf("%s names %s, and the bucket does not have it", name, at)
			}
		}
		if p != s.Live {
			continue
		}
		if s.Recording != v.id {
			v.id, v.first, v.breaks, v.ended = s.Recording, 0, 0, 0
		}
		end := m.MediaSequence + uint64(len(m.Segments))
		if m.MediaSequence < v.first || m.DiscontinuitySequence < v.breaks || end < v.ended {
			v.r.t.Errorf("the playlist goes back: [%d, %d) with %d breaks before it, after [%d, %d) with %d", m.MediaSequence, end, m.DiscontinuitySequence, v.first, v.ended, v.breaks)
		}
		v.first, v.breaks, v.ended = m.MediaSequence, m.DiscontinuitySequence, end
	}
}

// same holds that the bucket has the live playlist that viewers are shown.
func (r *rig) same(stream string) {
	r.t.Helper()
	s := r.reg.Timeline("live", stream).Snapshot()
	n := segmenter.Name{Kind: segmenter.KindLive, App: "live", Stream: stream, Recording: s.Recording}
	if o, ok := r.bucket.object(n.String()); !ok || string(o.body) != string(s.Live.Body) {
		r.t.Errorf("bucket has\n%s\nviewers are shown\n%s", o.body, s.Live.Body)
	}
}

// A segment is listed as soon as the bucket has it, and not before: whether that is quick or slow, and also when it was away.
func TestViewersWaitForTheBucket(t *testing.T) {
	for _, pause := range []time.Duration{0, 300 * time.Millisecond, 2 * time.Second} {
		t.Run(fmt.Sprint(pause), func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.waits = true
				r.fault.Putter = &slowStore{Putter: r.bucket, pause: pause}
				r.start()
				v := &viewer{r: r, stream: "cam"}
				defer v.follow()()
				e := r.publish("cam", 4000)
				e.run(40 * time.Second)
				s := r.reg.Timeline("live", "cam").Snapshot()
				if most := 1 + int(pause/time.Second); s.Unlisted() > most || s.State != segmenter.Live {
					t.Errorf("%v, %d segments are not shown", s.State, s.Unlisted())
				}
				r.fault.set(errAway)
				e.run(60 * time.Second)
				if s = r.reg.Timeline("live", "cam").Snapshot(); s.Unlisted() < 25 {
					t.Errorf("%d segments are not shown while the bucket is away", s.Unlisted())
				}
				r.fault.set(nil)
				e.run(30*time.Second + 20*pause) // it has to catch up
				if s = r.reg.Timeline("live", "cam").Snapshot(); s.Unlisted() > 1+int(pause/time.Second) {
					t.Errorf("%d segments are not shown when it is back", s.Unlisted())
				}
				e.end()
				time.Sleep(40 * time.Second)
				r.settled(60 * time.Second)
				r.complete(65+int(10*pause/time.Second), 0)
				if s = r.reg.Timeline("live", "cam").Snapshot(); s.State != segmenter.Ended || s.Unlisted() != 0 {
					t.Errorf("at the end it is %v, %d segments are not shown", s.State, s.Unlisted())
				}
				r.same("cam")
				if v.late == 0 {
					t.Error("nobody waited for anything")
				}
			})
		})
	}
}

// The bucket's live playlist is the one that viewers are shown, byte for byte, at rest: who is sent from one to the other notices nothing.
func TestTheBucketHasWhatViewersAreShown(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.waits = true
		r.start()
		e := r.publish("cam", 4000)
		e.run(10 * time.Second)
		for round := range 60 {
			switch round {
			case 20:
				r.fault.set(errAway)
			case 30:
				r.fault.set(nil)
				e.run(10 * time.Second)
			}
			e.frame()
			time.Sleep(300 * time.Millisecond)
			synctest.Wait()
			r.same("cam")
			time.Sleep(700 * time.Millisecond)
		}
	})
}

// What was given up while the bucket was away is a gap for viewers, and what comes after it is shown.
func TestViewersSeeWhatWasGivenUpAsGaps(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.waits = true
		r.so.MaxBytes = 200_000
		r.o.MemoryBytes = 100_000
		r.start()
		v := &viewer{r: r, stream: "cam"}
		defer v.follow()()
		e := r.publish("cam", 20_000)
		e.run(20 * time.Second)
		r.fault.set(errAway)
		e.run(100 * time.Second)
		r.fault.set(nil)
		e.run(20 * time.Second)
		e.end()
		time.Sleep(40 * time.Second)
		r.settled(20 * time.Second)
		s := r.reg.Timeline("live", "cam").Snapshot()
		gaps := r.mirror.Stats().Gaps.Load()
		if s.State != segmenter.Ended || s.Unlisted() != 0 || gaps == 0 || int64(s.Gaps) != gaps {
			t.Errorf("%v, %d segments are not shown, %d are gaps; %d were given up", s.State, s.Unlisted(), s.Gaps, gaps)
		}
		r.complete(70, int(gaps))
	})
}

// Servers are stopped and started again while the bucket comes and goes: nothing that viewers are shown goes back, and nothing is lost.
func TestViewersWaitOverRestarts(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				rnd := rand.New(rand.NewPCG(seed, 2))
				r.waits = true
				r.fault.Putter = &slowStore{Putter: r.bucket, pause: time.Duration(rnd.IntN(3000)) * time.Millisecond}
				r.start()
				v := &viewer{r: r, stream: "cam"}
				n := int64(0)
				for range 8 {
					stop := v.follow()
					e := r.publish("cam", 4000)
					e.n = n
					for range 1 + rnd.IntN(4) {
						e.run(time.Duration(1+rnd.IntN(15)) * time.Second)
						r.fault.set([]error{nil, nil, errAway}[rnd.IntN(3)])
					}
					n = e.n
					e.s.Close(errors.New("the server stops"))
					r.reg.Close(false)
					synctest.Wait()
					stop()
					if err := r.stop(); err != nil {
						t.Fatal(err)
					}
					r.start()
				}
				stop := v.follow()
				defer stop()
				r.fault.set(nil)
				e := r.publish("cam", 4000)
				e.n = n
				e.run(30 * time.Second)
				e.end()
				time.Sleep(60 * time.Second)
				r.settled(20 * time.Second)
				s := r.reg.Timeline("live", "cam").Snapshot()
				if s.State != segmenter.Ended || s.Unlisted() != 0 || s.Gaps != 0 {
					t.Errorf("at the end it is %v, %d segments are not shown, %d are gaps", s.State, s.Unlisted(), s.Gaps)
				}
				r.same("cam")
			})
		})
	}
}

// Viewers are shown nothing that a start would not show them again: what the journal does not know of they wait for. For a disk that hangs they
// do not wait, nor for the next segment.
func TestViewersWaitForTheJournal(t *testing.T) {
	for _, tc := range []struct{ write, least, most time.Duration }{
		{0, 0, 10 * time.Millisecond},
		{300 * time.Millisecond, 100 * time.Millisecond, 2 * time.Second},
		{2500 * time.Millisecond, 0, 2100 * time.Millisecond}, // twice as long as a playlist waits, at most: one write may end, and the next begin
		{time.Hour, 0, 1100 * time.Millisecond},
	} {
		t.Run(tc.write.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.waits = true
				var slow atomic.Bool
				free := make(chan struct{})
				r.so.FS.Write = func(f *os.File, p []byte, off int64) error {
					if slow.Load() {
						select {
						case <-time.After(tc.write):
						case <-free:
						}
					}
					_, err := f.WriteAt(p, off)
					return err
				}
				r.start()
				e := r.publish("cam", 4000)
				e.run(20 * time.Second)
				slow.Store(true)
				line := r.reg.Timeline("live", "cam")
				done := make(chan struct{})
				looked := 0
				go func() {
					defer close(done)
					for s := line.Snapshot(); ; s = line.Snapshot() {
						<-s.Changed()
						now := line.Snapshot()
						for n := s.Next(); n < now.Next() && slow.Load(); n++ {
							o, _ := r.bucket.object(segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: now.Recording, Sequence: n}.String())
							if after := time.Since(o.at); after < tc.least || after > tc.most {
								t.Errorf("%d is shown %v after the bucket has it", n, after)
							}
							looked++
						}
						if now.State == segmenter.Ended {
							return
						}
					}
				}()
				e.run(60 * time.Second)
				slow.Store(false)
				close(free)
				e.end()
				time.Sleep(time.Minute)
				<-done
				if looked < 15 {
					t.Errorf("%d segments were looked at", looked)
				}
			})
		})
	}
}

// What the first store refuses for ever is a gap for viewers. The other store has it.
func TestViewersSeeWhatTheFirstStoreRefusesAsAGap(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.waits = true
		replica := newLedger(t)
		r.o.Replica = &slowStore{Putter: replica, pause: 5 * time.Second} // so that it comes after the refusal
		r.start()
		e := r.publish("cam", 4000)
		e.run(9 * time.Second)
		id := r.reg.Timeline("live", "cam").Snapshot().Recording
		key := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: 7}.String()
		if _, err := r.bucket.Put(t.Context(), key, strings.NewReader("another's"), storage.Attributes{}); err != nil {
			t.Fatal(err)
		}
		e.run(31 * time.Second)
		e.end()
		time.Sleep(60 * time.Second)
		r.settled(2 * time.Minute)
		s := r.reg.Timeline("live", "cam").Snapshot()
		if s.Recording != id || s.State != segmenter.Ended || s.Unlisted() != 0 || s.Gaps != 1 || !s.Rows[7].Gap {
			t.Errorf("%v, %d segments are not shown, %d are gaps", s.State, s.Unlisted(), s.Gaps)
		}
		r.complete(20, 1)
		if o, ok := replica.object(key); !ok || o.size < 1000 {
			t.Errorf("the other store has %d bytes", o.size)
		}
		if b := r.mirror.Uploaders()[1].Stats().BacklogSegments.Load(); b != 0 {
			t.Errorf("the other store lacks %d segments", b)
		}
	})
}
