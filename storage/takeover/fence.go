package takeover

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// mark begins the comment by which a live playlist differs from what the former server wrote.
const mark = "# taken over: "

// Fence writes the live playlist as it was found, with a comment of its own for each epoch of the claim, over what the former server wrote last:
// that one's next playlist finds another object then, and since its viewers are shown nothing before that is written, they have seen no more
// than was found. storage.ErrChanged means that it has written since: Gather has to be repeated. It is called when the claim is written.
func (f *Found) Fence(ctx context.Context, store storage.Putter, epoch uint64) error {
	n := segmenter.Name{Kind: segmenter.KindLive, App: f.State.ID.App, Stream: f.State.ID.Stream, Recording: segmenter.RecordingID(f.State.ID.Recording)}
	body := f.Live.body
	if i := bytes.LastIndex(body, []byte("\n"+mark)); i >= 0 {
		body = body[:i+1]
	}
	body = fmt.Appendf(bytes.Clone(body), "%sepoch %d\n", mark, epoch)
	a := storage.AttributesOf(segmenter.KindLive, f.State.Meta.TargetDuration, false)
	sum := md5.Sum(body)
	a.MD5, a.IfMatch = sum[:], f.Live.etag
	etag, err := store.Put(ctx, n.String(), bytes.NewReader(body), a)
	if err != nil {
		return fmt.Errorf("put %s: %w", n, err)
	}
	f.Live.body, f.Live.etag = body, etag
	return nil
}
