package rig

import (
	"context"
	"fmt"
	"path"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// Peek is a reader that looks at every moment: it loads every playlist of some streams again and again, and each must be playable as found,
// and never go back.
type Peek struct {
	v       *Vault
	streams []string
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	reads  int
	faults []string
	there  map[string]bool        // objects seen to exist: nothing is ever removed
	last   map[string]*m3u8.Media // by key
}

// PeekAt reads every 50 ms until the test ends or stop is called.
func (v *Vault) PeekAt(streams ...string) *Peek {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Peek{v: v, streams: streams, cancel: cancel, done: make(chan struct{}), there: map[string]bool{}, last: map[string]*m3u8.Media{}}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, s := range p.streams {
				p.look(s)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	v.T.Cleanup(p.stop)
	return p
}

func (p *Peek) stop() {
	p.cancel()
	<-p.done
}

// Good stops, and fails the test for every fault.
func (p *Peek) Good() {
	p.v.T.Helper()
	p.stop()
	for _, f := range p.faults {
		p.v.T.Error(f)
	}
	p.v.T.Logf("%d playlists read from the bucket, %d faults", p.reads, len(p.faults))
}

// Count returns how many playlists the reader has looked at.
func (p *Peek) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads
}

func (p *Peek) fault(format string, args ...any) {
	if len(p.faults) < 50 {
		p.faults = append(p.faults, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
	}
}

func (p *Peek) look(stream string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := EntryKey(stream)
	body, _, ok := p.v.Get(key)
	if !ok {
		return
	}
	p.reads++
	m, err := m3u8.ParseMaster(body)
	if err != nil {
		p.fault("%s: %v", key, err)
		return
	}
	live := path.Join(path.Dir(key), m.Variants[0].URI)
	p.media(live)
	p.media(ArchiveKey(stream, path.Base(path.Dir(live))))
}

func (p *Peek) media(key string) {
	body, _, ok := p.v.Get(key)
	if !ok {
		if path.Base(key) == "live.m3u8" {
			p.fault("the entry names %s, which is not there", key)
		}
		return
	}
	p.reads++
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		p.fault("%s: %v\n%s", key, err, body)
		return
	}
	for i := range m.Segments {
		at := path.Join(path.Dir(key), m.Segments[i].URI)
		if m.Segments[i].Gap || p.there[at] {
			continue
		}
		if p.there[at] = p.v.Has(at); !p.there[at] {
			p.fault("%s names %s, which is not there", key, at)
		}
	}
	if old := p.last[key]; old != nil && (m.MediaSequence < old.MediaSequence || m.DiscontinuitySequence < old.DiscontinuitySequence ||
		old.EndList && !m.EndList || m.MediaSequence+uint64(len(m.Segments)) < old.MediaSequence+uint64(len(old.Segments))) {
		p.fault("%s went back: %d+%d, discontinuities %d, end %v; was %d+%d, %d, %v", key, m.MediaSequence, len(m.Segments), m.DiscontinuitySequence,
			m.EndList, old.MediaSequence, len(old.Segments), old.DiscontinuitySequence, old.EndList)
	}
	p.last[key] = m
}
