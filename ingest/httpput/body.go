package httpput

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// errCutShort is what ended a body too early.
var errCutShort = errors.New("the body ended early, or came too slowly")

// errLarge refuses a body by its size.
type errLarge struct{ limit int64 }

func (e errLarge) Error() string { return "the body is larger than is taken" }

// read reads a request's body to its end, within limits: of bytes, of time, and of the memory that all publishers share. What it returns is
// accounted for by claim, which the caller gives back.
func (s *Server) read(w http.ResponseWriter, r *http.Request, limit int64, claim *ingest.Message) (body []byte, err error) {
	if r.ContentLength > limit {
		return nil, errLarge{limit}
	}
	rc := http.NewResponseController(w)
	var gone atomic.Bool
	quit := func(error) { gone.Store(true); _ = rc.SetReadDeadline(time.Unix(1, 0)) }
	source := io.Reader(&timely{r: r.Body, rc: rc, s: s, until: time.Now().Add(s.o.BodyTimeout)})
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(source)
		if err != nil {
			return nil, ingest.Refuse(ingest.BadName, "the body is not what Content-Encoding says: it is no gzip")
		}
		source = z
	default:
		return nil, ingest.Refuse(ingest.Unsupported, "Content-Encoding %.40q is not known here: send gzip, or none", encoding)
	}
	for {
		if int64(len(body)) > limit {
			return nil, errLarge{limit}
		}
		if len(body) == cap(body) {
			more := min(max(int64(cap(body)), 64<<10), limit+1-int64(len(body)))
			if known := r.ContentLength - int64(len(body)); len(body) == 0 && known > 0 && known < 1<<20 {
				more = known + 1
			}
			if err := s.o.Memory.Take(claim, more, quit); err != nil {
				return nil, ingest.Refuse(ingest.Overloaded, "the server is short of memory for what is not complete: send it faster, or try again later")
			}
			grown := make([]byte, len(body), int64(len(body))+more)
			copy(grown, body)
			body = grown
		}
		n, err := source.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		s.Stats.BytesIn.Add(uint64(n))
		switch {
		case err == io.EOF:
			return body, nil
		case err != nil && gone.Load():
			return nil, ingest.Refuse(ingest.Overloaded, "the server was short of memory, and the body not complete: try again later")
		case err != nil:
			return nil, errCutShort
		}
	}
}

// timely is a body that must go on.
type timely struct {
	r     io.Reader
	rc    *http.ResponseController
	s     *Server
	until time.Time
}

// Read implements io.Reader.
func (t *timely) Read(p []byte) (int, error) {
	now := time.Now() // the system keeps the deadline
	if now.After(t.until) {
		return 0, context.DeadlineExceeded
	}
	at := now.Add(t.s.o.StallLimit)
	if at.After(t.until) {
		at = t.until
	}
	_ = t.rc.SetReadDeadline(at)
	return t.r.Read(p)
}
