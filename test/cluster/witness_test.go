package cluster

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// witness reads a stream again and again, in the bucket and from each server, and keeps what it has seen: nothing may contradict what was there
// before, and nothing that is named may be missing.
type witness struct {
	v      *rig.Vault
	stream string
	all    []*node
	client http.Client
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	polls   int // of the bucket's playlists
	shown   int // playlists of servers
	faults  []string
	entry   string                 // the newest recording that the bucket's entry named
	there   map[string]bool        // segments seen in the bucket: nothing is ever removed
	content map[string]string      // of segments, by key: the MD5 sum that was seen first, anywhere
	last    map[string]*m3u8.Media // playlists, by who showed it and key
	said    map[string]string      // sketches of them
	shows   map[string][]string    // which were new, with when and who, by key
}

// sketch is what matters of a playlist, in a line.
func sketch(m *m3u8.Media) string {
	gaps := []uint64(nil)
	for i, s := range m.Segments {
		if s.Gap {
			gaps = append(gaps, m.MediaSequence+uint64(i))
		}
	}
	return fmt.Sprintf("%d to %d, gaps %v, discontinuities %d, end %v, target %d", m.MediaSequence, next(m)-1, gaps, m.DiscontinuitySequence, m.EndList, m.TargetDuration)
}

// past is what was last shown of a playlist by all.
func (w *witness) past(key string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.shows[key]
	return strings.Join(all[max(0, len(all)-12):], "\n")
}

// watch begins to read; it ends with the test, or with good.
func watch(t *testing.T, v *rig.Vault, stream string, all []*node) *witness {
	ctx, cancel := context.WithCancel(context.Background())
	w := &witness{
		v: v, stream: stream, all: all, client: http.Client{Timeout: 5 * time.Second}, cancel: cancel,
		there: map[string]bool{}, content: map[string]string{}, last: map[string]*m3u8.Media{},
		said: map[string]string{}, shows: map[string][]string{},
	}
	w.done.Go(func() { w.every(ctx, 50*time.Millisecond, w.lists) })
	w.done.Go(func() { w.every(ctx, time.Second, w.objects) })
	for _, n := range all {
		w.done.Go(func() { w.every(ctx, 20*time.Millisecond, func() { w.ask(ctx, n, false) }) })
		w.done.Go(func() { w.every(ctx, 500*time.Millisecond, func() { w.ask(ctx, n, true) }) })
	}
	t.Cleanup(w.stop)
	return w
}

func (w *witness) every(ctx context.Context, pause time.Duration, look func()) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		look()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (w *witness) stop() {
	w.cancel()
	w.done.Wait()
}

// good stops, and fails the test for every fault.
func (w *witness) good(t *testing.T) {
	t.Helper()
	w.stop()
	w.objects()
	w.written()
	for _, f := range w.faults {
		t.Error(f)
	}
	t.Logf("%d playlists of the bucket and %d of servers, %d segments: %d faults", w.polls, w.shown, len(w.content), len(w.faults))
}

func (w *witness) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) < 50 {
		w.faults = append(w.faults, time.Now().Format("04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// lists reads the playlists of the bucket: the entry, and the playlists of all recordings that it ever named.
func (w *witness) lists() {
	body, _, ok := w.v.Get(rig.EntryKey(w.stream))
	if !ok {
		return
	}
	m, err := m3u8.ParseMaster(body)
	if err != nil {
		w.fault("entry: %v", err)
		return
	}
	id := path.Base(path.Dir(m.Variants[0].URI))
	w.mu.Lock()
	w.polls++
	before := w.entry
	w.entry = max(w.entry, id)
	w.mu.Unlock()
	if id < before {
		w.fault("the entry names %s, and named %s before", id, before)
	}
	for _, key := range []string{rig.LiveKey(w.stream, id), rig.ArchiveKey(w.stream, id)} {
		w.list(key)
	}
}

// list reads one playlist of the bucket.
func (w *witness) list(key string) {
	body, _, ok := w.v.Get(key)
	if !ok {
		if path.Base(key) == "live.m3u8" {
			w.fault("the entry names %s, which is not there", key)
		}
		return
	}
	m := w.compare("the bucket", key, string(body))
	if m == nil {
		return
	}
	w.mu.Lock()
	w.polls++
	w.mu.Unlock()
	for _, s := range m.Segments {
		at := path.Join(path.Dir(key), s.URI)
		w.mu.Lock()
		there := w.there[at]
		w.mu.Unlock()
		if s.Gap || there {
			continue
		}
		if !w.v.Has(at) {
			w.fault("%s names %s, which is not there", key, at)
		}
		w.mu.Lock()
		w.there[at] = true
		w.mu.Unlock()
	}
}

// compare reports where a playlist goes back behind the one before of the same place; nil where it is none.
func (w *witness) compare(who, key, body string) *m3u8.Media {
	m, err := m3u8.ParseMedia([]byte(body))
	if err != nil {
		w.fault("%s, %s: %v\n%s", who, key, err, body)
		return nil
	}
	w.mu.Lock()
	old := w.last[who+key]
	w.last[who+key] = m
	if l := fmt.Sprintf("%s: %v", who, sketch(m)); w.said[who+key] != l {
		w.said[who+key] = l
		w.shows[key] = append(w.shows[key], time.Now().Format("04:05.000 ")+l)
	}
	w.mu.Unlock()
	if old == nil {
		return m
	}
	if m.MediaSequence < old.MediaSequence || next(m) < next(old) || m.DiscontinuitySequence < old.DiscontinuitySequence || old.EndList && !m.EndList || m.TargetDuration != old.TargetDuration {
		w.fault("%s: %s went back: %v; was %v\n%s", who, key, sketch(m), sketch(old), w.past(key))
	}
	for i, s := range old.Segments {
		if n := old.MediaSequence + uint64(i); n >= m.MediaSequence && n < next(m) {
			if x := m.Segments[n-m.MediaSequence]; !s.Gap && !x.Gap && (x.URI != s.URI || x.Duration != s.Duration || x.Discontinuity != s.Discontinuity) {
				w.fault("%s, %s: %+v became %+v", who, key, s, x)
			}
		}
	}
	return m
}

// same reports a number that has two contents.
func (w *witness) same(who, key, sum string) {
	w.mu.Lock()
	was := w.content[key]
	if was == "" {
		w.content[key] = sum
	}
	w.mu.Unlock()
	if was != "" && was != sum {
		w.fault("%s has %s as %s, it was %s", who, key, sum, was)
	}
}

// objects looks at all segments in the bucket.
func (w *witness) objects() {
	err := w.v.Store.List(context.Background(), "live/streams/"+w.stream+"/", func(o storage.Object) error {
		if n, ok := segmenter.ParseName(o.Key); ok && n.Kind == segmenter.KindSegment && o.ETag != "" {
			w.same("the bucket", o.Key, o.ETag)
		}
		return nil
	})
	if err != nil {
		w.fault("list: %v", err)
	}
	ids, err := storage.Archives(context.Background(), w.v.Store, segmenter.Key{App: "live", Stream: w.stream})
	if err != nil {
		w.fault("list: %v", err)
	}
	for _, id := range ids[max(0, len(ids)-3):] { // those before are finished
		w.list(rig.ArchiveKey(w.stream, string(id)))
	}
}

// written looks at what the servers have sent: all that the bucket has taken of one key must be one content.
func (w *witness) written() {
	for _, n := range w.all {
		for _, x := range n.wrote.since(time.Time{}) {
			if name, ok := segmenter.ParseName(x.key); ok && name.Kind == segmenter.KindSegment {
				w.same("what was sent by "+n.name, x.key, x.etag)
			}
		}
	}
}

// once checks that the bucket has taken each segment from one server only, or with one content.
func once(t *testing.T, all []*node) {
	t.Helper()
	by := map[string]written{}
	for _, n := range all {
		for _, x := range n.wrote.since(time.Time{}) {
			if name, ok := segmenter.ParseName(x.key); !ok || name.Kind != segmenter.KindSegment {
				continue
			}
			if was, ok := by[x.key]; ok && was.etag != x.etag {
				t.Errorf("%s was written twice: %v with %s, and %v with %s", x.key, was, was.etag, x, x.etag)
			}
			by[x.key] = x
		}
	}
}

// get reads an object from a server; "" if that does not have it, or does not answer.
func (w *witness) get(ctx context.Context, n *node, key string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.URL(key), nil)
	if err != nil {
		return ""
	}
	res, err := w.client.Do(r)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// ask reads what a server shows its viewers; media says that it reads segments, too.
func (w *witness) ask(ctx context.Context, n *node, media bool) {
	m, err := m3u8.ParseMaster([]byte(w.get(ctx, n, rig.EntryKey(w.stream))))
	if err != nil || len(m.Variants) == 0 {
		return
	}
	live := path.Join(path.Dir(rig.EntryKey(w.stream)), m.Variants[0].URI)
	body := w.get(ctx, n, live)
	if body == "" {
		return
	}
	list := w.compare(n.name+map[bool]string{true: ", with segments"}[media], live, body)
	if list == nil {
		return
	}
	w.mu.Lock()
	w.shown++
	w.mu.Unlock()
	if !media {
		return
	}
	for _, s := range list.Segments[max(0, len(list.Segments)-3):] {
		key := path.Join(path.Dir(live), s.URI)
		if s.Gap {
			continue
		}
		if body := w.get(ctx, n, key); body != "" {
			sum := md5.Sum([]byte(body))
			w.same(n.name, key, hex.EncodeToString(sum[:]))
		}
	}
}
