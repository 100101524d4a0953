package origin

import (
	"context"
	"io"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Streams finds recordings. Both methods are called for every request, from many goroutines: they must be quick, and must not keep their
// strings.
type Streams interface {
	// Timeline returns the stream's current recording, or its last one after the end, or nil.
	Timeline(app, stream string) *segmenter.Timeline
	// Recording returns a recording that is still in memory, running or ended, or nil.
	Recording(app, stream string, id segmenter.RecordingID) *segmenter.Timeline
}

// Archive holds segments and playlists that have left memory. The key is the URL path without its leading slash. If an object does not
// exist, the error is fs.ErrNotExist; any other error is answered with 503, so that a CDN may look elsewhere.
type Archive interface {
	Open(ctx context.Context, key string) (Object, error)
}

// Object is an open object of the archive. Whoever opened it closes Body once.
type Object struct {
	Size     int64
	Modified time.Time
	// Encoding is the stored Content-Encoding of the object: "" or "gzip".
	Encoding string
	// Gap reports that the object stands in for a lost segment, as far as the archive knows.
	Gap bool
	// Body is read once, from wherever Seek puts it; it is never read for HEAD and 304. The kernel sends an *os.File without passing it
	// through this process. An implementation over a network should connect at the first Read.
	Body io.ReadSeekCloser
}

// Recordings finds recordings by time, for time-shifted viewing of what is not the stream's current recording any more.
type Recordings interface {
	// Find returns the ID of the newest recording of a stream that began at or before an instant, in memory or in the archive: its
	// timestamped playlist is "{app}/streams/{stream}-{id}.m3u8". If there is none, the error is fs.ErrNotExist.
	Find(ctx context.Context, app, stream string, at time.Time) (segmenter.RecordingID, error)
}
