// Package keeping carries what senders of HLS by HTTP were told had been taken over to the next process: it hands it to the disk, and back to the
// server that takes HLS by HTTP, but for what a recording has already. It refuses to know when a segment is not needed any more, and what its
// file looks like.
package keeping

import (
	"context"
	"log/slog"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest/httpput"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage/held"
)

// Keeper keeps what waits for its playlist. A nil Keeper keeps nothing.
type Keeper struct {
	*held.Box
	log     *slog.Logger
	spooled map[sum][]segmenter.Key // the streams in whose recordings a segment is, until TakeUp or Forget
}

// sum tells segments apart.
type sum struct {
	size   int64
	crc32c uint32
}

// New returns a Keeper, which touches the disk when TakeUp or Keep is called.
func New(o held.Options) *Keeper {
	return &Keeper{Box: held.New(o), log: o.Log}
}

// newest is how many segments of a recording are looked at: more than are passed on while what was passed on before is still kept.
const newest = 256

// Spooled notes which segments a recording has that is taken up again.
func (k *Keeper) Spooled(r *segmenter.Recovered) {
	if k == nil {
		return
	}
	rows := r.Rows[max(0, len(r.Rows)-newest):]
	for i := range rows {
		row := &rows[i]
		if !row.Gap && rows[len(rows)-1].End().Sub(row.Start) < httpput.HeldFor { // an earlier showing of the same may have the same bytes
			at := sum{row.Size, row.CRC32C}
			if k.spooled == nil {
				k.spooled = map[sum][]segmenter.Key{}
			}
			k.spooled[at] = append(k.spooled[at], r.Key)
		}
	}
}

// Forget lets go of what Spooled has noted, where nobody takes anything up.
func (k *Keeper) Forget() {
	if k != nil {
		k.spooled = nil
	}
}

// has reports whether a recording of the stream that a segment was sent to, or of a rung of that, has it.
func (k *Keeper) has(s *held.Segment) bool {
	for _, key := range k.spooled[sum{s.Size, s.CRC32C}] {
		if key.App == s.App && (key.Stream == s.Stream || strings.HasPrefix(key.Stream, s.Stream+"_")) {
			return true
		}
	}
	return false
}

// TakeUp gives a server back what was held when the last process ended.
func (k *Keeper) TakeUp(ctx context.Context, put *httpput.Server) {
	if k == nil {
		return
	}
	found, err := k.Box.TakeUp(ctx, httpput.HeldFor, func(s *held.Segment) bool {
		listed := k.has(s)
		if listed {
			put.RestoreListed(given(s))
		}
		return listed
	}, func(s *held.Segment, done func(bool)) bool { return put.Restore(given(s), done) })
	k.spooled = nil
	put.Stats.Unnamed.Add(uint64(found.Old))
	if err != nil {
		k.log.Error("some of the segments by HTTP that the last process held cannot be taken up, and are left where they are", "files", found.Left, "error", err)
	}
	if found != (held.Found{}) {
		k.log.Info("segments by HTTP that the last process held", "wait_for_their_playlist", found.Taken, "listed_already", found.Known, "too_old", found.Old, "half_written", found.Damaged)
	}
}

// Keep is as httpput.Options has it.
func (k *Keeper) Keep(h *httpput.Held) (done func(passed bool)) {
	return k.Box.Keep(&held.Segment{
		App: h.App, Stream: h.Stream, Host: h.Host, User: h.User, File: h.File, At: h.At, Size: int64(len(h.Body)), CRC32C: h.CRC32C, Body: h.Body,
	})
}

func given(s *held.Segment) *httpput.Held {
	return &httpput.Held{App: s.App, Stream: s.Stream, Host: s.Host, User: s.User, File: s.File, At: s.At, CRC32C: s.CRC32C, Body: s.Body}
}
