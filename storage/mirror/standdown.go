package mirror

import (
	"context"
	"errors"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/ending"
	"github.com/hlsorigin/hlsorigin/storage/shared"
)

// ended is what a store's live playlist says about the end of a recording that has not ended here.
type ended uint8

const (
	unended   ended = iota // nothing; or it has ended here, too
	endedOurs              // another has ended it, with what this server last wrote
	endedElse              // another has ended it, and may have written to it before
)

// maxPassed is by how many numbers a live playlist in the store may be longer than the table, and still be one of this recording's.
const maxPassed = 64

// met reads the live playlist that another server may have written. An end that is not this server's is final: its readers are gone. One that
// lists more than this server was about to list is not written over with less. It takes r.mu itself.
func (l *lane) met(ctx context.Context) (ended, error) {
	r := l.r
	store, ok := storage.As[storage.Getter](l.u.store)
	if !ok {
		return unended, nil
	}
	list, err := ending.Read(ctx, store, r.key, r.id)
	if kind := storage.KindOf(err); kind == storage.Permanent || errors.Is(err, errors.ErrUnsupported) {
		return unended, nil // whatever it is
	}
	if err != nil || list == nil {
		return unended, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next := list.MediaSequence + uint64(len(list.Segments))
	switch {
	case !list.EndList && next <= r.next()+maxPassed:
		l.raised = l.raised || next > l.liveNext || list.MediaSequence > max(l.metFirst, l.liveFirst)
		l.liveNext, l.metFirst = max(l.liveNext, next), max(l.metFirst, list.MediaSequence)
		l.liveFirst = max(l.liveFirst, l.metFirst)
	case !list.EndList, r.ended && next == r.next():
	case l.liveWritten && next == l.liveNext && list.MediaSequence == l.liveFirst, !l.liveWritten && !r.recalled && len(list.Segments) == 0:
		return endedOurs, nil
	default:
		return endedElse, nil
	}
	return unended, nil
}

// loses stands down, after it has found out what has become of the recording.
func (l *lane) loses(ctx context.Context) error {
	end, err := l.met(ctx)
	if err == nil {
		l.over(end, false)
	}
	return err
}

// over records that no live playlist and no entry of the recording must be written any more: another server has its stream, or has ended it.
// anew: what is published here belongs to a new recording, for which the stream can be had. It takes r.mu itself.
func (l *lane) over(end ended, anew bool) {
	r, c := l.r, l.tenure.Claim()
	var idle []*segmenter.Segment // in memory
	defer func() {
		for _, seg := range idle {
			r.m.memory.release(seg)
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.hold >= shared.Closed {
		return
	}
	what := "its segments stay in the spool and go to the store; nothing need be done for the stream. To make the recording's archive complete, run `hlsorigin recordings repair` when its segments are stored"
	if l.hold, l.taker = shared.Lost, c.Node; end == endedOurs {
		l.hold, what = shared.Closed, "which has ended this one; its archive is completed here"
	} else {
		r.note(event{kind: stoodDown, target: l.target})
	}
	if l.hold == shared.Lost && c.Recording == string(r.id) {
		what = "which goes on with it; nothing need be done"
		idle = l.forgo()
	}
	for key := range l.doubts {
		l.u.shared.Rechecks.Forget(key)
	}
	l.u.StandsDown(what, Notice{Kind: StoodDown, Key: r.key, Recording: r.id, Ended: anew}, c)
}

// learnTaker reads who has the stream of a recording that was lost before the start, and whether it went on with that very recording. A store that
// does not say so leaves both open.
func (l *lane) learnTaker(ctx context.Context) {
	if _, err := l.tenure.Check(ctx); err == nil {
		c := l.tenure.Claim()
		l.taker, l.taken = c.Node, c.Recording == string(l.r.id) && c.Node != l.u.m.server.Node
	}
}

// forgo gives up what the store does not have yet: another server goes on with the recording, and the numbers are its own. It returns the
// segments that nobody needs in memory any more.
func (l *lane) forgo() (idle []*segmenter.Segment) {
	r := l.r
	for _, way := range r.ways {
		if way.main() != l {
			continue
		}
		way.taken = true
		for seq := r.base; seq < r.next(); seq++ {
			if w := r.row(seq); !w.settled(way.target) {
				way.lacks(-1, -w.Size)
				w.set(refused<<way.target, true)
			}
		}
	}
	for seq := range r.memory {
		if seg := r.letOff(r.row(seq)); seg != nil {
			idle = append(idle, seg)
		}
	}
	r.settle()
	return idle
}

// StandsDown reports that playlists of a recording, or a ladder, are not written to the store any more, what becomes of the rest, and who has the
// claim.
func (u *Uploader) StandsDown(what string, n Notice, c claim.Claim) {
	u.m.stats.StoodDown.Add(1)
	u.log.Warn("another server has the stream: no playlist of this recording is written any more, "+what,
		"stream", n.Key.String(), "recording", string(n.Recording), "node", c.Node, "address", c.Address, "epoch", c.Epoch, "its_recording", c.Recording)
	n.Target, n.Node, n.Reason = u.name, c.Node, "the server "+c.Node+" has the stream"
	u.m.tell(n)
}
