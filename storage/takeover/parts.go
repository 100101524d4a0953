package takeover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// partMark begins the comment that ends a low-latency playlist in a store, which lists no parts: PART-TARGET in ticks of 90 kHz.
const partMark = "# part target: "

// WithPartTarget returns a live playlist as the low-latency one in a store: with PART-TARGET in ticks of 90 kHz, which is the same for a
// recording whoever goes on with it.
func WithPartTarget(live []byte, ticks int64) []byte {
	return fmt.Appendf(bytes.Clone(live), "%s%d\n", partMark, ticks)
}

// maxPartTarget bounds what is believed, in ticks: more than any segment lasts.
const maxPartTarget = 60 * segmenter.Clock

// readParts finds out PART-TARGET; without such a playlist, or the comment in it, it is learned anew.
func (g *gatherer) readParts(ctx context.Context) error {
	body, _, err := read(ctx, g.store, g.named(segmenter.KindLowLatency, g.id).String())
	if storage.KindOf(err) == storage.Missing || errors.Is(err, errUnreadable) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, text, ok := bytes.Cut(body, []byte("\n"+partMark)); ok {
		n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
		if err == nil && n > 0 && n <= maxPartTarget {
			g.parts = n
		}
	}
	return nil
}
