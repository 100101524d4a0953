package claim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
}

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

	mu    sync.Mutex
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

// own reports whether a name is this server's.
func (t *Tenure) own(node string) bool {
	return node == t.server.Node || t.former != "" && node == t.former
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
		a := storage.Attributes{ContentType: "application/json", CacheControl: "no-store", IfMatch: etag, IfAbsent: etag == ""}
		switch etag, err = t.store.Put(ctx, t.key, bytes.NewReader(want.append()), a); storage.KindOf(err) {
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
	if etag == "" || !t.own(c.Node) || c.Recording != t.recording || c.State == Ended {
		return nil
	}
	c.State = Ended
	a := storage.Attributes{ContentType: "application/json", CacheControl: "no-store", IfMatch: etag}
	etag, err := t.store.Put(ctx, t.key, bytes.NewReader(c.append()), a)
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
}

// decide returns what a claim means to the recording, and the one that should be there instead; nil if it may stay. there says that there is
// an object; c is zero if that is no claim.
func (t *Tenure) decide(c Claim, there, fed, recalled bool) (Verdict, *Claim) {
	want := &Claim{Epoch: c.Epoch + 1, Node: t.server.Node, Address: t.server.Address, Recording: t.recording, State: Live}
	own := t.own(c.Node)
	switch {
	case own && c.Recording == want.Recording:
		if want.Epoch, want.Node = c.Epoch, c.Node; c == *want {
			return Ours, nil
		}
		return Ours, want
	case own && c.Recording > want.Recording: // a newer one of its own
		return Ours, nil
	case fed, !there, own:
		return Taken, want
	case c.Epoch == 0: // it cannot be read whose the stream is
		return Past, nil
	case c.State != Ended && !recalled && c.Recording < want.Recording:
		return Past, nil
	case c.State != Ended, c.Recording == want.Recording:
		return Lost, nil
	case c.Recording > want.Recording:
		return Past, nil
	}
	return Taken, want
}

// read returns the claim that is there, with its ETag, or zero and "" if there is none. Of something that is no claim it returns the ETag
// alone.
func (t *Tenure) read(ctx context.Context) (c Claim, etag string, err error) {
	body, o, err := t.store.Get(ctx, t.key, 0, maxClaim+1)
	switch storage.KindOf(err) {
	case storage.None:
	case storage.Missing:
		return Claim{}, "", nil
	default:
		return Claim{}, "", err
	}
	data, err := io.ReadAll(body)
	body.Close()
	switch {
	case err != nil:
		return Claim{}, "", fmt.Errorf("get %s: %w", t.key, err)
	case o.ETag == "":
		return Claim{}, "", fmt.Errorf("get %s: the store states no ETag: %w", t.key, errors.ErrUnsupported)
	case o.Size > maxClaim:
		err = errDamaged
	default:
		c, err = parse(data)
	}
	if err != nil {
		t.strange(err)
		return Claim{}, o.ETag, nil
	}
	return c, o.ETag, nil
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
