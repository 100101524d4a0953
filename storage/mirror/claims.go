package mirror

import (
	"context"
	"errors"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/claim"
	"github.com/hlsorigin/hlsorigin/storage/ending"
	"github.com/hlsorigin/hlsorigin/storage/shared"
)

// Who writes the playlists of a stream into a store is decided there: see package shared. A lane reads the claim before its first
// playlist, with a job like any other, so that neither viewers nor publishers ever wait for it. What is found out counts for one store.

// errBehind means that a live playlist was not written because the one in the store lists more.
var errBehind = errors.New("the store's playlist lists more")

// Name says under which name this server claims streams, and where others reach it. Without it, it claims none, and writes playlists
// over whatever is there: two such servers must not share a store. Without a nonce it gets one. It is called before Recover and
// Run.
func (m *Mirror) Name(s claim.Server) {
	if m.server = s; s.Nonce == "" {
		m.server.Nonce = claim.NewNonce()
	}
	for _, u := range m.uploaders {
		u.shared.Name(m.server)
	}
}

// Server returns what Name was told, with the nonce of this process.
func (m *Mirror) Server() claim.Server { return m.server }

// maxClaims is how often a store is asked for a claim that refuses that, and has not taken anything else either. Then the playlists go on:
// their segments may all have been there at the start.
const maxClaims = 10

// main is the lane of the transport stream to the same store: it has the claim.
func (l *lane) main() *lane {
	if l.of != nil {
		return l.of
	}
	return l
}

// claimDue reports whether the claim must be read or written. recording.mu is held, here and below.
func (l *lane) claimDue() bool {
	return l.tenure != nil && (l.hold == shared.Unread || l.hold < shared.Closed && l.returned || l.releaseDue())
}

// releaseDue reports whether nothing is left to do but to say so.
func (l *lane) releaseDue() bool {
	if l.claimSettled() || l.hold != shared.Ours || !l.written() {
		return false
	}
	for _, c := range l.r.tracks {
		if c.of == l && !c.written() {
			return false
		}
	}
	return true
}

// claimSettled reports whether nothing more has to be said in the claim.
func (l *lane) claimSettled() bool {
	return l.tenure == nil || l.released || l.r.superseded || l.hold == shared.Past || l.hold == shared.Closed
}

// mayWrite reports whether a playlist of a kind may be written.
func (l *lane) mayWrite(kind jobKind) bool {
	h := l.main().hold
	return h == shared.Ours || h == shared.Past && kind != entryJob || h == shared.Closed && kind == archiveJob
}

// feed notes whether a publisher feeds the recording. One that comes back may come from another server.
func (r *recording) feed(fed bool) {
	for _, l := range r.lanes {
		l.returned = l.returned || fed && !r.fed && l.hold != shared.Unread
	}
	r.fed = fed
}

// contested are the keys that another server may have written.
func (l *lane) contested() (keys []string) {
	r := l.r
	for _, n := range shared.Entries(r.key) {
		if n.Kind == segmenter.KindEntry || r.partTarget > 0 {
			keys = append(keys, n.String())
		}
	}
	if len(r.tracks) > 0 {
		for _, n := range shared.TrackEntries(r.key) {
			keys = append(keys, n.String())
		}
	}
	if !r.recalled || l.hold != shared.Unread {
		return keys
	}
	n := segmenter.Name{Kind: segmenter.KindLive, App: r.key.App, Stream: r.key.Stream, Recording: r.id}
	if keys = append(keys, n.String()); r.partTarget > 0 {
		n.Kind = segmenter.KindLowLatency
		keys = append(keys, n.String())
	}
	if l.split < len(r.splits) {
		n.Kind, n.Recording = segmenter.KindArchive, r.splits[l.split].name
		keys = append(keys, n.String())
	}
	return keys
}

// claim carries out a claimJob. What another server may have written is read before the claim is: if the stream is this server's after that,
// nobody has written anything in between that the fence would not notice.
func (u *Uploader) claim(ctx context.Context, j *job) error {
	l, r := j.lane, j.lane.r
	r.mu.Lock()
	release, returned := l.hold != shared.Unread && !l.returned, l.hold != shared.Unread && l.returned
	fed, keys, tries := r.fed && !r.ended, l.contested(), l.claim.try.n
	wrote := r.recalled || l.liveWritten // a live playlist, which another may have ended
	l.returned = false
	r.mu.Unlock()
	var v claim.Verdict
	var err error
	switch {
	case !u.shared.Claims(l.tenure):
		l.stand(claim.Ours, true)
		return nil
	case release:
		if err = l.tenure.Release(ctx); err == nil {
			l.stand(claim.Ours, true)
			return nil
		}
	case returned:
		if v, err = l.tenure.Check(ctx); err == nil && v == claim.Ours {
			return nil
		}
		if err == nil {
			l.doubtEntries()
		}
	}
	if !release && err == nil {
		if err = u.shared.Fence.Look(ctx, keys...); err == nil && wrote {
			var end ended
			if end, err = l.met(ctx); err == nil && end != unended { // which is final, whoever has the stream
				if _, err = l.tenure.Check(ctx); err == nil {
					l.over(end, true)
					return nil
				}
			}
		}
		if err == nil || storage.KindOf(err) == storage.Permanent {
			v, err = l.tenure.Take(ctx, fed, r.recalled)
		}
	}
	switch kind := storage.KindOf(err); {
	case err == nil && v == claim.Lost:
		if err = l.loses(ctx); err == nil {
			return nil
		}
	case err == nil:
		l.stand(v, false)
		return nil
	case kind == storage.Permanent && (u.shared.Takes() || tries >= maxClaims), errors.Is(err, errors.ErrUnsupported):
		u.shared.Unclaimed(err)
		l.stand(claim.Ours, true)
		return nil
	case returned:
		r.mu.Lock()
		l.returned = true
		r.mu.Unlock()
	}
	return err
}

// doubtEntries says that another server may have written the entries, and that the claim must be read. It takes r.mu itself.
func (l *lane) doubtEntries() {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.hold, l.entries = shared.Unread, [3]string{}
	for _, c := range l.r.tracks {
		if c.of == l {
			c.trackEntry, c.manifest = "", told{}
		}
	}
}

// doubtClaim asks for the claim: another server may have the stream. It takes r.mu itself.
func (l *lane) doubtClaim() {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.returned = l.returned || l.tenure != nil && l.hold != shared.Unread && !l.released
}

// stand records what the claim says. released: there is nothing more to be said in it. It takes r.mu itself.
func (l *lane) stand(v claim.Verdict, released bool) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if l.hold >= shared.Closed {
		return
	}
	l.released, l.asked = l.released || released, l.u.m.o.Now()
	if l.hold = shared.Ours; v == claim.Past {
		l.hold = shared.Past
	}
}

// endFormer ends what the store has of the recording that a claim leads to, before one leads to a newer one: see ending.Playlists. What this
// server still has of it, it ends itself.
func (u *Uploader) endFormer(ctx context.Context, key segmenter.Key, old claim.Claim) error {
	id := segmenter.RecordingID(old.Recording)
	if _, ok := id.Time(); !ok || old.Node == u.m.server.Node && (old.State == claim.Ended || u.m.find(key, id) != nil) {
		return nil
	}
	store, ok := storage.As[ending.Store](u.store)
	if !ok {
		return nil
	}
	err := ending.Playlists(ctx, store, key, id)
	if storage.KindOf(err) == storage.Permanent || errors.Is(err, errors.ErrUnsupported) {
		u.log.Warn("the recording that another server had of the stream cannot be ended in the store: who follows it there waits", "stream", key.String(), "recording", old.Recording, "node", old.Node, "err", err)
		return nil
	}
	return err
}

// mine returns what the fence asks before it writes over something that it has just read; nil: there is nobody to ask.
func (l *lane) mine(kind jobKind) func(context.Context) error {
	m := l.main()
	if m.tenure == nil {
		return nil
	}
	return func(ctx context.Context) error {
		v, err := m.tenure.Check(ctx)
		switch kind := storage.KindOf(err); {
		case kind == storage.Permanent, errors.Is(err, errors.ErrUnsupported):
			m.u.shared.Unclaimed(err)
			return nil
		case err != nil:
			return err
		}
		if v == claim.Lost || kind == liveJob && m == l {
			_ = m.agrees() // from here on
			end, err := m.met(ctx)
			if err != nil {
				return err
			}
			if v == claim.Lost || end != unended {
				m.over(end, v == claim.Ours)
				return shared.ErrAnother
			}
			if !m.agrees() {
				return errBehind
			}
		}
		if v == claim.Ours {
			m.r.mu.Lock()
			m.asked = m.u.m.o.Now()
			m.r.mu.Unlock()
			return nil
		}
		if !m.asking() { // else what comes of that counts
			m.stand(v, false)
		}
		if kind == entryJob {
			return shared.ErrAnother
		}
		return nil
	}
}

// agrees reports whether what was about to be written is still right after met: else it is rendered again, when there is as much as the store's
// live playlist lists. It takes r.mu itself.
func (l *lane) agrees() bool {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	raised := l.raised
	l.raised = false
	return !raised
}

// ofOthers reports whether it is no wonder that the store has another segment under a number: the recording was another server's until shortly
// before that number, or is by now. It takes r.mu itself.
func (l *lane) ofOthers(ctx context.Context, sequence uint64) bool {
	l.r.mu.Lock()
	adopted := l.r.adopted
	l.r.mu.Unlock()
	if adopted > 0 && sequence < adopted+maxPassed {
		return true
	}
	if l.tenure == nil {
		return false
	}
	v, err := l.tenure.Check(ctx)
	return err == nil && v == claim.Lost
}

// lastAsked is when the store last said that the stream is this server's. It takes r.mu itself.
func (l *lane) lastAsked() time.Time {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return l.asked
}

// asking reports whether a claimJob is under way. It takes r.mu itself.
func (l *lane) asking() bool {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return l.claim.busy
}
