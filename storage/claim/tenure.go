package claim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/hlsorigin/hlsorigin/storage"
)

// Store is where claims are.
type Store interface {
	storage.Putter
	storage.Getter
}

// Server is who claims streams.
type Server struct {
	Node    string // its name, which no other has and which it keeps over restarts
	Address string // where other servers reach it; may be empty
	// Nonce is what no other process has, and this one has drawn at its start: see NewNonce. So a copy of a machine, with the same name, is
	// another server as soon as it claims something. Empty: claims are told apart by name alone.
	Nonce string
}

// NewNonce draws a Server.Nonce.
func NewNonce() string { return strings.ToLower(rand.Text()[:16]) }

// Verdict is what a claim means to a recording.
type Verdict uint8

// The verdicts.
const (
	Ours  Verdict = iota // no other server has the stream
	Taken                // nor any more: this one has just taken it
	Past                 // another had it later, and is done with it: its entries stay as they are, and nobody else writes the recording's own playlists
	Lost                 // another has it: the recording's playlists must not be written any more
)

func (v Verdict) String() string { return [...]string{"ours", "taken", "past", "lost"}[v] }

// Tenure is one recording's hold on its stream, in one store. It is safe for concurrent use.
type Tenure struct {
	store     Store
	server    Server
	key       string
	recording string
	log       *slog.Logger
	former    string // see Formerly
	before    func(context.Context, Claim) error

	mu    sync.Mutex
	met   bool   // the claim was found to be this process's own, or written by it
	claim Claim  // as last read or written
	etag  string // its; "": it is not known
	told  bool   // that there is something else than a claim was logged
}

// New returns the hold of a recording on a stream, or a ladder. It asks for nothing yet.
func New(store Store, server Server, app, stream, recording string, log *slog.Logger) *Tenure {
	key := Key(app, stream)
	return &Tenure{store: store, server: server, key: key, recording: recording, log: log.With("claim", key)}
}

// Formerly says under which name an earlier process claimed the recording's stream, where the server's own file of that was lost since. It is
// called before all else.
func (t *Tenure) Formerly(node string) { t.former = node }

// Before sets what Take does before it writes a claim over that of another recording, which it passes on: nobody will look for that recording
// any more. If it fails, Take does. It is called before all else.
func (t *Tenure) Before(do func(ctx context.Context, old Claim) error) { t.before = do }

// own reports whether a claim is this server's. A process knows its own by the nonce; that of an earlier one, before the start, by its name
// alone: it is written again, so that a copy of this machine finds out. From then on a claim with this name and another nonce is that of such
// a copy.
func (t *Tenure) own(c Claim) bool {
	switch {
	case c.Node != t.server.Node:
		return t.former != "" && c.Node == t.former
	case t.server.Nonce == "" || c.Nonce == "" || c.Nonce == t.server.Nonce:
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.met
}

// attempts is how often Take meets a claim that changes before it fails.
const attempts = 8

// Take reads the claim, and takes the stream if it may: if nobody has it, or, where fed is set, whoever has it. fed says that a publisher
// feeds the recording on this server now, recalled, that an earlier process began it. A stream belongs to the server that its publisher has
// gone to; a recording without one takes it from nobody. One that began after that of the claim, and has lost its publisher before it could
// be claimed, is Past: what has the claim may be a server that died long ago.
func (t *Tenure) Take(ctx context.Context, fed, recalled bool) (Verdict, error) {
	for range attempts {
		c, etag, err := t.read(ctx)
		if err != nil {
			return Lost, err
		}
		v, want := t.decide(c, etag != "", fed, recalled)
		if want == nil {
			t.keep(c, etag)
			return v, nil
		}
		if t.before != nil && c.Recording != "" && c.Recording != t.recording {
			if err := t.before(ctx, c); err != nil {
				return Lost, err
			}
		}
		switch etag, err = write(ctx, t.store, t.key, want, etag); storage.KindOf(err) {
		case storage.None:
			t.keep(*want, etag)
			return v, nil
		case storage.Changed, storage.Exists: // another was first
		default:
			return Lost, err
		}
	}
	return Lost, fmt.Errorf("%s changes as often as it is read: %w", t.key, storage.ErrChanged)
}

// Check reads the claim, and changes nothing.
func (t *Tenure) Check(ctx context.Context) (Verdict, error) {
	c, etag, err := t.read(ctx)
	if err != nil {
		return Lost, err
	}
	t.keep(c, etag)
	if v, _ := t.decide(c, etag != "", false, true); v != Taken {
		return v, nil
	}
	return Ours, nil
}

// Release says that the recording has ended and is done with, unless the stream is not its own any more.
func (t *Tenure) Release(ctx context.Context) error {
	c, etag := t.Claim(), t.tag()
	if etag == "" || !t.own(c) || c.Recording != t.recording || c.State == Ended {
		return nil
	}
	c.State = Ended
	c.Nonce = t.server.Nonce
	etag, err := write(ctx, t.store, t.key, &c, etag)
	switch storage.KindOf(err) {
	case storage.None:
		t.keep(c, etag)
	case storage.Changed: // another has it by now
		return nil
	}
	return err
}

// Claim returns the claim as it was last read or written; the zero Claim if there was none.
func (t *Tenure) Claim() Claim {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.claim
}

func (t *Tenure) tag() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.etag
}

func (t *Tenure) keep(c Claim, etag string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.claim, t.etag = c, etag
	t.met = t.met || c.Epoch > 0 && c.Nonce == t.server.Nonce && (c.Node == t.server.Node || c.Node == t.former)
}

// decide returns what a claim means to the recording, and the one that should be there instead; nil if it may stay. there says that there is
// an object; c is zero if that is no claim.
func (t *Tenure) decide(c Claim, there, fed, recalled bool) (Verdict, *Claim) {
	want := &Claim{Epoch: c.Epoch + 1, Node: t.server.Node, Address: t.server.Address, Recording: t.recording, State: Live, Nonce: t.server.Nonce}
	own := t.own(c)
	switch {
	case own && c.Recording == want.Recording:
		if want.Epoch, want.Node = c.Epoch, c.Node; c == *want {
			return Ours, nil
		}
		return Ours, want
	case own && c.Recording > want.Recording: // a newer one of its own
		return Ours, nil
	case c.Epoch > 0 && !own && c.Recording == t.recording: // another goes on with this very recording
		return Lost, nil
	case fed, !there, own:
		return Taken, want
	case c.Epoch == 0: // it cannot be read whose the stream is
		return Past, nil
	case c.State != Ended && !recalled && c.Recording < want.Recording:
		return Past, nil
	case c.State != Ended:
		return Lost, nil
	case c.Recording > want.Recording:
		return Past, nil
	}
	return Taken, want
}

// read returns the claim that is there, with its ETag, or zero and "" if there is none. Of something that is no claim it returns the ETag
// alone.
func (t *Tenure) read(ctx context.Context) (Claim, string, error) {
	c, etag, err := Read(ctx, t.store, t.key)
	if errors.Is(err, errDamaged) {
		t.strange(err)
		err = nil
	}
	return c, etag, err
}

// strange logs once that something else than a claim is there.
func (t *Tenure) strange(err error) {
	t.mu.Lock()
	first := !t.told
	t.told = true
	t.mu.Unlock()
	if first {
		t.log.Warn("what says which server has a stream cannot be understood; the next server that the stream is published to writes it anew: look who else writes to the bucket", "recording", t.recording, "err", err)
	}
}
