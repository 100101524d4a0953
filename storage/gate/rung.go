package gate

import (
	"context"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/claim"
)

// admitRung refuses a rung whose ladder is fed on another server: a ladder is one server's as a whole, since its playlists list what that one
// has. A claim that cannot be read decides nothing here; that of the rung itself follows.
func (g *Gate) admitRung(ctx context.Context, key segmenter.Key) error {
	ladder, ok := g.o.Registry.LadderOf(key)
	if !ok {
		return nil
	}
	c, _, err := claim.Read(ctx, g.o.Store, claim.Key(key.App, ladder))
	if err != nil || c.Epoch == 0 || c.State == claim.Ended || c.Node == g.o.Mirror.Server().Node {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, g.o.AskLimit)
	defer cancel()
	if fed, err := g.o.Peer.Fed(asking, c.Address, key.App, ladder); err != nil || !fed {
		return nil
	}
	g.stats.Refused.Add(1)
	return ingest.Refuse(ingest.NameTaken, "%s is a rung of the ladder %s, which is being published to the server %s (%s): publish all of its rungs there", key, ladder, c.Node, c.Address)
}
