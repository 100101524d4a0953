package origin

import (
	"context"
	"errors"
	"io/fs"

	"github.com/hlsorigin/hlsorigin/origin/http1"
)

// How long caches may keep answers for what is not an object or does not exist; for objects see segmenter.Kind.Age. Every answer carries a
// Cache-Control, because without one a cache makes up its own: CloudFront's managed policies keep such an object for 24 hours.
const (
	age404Next    = "max-age=1"  // a segment of a running stream that does not exist yet
	age404Entry   = "max-age=3"  // a stream that is unknown, not started, or gone
	age404Removed = "max-age=60" // what existed once, and what can never exist
	ageNever      = "no-store"   // every other error
)

// refusal is an answer that is not an object: a status, an instruction to caches, and a line for people.
type refusal struct {
	status int
	age    string // Cache-Control
	text   string
}

func (r *refusal) Error() string { return r.text }

// The common ones.
var (
	notFoundNext    = &refusal{404, age404Next, "not found\n"}
	notFoundEntry   = &refusal{404, age404Entry, "not found\n"}
	notFoundRemoved = &refusal{404, age404Removed, "not found\n"}
	notStarted      = &refusal{404, age404Entry, "not started\n"}
	isStalled       = &refusal{404, age404Entry, "the stream is stalled\n"}
	outside         = &refusal{404, age404Next, "nothing was recorded at that time\n"}
	archiveAway     = &refusal{503, ageNever, "the archive cannot be read now\n"}
)

// refuse answers with a refusal.
func (o *Origin) refuse(res *http1.Response, err error) {
	r := archiveAway
	errors.As(err, &r)
	if r.status == 503 {
		res.Add("Retry-After", "1")
	}
	o.text(res, r.status, r.age, r.text)
}

// text makes the answer a short line for people. Everything that is not media has such a body.
func (o *Origin) text(res *http1.Response, status int, cacheControl, line string) {
	res.Status = status
	res.Add("Cache-Control", cacheControl)
	res.Add("Content-Type", "text/plain; charset=utf-8")
	res.Add("Content-Length", itoa(int64(len(line))))
	if v := o.cors().vary(false); v != "" {
		res.Add("Vary", v)
	}
	res.Bytes, res.Offset, res.Length = []byte(line), 0, int64(len(line))
}

// missing turns an error of the archive into a refusal; for a missing object it is the given one.
func (o *Origin) missing(ctx context.Context, key string, gone *refusal, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone
	case errors.Is(err, ErrOverload):
		return &refusal{503, ageNever, err.Error() + "\n"}
	case ctx.Err() != nil:
		return archiveAway // nobody is left to read it
	}
	return o.broken(key, err)
}

// broken reports that an object of the archive cannot be read.
func (o *Origin) broken(key string, err error) error {
	o.stats.ArchiveErrs.Add(1)
	o.opts.Warn("http-archive", "viewers", "an object of the archive cannot be read, viewers get 503", "key", key, "err", err)
	return archiveAway
}
