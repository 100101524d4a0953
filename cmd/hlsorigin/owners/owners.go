// Package owners reads from the bucket which server of a cluster has a stream, for viewers who ask another one. It refuses to remember what
// it has read, and to write anything.
package owners

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/hlsorigin/hlsorigin/origin/remote"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/claim"
)

// Owners implements remote.Owners over the claims in a store.
type Owners struct {
	Store   claim.Store
	Address string        // of this server, where others reach it
	Node    func() string // its name; "" as long as it has none
	// Ladder returns the ladder that a stream is a rung of: where a ladder is claimed as a whole, its rungs have no claims of their own. Nil:
	// there is none.
	Ladder func(app, stream string) (ladder string, ok bool)
}

// Owner implements remote.Owners. A claim that cannot be understood is nobody's.
func (o *Owners) Owner(ctx context.Context, app, stream string) (remote.Owner, error) {
	names := []string{stream}
	if o.Ladder != nil {
		if ladder, ok := o.Ladder(app, stream); ok {
			names = append(names, ladder)
		}
	}
	for _, name := range names {
		t := claim.New(o.Store, claim.Server{}, app, name, "", slog.New(slog.DiscardHandler))
		if _, err := t.Check(ctx); err != nil {
			return remote.Owner{}, fmt.Errorf("read whose %s/%s is: %w", app, name, err)
		}
		c := t.Claim()
		if c.Epoch == 0 {
			continue
		}
		found := remote.Owner{Address: c.Address, Recording: segmenter.RecordingID(c.Recording), Ended: c.State == claim.Ended}
		switch {
		case c.Node == o.Node() || c.Address == o.Address:
			found.Address = ""
		case c.Address == "": // a server that is in no cluster had it: nobody can ask it
			return remote.Owner{}, fs.ErrNotExist
		}
		return found, nil
	}
	return remote.Owner{}, fs.ErrNotExist
}
