// Package shared writes the playlists of streams into one store that several servers may write to: each only over what this server has written
// or read there, and, of a stream that can be claimed, for as long as it is this server's. It binds packages claim, fence and recheck. It
// refuses to know what a playlist says and when one is due, to carry segments, and to decide what becomes of a recording whose stream another
// server has.
package shared

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/fence"
	"github.com/hlsorigin/hlsorigin/storage/recheck"
)

// ErrAnother means that a playlist was not written because another server has the stream. Test with errors.Is.
var ErrAnother = errors.New("another server has the stream")

// Hold is what is known of the claim to a stream, or to a ladder, in one store.
type Hold uint8

// The states of a claim. From Closed on another server has the stream for good.
const (
	Unread Hold = iota // nothing: no playlist is written yet
	Ours               // no other server has the stream, or there are no claims
	Past               // another had it later: its entries stay
	Closed             // another has it, with a newer recording, and has ended this one here: only its timestamped playlist is still written
	Lost               // another has it: no playlist is written any more
)

// Options of a Store.
type Options struct {
	Store  storage.Putter
	Log    *slog.Logger
	Now    func() time.Time
	Pauses storage.RetryOptions // between two attempts to find out whether the store keeps to conditions
	Takes  func() bool          // whether the store has taken anything else since the start
}

// Store is a store that several servers may write to. Fence and Rechecks are those that all its playlists go through. It is safe for concurrent
// use, but for Name, and for any one key by one writer at a time.
type Store struct {
	Fence    *fence.Fence
	Rechecks *recheck.Playlists

	o      Options
	server claim.Server
	silent atomic.Bool // that streams cannot be claimed was logged
}

// New returns one in which nothing is claimed; see Name.
func New(o Options) *Store {
	s := &Store{o: o, Fence: fence.New(o.Store, o.Log)}
	s.Rechecks = recheck.New(o.Store, o.Log, o.Now, s.Fence.Wrote)
	return s
}

// Name says under which name this server claims streams. Without it, it claims none. It is called before anything else.
func (s *Store) Name(server claim.Server) { s.server = server }

// Run finds out whether the store keeps to conditions, and looks again after writes that may still arrive, until ctx ends.
func (s *Store) Run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { s.Rechecks.Run(ctx) })
	both.Go(func() { s.probe(ctx) })
	both.Wait()
}

// probe finds out whether the store keeps to conditions. It asks until it knows, and holds up nothing.
func (s *Store) probe(ctx context.Context) {
	if s.server.Node == "" {
		return
	}
	for n := 1; ; n++ {
		err := s.Fence.Probe(ctx, storage.Shared+s.server.Node+".probe")
		if err == nil || ctx.Err() != nil {
			return
		}
		if storage.KindOf(err) == storage.Permanent && s.Takes() {
			s.o.Log.Warn("it cannot be found out whether the store keeps to conditional writes, which keep two servers apart: allow these credentials to write and read below "+storage.Shared, "err", err)
			return
		}
		timer := time.NewTimer(s.o.Pauses.Backoff(n))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Takes reports whether the store has taken anything since the start. One that takes nothing is said to, and asked again.
func (s *Store) Takes() bool { return s.o.Takes() }

// Tenure returns a recording's hold on its stream; nil where there are no claims.
func (s *Store) Tenure(key segmenter.Key, id segmenter.RecordingID) *claim.Tenure {
	store, ok := storage.As[claim.Store](s.o.Store)
	if !ok || s.server.Node == "" {
		return nil
	}
	return claim.New(store, s.server, key.App, key.Stream, string(id), s.o.Log)
}

// Claims reports whether claims count in the store.
func (s *Store) Claims(t *claim.Tenure) bool { return t != nil && s.Fence.Fitness() != fence.Unfit }

// Unclaimed logs once that streams cannot be claimed.
func (s *Store) Unclaimed(err error) {
	if s.silent.CompareAndSwap(false, true) {
		s.o.Log.Warn("this server cannot say in the store which streams it has, so another server there will not know: allow these credentials to read and write below "+storage.Shared, "err", err)
	}
}

// Reads reports whether the store can be read at all.
func (s *Store) Reads() bool {
	_, ok := storage.As[storage.Getter](s.o.Store)
	return ok
}

// Has reports whether the store has an object. One that cannot be read has none.
func (s *Store) Has(ctx context.Context, key string) (bool, error) {
	store, ok := storage.As[storage.Getter](s.o.Store)
	if !ok {
		return false, nil
	}
	_, err := store.Stat(ctx, key)
	switch {
	case storage.KindOf(err) == storage.Missing:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("stat %s: %w", key, err)
	}
	return true, nil
}

// Had is Has for who does without an answer: it is sure where asking again cannot help.
func (s *Store) Had(ctx context.Context, key string) (there, sure bool) {
	there, err := s.Has(ctx, key)
	kind := storage.KindOf(err)
	return there, kind != storage.Transient && kind != storage.Cancelled
}

// Writing says of a playlist in whose name it is written.
type Writing struct {
	Owner recheck.Owner // who is told of writes that may still arrive
	Fresh bool          // nobody ever had its name: nothing is there

	Tenure *claim.Tenure               // nil: there are no claims
	Asked  time.Time                   // when the store last said that the stream is this server's
	Mine   func(context.Context) error // see fence.Fence.Put
}

// Write writes a playlist.
func (s *Store) Write(ctx context.Context, key string, body []byte, a storage.Attributes, w Writing) error {
	if w.Fresh {
		s.Fence.Fresh(key)
	}
	if n, _ := segmenter.ParseName(key); alike(n.Kind) && w.Tenure != nil && !recent(s.o.Now().Sub(w.Asked)) {
		s.Fence.Again(key)
	}
	if err := s.Fence.Put(ctx, key, body, a, w.Mine); err != nil {
		if storage.KindOf(err) == storage.Transient && !errors.Is(err, ErrAnother) { // which the fence finds out before it sends anything
			s.Rechecks.Doubt(key, body, w.Owner)
		}
		return err
	}
	s.Rechecks.Written(key, body, a, w.Owner)
	return nil
}

// alike reports whether two servers may write the same bytes under a name of a kind, so that the fence does not tell: a stable entry says what a
// stream consists of, and not what it has.
func alike(kind segmenter.Kind) bool {
	return kind == segmenter.KindEntry || kind == segmenter.KindLowLatencyEntry || kind == segmenter.KindCMAFEntry
}

// askedFor is for how long an answer about a claim counts where such an object is written. A process that has slept finds its answer older than
// that.
const askedFor = time.Second

// recent reports whether an answer of that age still counts. One from the future does not: the clock was set back.
func recent(age time.Duration) bool { return age >= 0 && age <= askedFor }
