package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/peer"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/fence"
	"github.com/hlsorigin/hlsorigin/storage/roster"
)

// startTimeout bounds what a start waits for the store.
const startTimeout = 5 * time.Second

// Begin finds out whether the store can keep servers apart, and writes there who this one is. name is what it is called from now on. The
// server must answer the others already. A store that is away is no error: Run goes on trying.
func (c *Cluster) Begin(ctx context.Context, name string) error {
	c.mu.Lock()
	c.name = name
	c.mu.Unlock()
	if !c.On() {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := c.enrol(limited)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case refused(err):
		return err
	case err != nil:
		c.o.Log.Warn("the bucket does not answer as it should, so this server cannot be one of its cluster yet: it goes on trying, and publishers are refused until then", "error", err)
	}
	return nil
}

// enrolLater does what Begin could not. Its error is one that ends the server.
func (c *Cluster) enrolLater(ctx context.Context) error {
	c.mu.Lock()
	done := c.enrolled
	c.mu.Unlock()
	if done {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := c.enrol(limited)
	switch {
	case refused(err):
		return err
	case err == nil:
		c.o.Log.Info("the bucket answers: this server is one of its cluster now", "node", c.Name())
	}
	return nil
}

// Reasons for which a server must not be one of a cluster.
var (
	errUnfit = errors.New("the bucket cannot keep servers apart")
	errTwins = errors.New("another server has this one's name")
)

func refused(err error) bool { return errors.Is(err, errUnfit) || errors.Is(err, errTwins) }

// attempts is how often an entry that changes meanwhile is read.
const attempts = 5

// enrol judges the store, and writes this server's entry over what an earlier process of it wrote.
func (c *Cluster) enrol(ctx context.Context) error {
	name := c.Name()
	f := fence.New(c.o.Store, slog.New(slog.DiscardHandler))
	if err := f.Probe(ctx, roster.Scratch(name, c.instance)); err != nil {
		return fmt.Errorf("find out whether the bucket keeps to conditional writes: %w", err)
	}
	if f.Fitness() == fence.Unfit {
		return fmt.Errorf("cluster: %w: it does not keep to conditional writes (%s); take a store that does, see docs/bucket.md, or leave the cluster by removing cluster.secret and give this server a prefix of its own", errUnfit, f.Why())
	}
	own := roster.Entry{Node: name, Address: c.o.Settings.Address, Version: c.o.Version, Instance: c.instance}
	for range attempts {
		was, etag, err := roster.Read(ctx, c.o.Store, name)
		if err != nil && !errors.Is(err, roster.ErrDamaged) {
			return err
		}
		if err == nil && etag != "" && was.Instance != c.instance {
			if err := c.twin(ctx, was); err != nil {
				return err
			}
		}
		switch err := roster.Write(ctx, c.o.Store, own, etag); storage.KindOf(err) {
		case storage.None:
			c.mu.Lock()
			c.enrolled = true
			c.mu.Unlock()
			return nil
		case storage.Changed, storage.Exists: // another start wrote meanwhile
		default:
			return err
		}
	}
	return fmt.Errorf("cluster.node: %w: %s in the bucket changes as often as it is read; give each server a name of its own", errTwins, roster.Key(name))
}

// twin returns an error if the server of an entry runs, and is another than this one.
func (c *Cluster) twin(ctx context.Context, was roster.Entry) error {
	if was.Address == "" {
		return nil
	}
	n, err := c.client.Node(ctx, was.Address)
	switch {
	case errors.Is(err, peer.ErrSecret):
		c.o.Log.Warn("a server answers where this one said at an earlier start that it is, and has another cluster.secret: if it is another of your servers, give each a name and an address of its own", "node", was.Node, "address", was.Address)
	case err == nil && n.Node == was.Node && n.Instance != c.instance:
		return fmt.Errorf("cluster.node: %w: a server that is called %s, too, answers at %s; stop that one, or give each a name of its own", errTwins, was.Node, was.Address)
	}
	return nil
}
