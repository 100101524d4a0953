package webhook

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

// queueLog is the queue on disk. Only the writer uses disk; everything else is guarded by Hooks.mu.
type queueLog struct {
	log     Log  // nil: the queue is only in memory
	rewrite bool // the log does not match the queue
	written int64
	failing time.Time // since when the disk accepts nothing; zero: it works
	again   time.Time // when it is tried next, while it accepts nothing
}

// The log is rewritten when it has at least this many bytes, and less than half of it is needed.
const compactAbove = 256 << 10

// diskRetry is the pause after a disk failure.
const diskRetry = 5 * time.Second

// Restore reads what an earlier process left in a log, and keeps the queue there from now on. It must be called before Run, and after the
// targets are known: what waits for others is dropped.
func (h *Hooks) Restore(log Log, records [][]byte) {
	waiting, next, bad := decode(records)
	h.inbox.mu.Lock()
	for _, e := range h.inbox.items {
		e.n += next - 1
	}
	h.inbox.next += next - 1
	h.inbox.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.disk.log, h.disk.rewrite = log, len(records) > 0
	events, gone := 0, 0
	for _, w := range waiting {
		if n := h.hand(w.item, w.targets); n > 0 {
			events++
		} else {
			gone++
		}
	}
	if bad > 0 {
		h.log.Error("part of the webhooks' queue could not be read: these events are lost", "records", bad)
	}
	if gone > 0 {
		h.log.Warn("events waited for webhooks that are not in the configuration any more: they are given up", "events", gone)
	}
	if events > 0 {
		h.log.Info("events from before the start are sent now", "events", events)
	}
	wake(h.wakeWriter)
	wake(h.wakeSender)
}

// hand puts an event into the lanes of its existing targets, and returns their number. h.mu is held.
func (h *Hooks) hand(e *item, ids []identity) (n int) {
	for _, t := range h.targets {
		if !slices.Contains(ids, t.id) {
			continue
		}
		l := t.lanes[e.Lane]
		if l == nil {
			l = &lane{name: e.Lane}
			t.lanes[e.Lane] = l
			t.order = append(t.order, l)
		}
		l.items = append(l.items, e)
		n++
	}
	if e.waiting = n; n > 0 {
		h.pending += int64(len(e.Body))
	}
	return n
}

// write moves the inbox to the log and into the lanes, until ctx ends and everything emitted by then is there.
func (h *Hooks) write(ctx context.Context) {
	for {
		again := h.writeOnce()
		var alarm <-chan time.Time
		if again > 0 {
			alarm = time.After(again)
		}
		select {
		case <-h.wakeWriter:
		case <-alarm:
		case <-ctx.Done():
			h.writeOnce()
			return
		}
	}
}

// writeOnce writes what there is. If the disk fails, it returns the pause after which to try again.
func (h *Hooks) writeOnce() (again time.Duration) {
	fresh, lost := h.inbox.take()
	if lost > 0 {
		h.log.Error("events came faster than the queue of webhooks is written, and are lost", "events", lost)
	}
	h.mu.Lock()
	now := h.o.Now()
	done := h.done
	h.done = nil
	var records [][]byte
	ids := make([][]identity, len(fresh))
	for i, e := range fresh {
		for _, t := range h.targets {
			if t.wants(e.Type) {
				ids[i] = append(ids[i], t.id)
			}
		}
		if len(ids[i]) > 0 {
			records = append(records, encodeEvent(e, ids[i]))
		}
	}
	for _, d := range done {
		records = append(records, encodeDone(d))
	}
	log, whole := h.disk.log, h.disk.rewrite || h.disk.written > compactAbove && h.live() < h.disk.written/2
	wait := h.disk.again.Sub(now)
	if !h.disk.failing.IsZero() && wait > 0 {
		log, records = nil, nil // everything is in the snapshot that is tried then
	} else if wait = 0; whole {
		records = h.snapshot()
		for i, e := range fresh {
			if len(ids[i]) > 0 {
				records = append(records, encodeEvent(e, ids[i]))
			}
		}
	}
	h.mu.Unlock()

	var err error
	switch {
	case log == nil:
	case whole:
		err = log.Rewrite(records)
	case len(records) > 0:
		err = log.Append(records...)
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	if log != nil {
		h.wrote(records, whole, err, now)
	}
	for i, e := range fresh {
		h.hand(e, ids[i])
		h.kept = max(h.kept, e.n)
	}
	close(h.keeping)
	h.keeping = make(chan struct{})
	h.shed(now)
	if len(fresh) > 0 {
		wake(h.wakeSender)
	}
	if err != nil {
		return diskRetry
	}
	return wait
}

// wrote records the result of a write. h.mu is held.
func (h *Hooks) wrote(records [][]byte, whole bool, err error, now time.Time) {
	d := &h.disk
	if err != nil {
		d.rewrite, d.again = true, now.Add(diskRetry)
		if d.failing.IsZero() {
			d.failing = now
			h.log.Error("the webhooks' queue cannot be written; events are sent from memory, and are lost with this process: check that spool.dir is writable and has room",
				"error", err)
		}
		return
	}
	if !whole && len(records) == 0 {
		return
	}
	if !d.failing.IsZero() {
		h.log.Info("the webhooks' queue is written again", "after", now.Sub(d.failing).Round(time.Millisecond))
		d.failing = time.Time{}
	}
	if whole {
		d.written, d.rewrite = 0, false
	}
	for _, r := range records {
		d.written += int64(len(r))
	}
}

// live estimates how many bytes of the log are needed. h.mu is held.
func (h *Hooks) live() int64 { return 2 * h.pending }

// queued returns every event that waits for a target, in order, with the targets that it waits for. h.mu is held.
func (h *Hooks) queued() []stored {
	all := map[uint64]*stored{}
	for _, t := range h.targets {
		for _, l := range t.order {
			for _, e := range l.items {
				if all[e.n] == nil {
					all[e.n] = &stored{item: e}
				}
				all[e.n].targets = append(all[e.n].targets, t.id)
			}
		}
	}
	list := make([]stored, 0, len(all))
	for s := range maps.Values(all) {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b stored) int { return cmp.Compare(a.n, b.n) })
	return list
}

// snapshot returns the queue as records. h.mu is held.
func (h *Hooks) snapshot() (records [][]byte) {
	for _, s := range h.queued() {
		records = append(records, encodeEvent(s.item, s.targets))
	}
	return records
}

// shed makes room if more waits than allowed: optional events go first, then the oldest. h.mu is held.
func (h *Hooks) shed(now time.Time) {
	if h.pending <= h.o.MaxPending {
		return
	}
	goal := h.o.MaxPending - h.o.MaxPending/8
	over := h.pending - goal
	victims := map[*item]bool{}
	list := h.queued()
	for _, first := range []bool{true, false} {
		for _, s := range list {
			if over > 0 && !victims[s.item] && (optional(s.Type) || !first) {
				victims[s.item] = true
				over -= int64(len(s.Body))
			}
		}
	}
	for _, t := range h.targets {
		n := 0
		for _, l := range t.order {
			keep := 0 // what is in progress stays first
			if l.busy {
				keep = 1
			}
			rest := slices.DeleteFunc(slices.Clone(l.items[keep:]), func(e *item) bool {
				if !victims[e] {
					return false
				}
				if e.waiting--; e.waiting == 0 {
					h.pending -= int64(len(e.Body))
				}
				n++
				return true
			})
			l.items = append(l.items[:keep:keep], rest...)
		}
		t.givenUp(h.log, n, "more wait than there is room for", now)
	}
	h.disk.rewrite = true
	wake(h.wakeWriter)
}
