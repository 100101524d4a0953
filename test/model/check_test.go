package model

import "fmt"

// check is the observer: all viewers of all nodes, and a reader of the bucket who looks at every moment.
type check struct {
	broken  string         // the first contradiction; "": none
	content map[[2]int]int // of each recording and number that a viewer was told of
	entry   int            // the newest recording that the stable entry has led to
	owners  map[int]int    // by epoch: the node whose playlists took effect
	epochs  map[key]int    // by playlist: the newest epoch that wrote it
	newest  int            // epoch that wrote one that goes on
	live    int            // the recording that it wrote
}

func newCheck() check {
	return check{content: map[[2]int]int{}, owners: map[int]int{}, epochs: map[key]int{}, entry: -1}
}

func (c *check) fail(format string, args ...any) {
	if c.broken == "" {
		c.broken = fmt.Sprintf(format, args...)
	}
}

// shown is told what a viewer is told of a number. A gap has no content that could contradict another's.
func (c *check) shown(recording, number, content int) {
	if content == gap {
		return
	}
	k := [2]int{recording, number}
	if old, ok := c.content[k]; ok && old != content {
		c.fail("number with two contents")
		return
	}
	c.content[k] = content
}

// written is told of each write that took effect.
func (c *check) written(w *world, r *request, old object, was bool) {
	switch r.op {
	case putLive, putEnd:
		c.playlist(w, r, old, was)
	case putEntry:
		if r.body.recording < c.entry {
			c.fail("stable entry goes back")
		}
		c.entry = max(c.entry, r.body.recording)
	default:
		return
	}
	if !w.design.claims || r.op == putEnd {
		return
	}
	if owner, ok := c.owners[r.epoch]; ok && owner != r.node {
		c.fail("two owners in one epoch")
	}
	// A former owner may write once more what the new one has not written yet, and now finds changed. It must not write over what that
	// has written, nor go on with another recording beside it.
	if r.epoch < c.epochs[r.key] {
		c.fail("a former owner writes over the owner's playlist")
	}
	if r.op == putLive && !r.body.ended && r.epoch < c.newest && r.key.recording != c.live {
		c.fail("two recordings are live")
	}
	c.owners[r.epoch] = r.node
	c.epochs[r.key] = max(c.epochs[r.key], r.epoch)
	if r.epoch >= c.newest && !r.body.ended {
		c.newest = r.epoch
		if c.live = r.key.recording; r.op == putEntry {
			c.live = r.body.recording
		}
	}
}

// playlist looks at a live playlist that was written.
func (c *check) playlist(w *world, r *request, old object, was bool) {
	now := r.body.rows
	for i, content := range now {
		c.shown(r.key.recording, i, content)
		if content == gap {
			continue
		}
		if seg, ok := w.bucket.objects[key{segments, r.key.recording, i}]; !ok || seg.body.content != content {
			c.fail("playlist names what is not there")
		}
	}
	if was && (len(now) < len(old.body.rows) || old.body.ended && !r.body.ended) {
		c.fail("playlist goes back")
	}
}
