// Package hooks sets up the webhooks for the command: which events of streams and archive they receive, where their queue is, how many
// events they accepted. It refuses to know how events are sent, and how they come about.
package hooks

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/origin/webhook"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/watch"
	"github.com/hlsorigin/hlsorigin/storage/outbox"
)

// Hooks are the webhooks of a server.
type Hooks struct {
	*webhook.Hooks
	log   *slog.Logger
	spool configs.Spool
	box   *outbox.Box // nil: the queue is in memory only
}

// New returns the webhooks of the configuration. It uses neither disk nor network.
func New(cfg configs.Config, version string, log *slog.Logger) (*Hooks, error) {
	log = log.With("part", "webhooks")
	h := &Hooks{Hooks: webhook.New(webhook.Options{Now: time.Now, Log: log, UserAgent: "hlsorigin/" + version}), log: log, spool: cfg.Spool}
	commit, err := h.Prepare(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	commit()
	return h, nil
}

// Prepare checks the webhooks of a new configuration. commit replaces the current ones with them; the queue stays.
func (h *Hooks) Prepare(_ context.Context, cfg configs.Config) (commit func(), err error) {
	list := make([]webhook.Target, len(cfg.Webhooks))
	for i, w := range cfg.Webhooks {
		list[i] = webhook.Target{URL: string(w.URL), Secret: string(w.Secret), Events: w.Events, Format: w.Format, Keep: w.Keep.Std()}
	}
	return h.Hooks.Prepare(list)
}

// queueFile is the path of the queue under spool.dir.
const queueFile = ".hooks/queue"

// Open opens the queue that an earlier process left beside the spool. The spool must be locked.
func (h *Hooks) Open() {
	if h.spool.Dir == "" {
		return
	}
	path := filepath.Join(h.spool.Dir, filepath.FromSlash(queueFile))
	box, found, err := outbox.Open(outbox.Options{Path: path, Sync: h.spool.Fsync != "never"})
	switch {
	case errors.Is(err, outbox.ErrLater):
		h.log.Error("the queue of webhooks was written by another version: it is left as it is, and events are kept in memory until then; bring that version, or remove the file",
			"file", path, "error", err)
		return
	case err != nil:
		h.log.Error("the queue of webhooks cannot be read or written: events are kept in memory, and those that wait are lost with this process; check spool.dir and start again", "error", err)
		return
	}
	if found.Damaged > 0 {
		h.log.Warn("lines of the queue of webhooks are damaged, as a crash leaves one: the events in them are lost or sent again", "file", path, "lines", found.Damaged)
	}
	h.box = box
	h.Restore(box, found.Records)
}

// Run reports what happens to the streams, and sends, until ctx ends; what is due then is still sent for a moment.
func (h *Hooks) Run(ctx context.Context, reg *segmenter.Registry) error {
	send, stop := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan error, 1)
	go func() {
		defer stop()
		watched <- watch.Run(ctx, reg, h.stream)
	}()
	err := errors.Join(h.Hooks.Run(send), <-watched)
	if h.box != nil {
		err = errors.Join(err, h.box.Close())
	}
	return err
}
