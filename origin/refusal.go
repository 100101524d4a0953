package origin

import (
	"context"
	"errors"
	"io/fs"

	"github.com/hlsorigin/hlsorigin/origin/http1"
)

// How long caches may keep what is no object, and what is not there; of objects see segmenter.Kind.Age. Every answer carries
// a Cache-Control, because a cache without one makes up its own: CloudFront's managed policies keep such an object for 24 hours.
const (
	age404Next    = "max-age=1"  // a segment of a running stream that is not there yet
	age404Entry   = "max-age=3"  // a stream that is unknown, not started, or gone
	age404Removed = "max-age=60" // what was there once, and what never can be
	ageNever      = "no-store"   // every other error
)

// refusal is an answer that is no object: a status, what caches are told, and a line for people.
type refusal struct {
	status int
	age    string // Cache-Control
	text   string
}

func (r *refusal) Error() string { return r.text }

// The usual ones.
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

// text makes the answer a short line for people, which is the body of everything that is not media.
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

// missing makes a refusal of an error of the archive: of what is not there, the one that is given.
func (o *Origin) missing(ctx context.Context, key string, gone *refusal, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gone
	case errors.Is(err, ErrOverload):
		return &refusal{503, ageNever, err.Error() + "\n"}
	case ctx.Err() != nil:
		return archiveAway // nobody is there to read it
	}
	return o.broken(key, err)
}

// broken says that an object of the archive cannot be read.
func (o *Origin) broken(key string, err error) error {
	o.stats.ArchiveErrs.Add(1)
	o.opts.Warn("http-archive", "viewers", "an object of the archive cannot be read, viewers get 503", "key", key, "err", err)
	return archiveAway
}
