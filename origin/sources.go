package origin

import (
	"context"
	"io"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// Streams finds recordings. Both methods are called for every request, from many goroutines: they must be quick, and
// may not keep the strings they are given.
type Streams interface {
	// Timeline is the stream's current recording, or its last one after the end; nil where there is none.
	Timeline(app, stream string) *segmenter.Timeline
	// Recording is one recording that is still in memory, running or ended; nil where it is not.
	Recording(app, stream string, id segmenter.RecordingID) *segmenter.Timeline
}

// Archive is where segments and playlists are found that have left memory. The key is the URL path without its leading
// slash. What does not exist is fs.ErrNotExist; any other error is answered with 503, so that a CDN may look elsewhere.
type Archive interface {
	Open(ctx context.Context, key string) (Object, error)
}

// Object is an opened object of the archive. Whoever opened it closes Body once.
type Object struct {
	Size     int64
	Modified time.Time
	// Encoding is the Content-Encoding that the object is stored with: "" or "gzip".
	Encoding string
	// Gap says that it stands in for a segment that is lost, as far as the archive knows.
	Gap bool
	// Body is read once, from wherever Seek puts it; never read for HEAD and 304. An *os.File is sent by the kernel
	// without passing through this process. An implementation over a network should connect at the first Read.
	Body io.ReadSeekCloser
}

// Recordings finds recordings by time, for time-shifted viewing of what is no longer the stream's current recording.
type Recordings interface {
	// Find names the recording of a stream that began last at or before an instant, in memory or in the archive: its
	// timestamped playlist is "{app}/streams/{stream}-{id}.m3u8". Where there is none, fs.ErrNotExist.
	Find(ctx context.Context, app, stream string, at time.Time) (segmenter.RecordingID, error)
}
