package gate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// scale shortens the long tests; 1 is their full length.
func scale() float64 {
	if f, err := strconv.ParseFloat(os.Getenv("HLSORIGIN_TEST_SCALE"), 64); err == nil && f > 0 {
		return f
	}
	return 0.06
}

// witness is a bucket that looks at every playlist that is written to it.
type witness struct {
	*storetest.Memory
	t *testing.T

	mu     sync.Mutex // one write after another, so that what was there before is known
	faults []string
	entry  string          // the newest recording that the entry named
	shown  map[string]bool // segments that viewers of any server were shown
}

func (w *witness) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

func (w *witness) get(key string) ([]byte, bool) {
	r, _, err := w.Memory.Get(context.Background(), key, 0, -1)
	if err != nil {
		return nil, false
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	return body, err == nil
}

func (w *witness) Put(ctx context.Context, key string, body io.ReadSeeker, a storage.Attributes) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, was := w.get(key)
	etag, err := w.Memory.Put(ctx, key, body, a)
	after, is := w.get(key)
	if !is || bytes.Equal(before, after) {
		return etag, err
	}
	switch n, _ := segmenter.ParseName(key); n.Kind {
	case segmenter.KindSegment:
		if was {
			w.fault("%s was written over", key)
		}
	case segmenter.KindLive:
		w.look(key, before, after)
	case segmenter.KindEntry:
		m, err := m3u8.ParseMaster(after)
		if err != nil {
			w.fault("%s: %v", key, err)
			break
		}
		id := strings.Split(m.Variants[0].URI, "/")[1]
		if id < w.entry {
			w.fault("%v the entry goes back from %s to %s", time.Now(), w.entry, id)
		}
		w.entry = max(w.entry, id)
	}
	return etag, err
}

// look compares a live playlist with the one before, and with what is there.
func (w *witness) look(key string, before, after []byte) {
	now, err := m3u8.ParseMedia(after)
	if err != nil {
		w.fault("%s: %v", key, err)
		return
	}
	for _, s := range now.Segments {
		if _, ok := w.get(strings.TrimSuffix(key, "live.m3u8") + s.URI); !ok && !s.Gap {
			w.fault("%s names %s", key, s.URI)
		}
	}
	if before == nil {
		return
	}
	was, err := m3u8.ParseMedia(before)
	if err != nil {
		w.fault("%s: %v", key, err)
		return
	}
	end := func(m *m3u8.Media) uint64 { return m.MediaSequence + uint64(len(m.Segments)) }
	if now.MediaSequence < was.MediaSequence || end(now) < end(was) || now.DiscontinuitySequence < was.DiscontinuitySequence || was.EndList && !now.EndList || was.EndList && end(now) != end(was) ||
		now.TargetDuration != was.TargetDuration {
		w.fault("%v %s goes back: %s, was %s", time.Now(), key, brief(now), brief(was))
	}
	for i, s := range was.Segments {
		n := was.MediaSequence + uint64(i)
		if n < now.MediaSequence {
			continue
		}
		if t := now.Segments[n-now.MediaSequence]; !s.Gap && !t.Gap && (s.URI != t.URI || s.Discontinuity != t.Discontinuity) {
			w.fault("%s: %+v became %+v", key, s, t)
		}
	}
}

// brief is a playlist in a line.
func brief(m *m3u8.Media) string {
	text := fmt.Sprintf("target %d, end %v, disc %d, %d:", m.TargetDuration, m.EndList, m.DiscontinuitySequence, m.MediaSequence)
	for _, s := range m.Segments {
		switch {
		case s.Discontinuity && s.Gap:
			text += "D"
		case s.Discontinuity:
			text += "d"
		case s.Gap:
			text += "G"
		default:
			text += "."
		}
	}
	return text
}

// viewed checks that a server's viewers are told nothing else of a number than the bucket has, and that what viewers of any server have been
// shown is no gap for those of another.
func (w *witness) viewed(s *server) {
	line := s.reg.Timeline("live", "cam")
	if line == nil {
		return
	}
	snap := line.Snapshot()
	for i := range snap.Rows {
		r := &snap.Rows[i]
		key := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: snap.Recording, Sequence: r.Sequence}.String()
		if r.Gap && w.shown[key] {
			w.fault("%v %s shows %s as a gap, and viewers have seen it", time.Now(), s.node, key)
		}
		if r.Gap || r.Size == 0 {
			continue
		}
		w.shown[key] = true
		if body, ok := w.get(key); !ok || crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != r.CRC32C {
			w.fault("%v %s shows %s: there %v, with other bytes", time.Now(), s.node, key, ok)
		}
	}
}

// Three servers; two encoders that go from one to another; cuts between servers and bucket, and between servers; deaths. Nothing that a viewer
// or a reader of the bucket sees contradicts what another saw, and in the end one server has the stream, and the bucket all of it.
func TestRandomTrouble(t *testing.T) {
	for seed := range uint64(max(12, 200*scale())) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 15))
			w := &witness{Memory: &storetest.Memory{Now: time.Now}, t: t, shown: map[string]bool{}}
			names, p := []string{"a", "b", "c"}, peers{}
			all := make([]*server, len(names))
			for i, name := range names {
				all[i] = begin(t, w, name, p)
			}
			var answers [3]func() (bool, error)
			for i, name := range names {
				answers[i] = p["http://"+name]
			}
			var e [2]*encoder
			push := func(k, at int) {
				if e[k] != nil {
					e[k].s.Close(errors.New("reset"))
				}
				e[k], _ = all[at].publish()
				if e[k].s == nil {
					e[k] = nil
				}
			}
			for range 30 {
				switch at := rnd.IntN(3); rnd.IntN(9) {
				case 0, 1, 2:
					push(0, at)
				case 3:
					push(1, at)
				case 4:
					all[at].store.Set(storetest.Fault{Err: errors.New("away")})
				case 5:
					for _, s := range all {
						s.store.Set()
					}
				case 6:
					delete(p, "http://"+names[at])
				case 7:
					for i, name := range names {
						p["http://"+name] = answers[i]
					}
				case 8: // it dies, and another process takes its name, without its spool
					all[at].die(p)
					for k := range e {
						if e[k] != nil && e[k].unit[5] == names[at][0] {
							e[k] = nil
						}
					}
					all[at] = begin(t, w, names[at], p)
					answers[at] = p["http://"+names[at]]
				}
				for range 2 + rnd.IntN(10) {
					for k := range e {
						if e[k] != nil && e[k].told() == nil {
							e[k].run(time.Second / 2)
						} else {
							e[k] = nil
						}
					}
					time.Sleep(time.Second)
					for _, s := range all {
						w.viewed(s)
						s.reads(w.Memory)
					}
				}
			}
			for i, s := range all {
				s.store.Set()
				p["http://"+names[i]] = answers[i]
			}
			for k := range e {
				if e[k] != nil {
					e[k].s.Close(errors.New("reset"))
				}
			}
			var last *encoder
			var owner *server
			for try := 0; try < 60 && (last == nil || last.told() != nil); try++ { // as an encoder behind a balancer
				last = nil
				if x, err := all[try%3].publish(); err == nil {
					last, owner = x, all[try%3]
					last.run(30 * time.Second)
				}
				time.Sleep(time.Second)
			}
			if last == nil || last.told() != nil {
				t.Fatalf("seed %d: no server keeps the encoder", seed)
			}
			line := owner.reg.Timeline("live", "cam")
			if line == nil {
				t.Fatalf("seed %d: nothing is on the air", seed)
			}
			id := string(line.Recording())
			if c := held(t, w.Memory); c.Recording != id || c.Node != owner.node {
				t.Errorf("seed %d: %+v, want %s at %s", seed, c, id, owner.node)
			}
			m := media(t, w.Memory, "live/streams/cam/"+id+"/live.m3u8")
			if got, want := m.MediaSequence+uint64(len(m.Segments)), line.Snapshot().Next(); got+1 < want || w.entry != id {
				t.Errorf("seed %d: the bucket has %d of %d, the entry names %s of %s", seed, got, want, w.entry, id)
			}
			last.s.Close(errors.New("reset"))
			for _, s := range all {
				s.end()
			}
			if len(w.faults) > 0 {
				t.Errorf("seed %d: %d faults, the first: %s", seed, len(w.faults), w.faults[0])
			}
		})
		if t.Failed() {
			return
		}
	}
}
