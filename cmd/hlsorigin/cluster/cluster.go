// Package cluster makes a server one of several that share a bucket: it says there who it is, answers the others and asks them, and turns
// publishers away when the server is drained. It refuses to decide which server has a stream: that stands in the bucket.
package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
	"github.com/hlsorigin/hlsorigin/origin/peer"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/pair"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Options of a Cluster. Settings, Registry, Next and Now are required; the rest where Settings say that there is a cluster.
type Options struct {
	Settings configs.Cluster
	Version  string
	Registry *segmenter.Registry
	Next     ingest.Publisher // behind the Door
	Store    storage.Store    // what the servers share
	Media    http.Handler     // answers what viewers ask for from what this server has itself
	// TakeoverAfter is how long a publisher of an app may be silent.
	TakeoverAfter func(app string) time.Duration
	// Coming reports whether a publisher of a stream or ladder is being admitted: he counts as one who feeds it.
	Coming func(segmenter.Key) bool
	// Unsent is how many bytes of a recording the store has not confirmed.
	Unsent func(segmenter.Key, segmenter.RecordingID) int64
	// Standbys is how many publishers stand by on this server, and how many of them are silent; Dismiss sends them away, because it is drained.
	// Nil: none does.
	Standbys func() (all, silent int)
	Dismiss  func()

	Now  func() time.Time
	Log  *slog.Logger
	Warn func(kind, who, msg string, args ...any) // turns many calls into few lines; nil: nothing is said
}

// Cluster is this server's part in a cluster. Where there is none it has a Door, and all else does nothing. It is safe for concurrent use.
type Cluster struct {
	*Door
	o        Options
	secrets  *peer.Secrets
	client   *peer.Client
	server   *peer.Server
	instance string
	started  time.Time

	mu       sync.Mutex
	name     string // of this server; see Begin
	enrolled bool   // the store has its entry

	table table
}

// New makes a Cluster. It starts nothing, and touches no network.
func New(o Options) *Cluster {
	c := &Cluster{Door: newDoor(&o), o: o, instance: strings.ToLower(rand.Text()[:16]), started: o.Now()}
	if !c.On() {
		return c
	}
	if c.o.Warn == nil {
		c.o.Warn = func(string, string, string, ...any) {}
	}
	c.secrets = peer.NewSecrets(string(o.Settings.Secret), o.Now)
	c.client = peer.NewClient(c.secrets)
	c.server = peer.NewServer(peer.Options{
		Self: c.self, Stream: c.stream, Pair: c.pair, Media: o.Media, Watch: c.watch, Secrets: c.secrets, Now: o.Now, Log: o.Log, Warn: c.o.Warn, Settle: listen.Settle,
	})
	return c
}

// On reports whether there is a cluster.
func (c *Cluster) On() bool { return c.o.Settings.On() }

// Client asks other servers; nil where there is no cluster.
func (c *Cluster) Client() *peer.Client { return c.client }

// Fed reports whether a publisher feeds a stream on the server at an address, and how many bytes of it that server has not sent to the bucket
// yet. The error means that no server of the cluster answers there, or that ctx ended. One that answers, and will not say, counts as one that
// feeds it: nobody may take from it what it may have.
func (c *Cluster) Fed(ctx context.Context, address, app, stream string) (fed bool, unsent int64, err error) {
	st, err := c.client.State(ctx, address, app, stream)
	switch {
	case err == nil:
		return st.Fed, st.Unsent, nil
	case errors.Is(err, peer.ErrAway), ctx.Err() != nil:
		return false, 0, err
	}
	c.o.Warn("cluster-state", address, "another server of the cluster does not say whether a stream is fed there, so publishers of it are sent there: correct what is wrong with it", "address", address, "error", err)
	return true, 0, nil
}

// Alive returns an error if no server of the cluster answers at an address before ctx ends: one that is asleep, or behind a network that
// swallows what is sent to it, takes connections or packets and says nothing. One that will not say who it is lives.
func (c *Cluster) Alive(ctx context.Context, address string) error {
	if _, err := c.client.Node(ctx, address); errors.Is(err, peer.ErrAway) || ctx.Err() != nil {
		return err
	}
	return nil
}

// Name is this server's name; "" before Begin.
func (c *Cluster) Name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.name
}

// SetSecret changes the secret. The one before counts for a while, too.
func (c *Cluster) SetSecret(secret string) {
	if c.On() {
		c.secrets.Set(secret)
	}
}

// Serve answers the other servers until ctx is done. It closes l.
func (c *Cluster) Serve(ctx context.Context, l net.Listener) error { return c.server.Serve(ctx, l) }

// Held is how many answers to other servers wait for a change.
func (c *Cluster) Held() int {
	if !c.On() {
		return 0
	}
	return c.server.Held()
}

// refreshEvery is how often the other servers are looked at.
const refreshEvery = 10 * time.Second

// Run keeps the Door, and looks at the other servers, until ctx is done. The error is that another server has this one's name, which could
// not be found out at the start.
func (c *Cluster) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Door.run(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()
	if !c.On() {
		<-ctx.Done()
		return nil
	}
	defer c.client.Close()
	t := time.NewTicker(refreshEvery)
	defer t.Stop()
	for {
		c.refresh(ctx, listEvery)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := c.enrolLater(ctx); err != nil {
			return err
		}
	}
}

// self is what this server says of itself.
func (c *Cluster) self() peer.Node {
	_, draining := c.Door.Drained()
	standbys, silent := c.standing()
	return peer.Node{
		Node: c.Name(), Address: c.o.Settings.Address, Version: c.o.Version, Instance: c.instance, Started: c.started.UTC(),
		Streams: len(c.o.Registry.Publishers()), Standbys: standbys, Silent: silent, Draining: draining,
	}
}

// stream is what this server knows of a stream, or of a ladder: that is fed where one of its rungs is, and sent when all of them are.
func (c *Cluster) stream(app, name string) (st peer.State) {
	key, now := segmenter.Key{App: app, Stream: name}, c.o.Now()
	if t := c.o.Registry.Timeline(app, name); t != nil {
		st.Recording = string(t.Recording())
	}
	keys := []segmenter.Key{key}
	if w, ok := c.o.Registry.Whole(key); ok && w.Key == key {
		for _, stream := range w.Streams {
			keys = append(keys, segmenter.Key{App: app, Stream: stream})
		}
	}
	st.Fed = c.o.Coming != nil && c.o.Coming(key)
	for _, k := range keys {
		if t := c.o.Registry.Timeline(app, k.Stream); t != nil {
			st.Unsent += c.o.Unsent(k, t.Recording())
		}
		if p, ok := c.o.Registry.Publisher(k); ok && st.Remote == "" && now.Sub(p.LastFrame) < c.o.TakeoverAfter(app) {
			st.Fed, st.Remote, st.Since = true, p.Remote, p.Since.UTC()
		}
	}
	return st
}

// pair is what a server that stands by is told.
func (c *Cluster) pair(app, name string, step bool) (any, bool) {
	p, ok := c.o.Registry.Report(segmenter.Key{App: app, Stream: name}, step)
	if !ok {
		return nil, false
	}
	_, p.Leaving = c.Door.Drained()
	p.Fed = c.stream(app, name).Fed
	return p, true
}

// Report asks the server at an address, for this one, which stands by, how far it is with a stream; see peer.Client.Pair.
func (c *Cluster) Report(ctx context.Context, address, app, stream string, step bool) (p pair.Report, ok bool, err error) {
	ok, err = c.client.Pair(ctx, address, app, stream, step, &p, pair.MaxBytes)
	return p, ok, err
}

// maxSegment bounds what is read of a segment to find out where it differs, bytes.
const maxSegment = 64 << 20

// Segment gets a segment from the server at an address.
func (c *Cluster) Segment(ctx context.Context, address string, name segmenter.Name) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/"+name.String(), nil)
	if err != nil {
		return nil, err
	}
	res, err := c.client.HTTP().Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: it answers %s", name, res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxSegment))
}

// watch returns what is closed when the answer at a path may be another.
func (c *Cluster) watch(path string) []<-chan struct{} {
	n, ok := segmenter.ParseName(strings.TrimPrefix(path, "/"))
	if !ok {
		return nil
	}
	began := c.o.Registry.Changed() // first: a recording that begins meanwhile is noticed
	t := c.o.Registry.Timeline(n.App, n.Stream)
	if n.Recording != "" {
		t = c.o.Registry.Recording(n.App, n.Stream, n.Recording)
	}
	if t == nil {
		return []<-chan struct{}{began}
	}
	all := []<-chan struct{}{changed(t, n.Kind), began}
	if n.Kind == segmenter.KindDASHEntry || n.Kind == segmenter.KindLowLatencyDASH || n.Kind == segmenter.KindDASHArchive { // a ladder's lists what its rungs have
		for _, r := range c.o.Registry.Rungs(t.Key()) {
			if rung := c.o.Registry.Timeline(n.App, r.Stream); rung != nil {
				all = append(all, changed(rung, n.Kind))
			}
		}
	}
	return all
}

// changed is closed when what a kind of object is made of is not the newest of a timeline any more.
func changed(t *segmenter.Timeline, kind segmenter.Kind) <-chan struct{} {
	snap := t.Snapshot()
	switch kind {
	case segmenter.KindLowLatency, segmenter.KindLowLatencyDASH, segmenter.KindTrackLive:
		return snap.Advanced()
	}
	return snap.Changed()
}
