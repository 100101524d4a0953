package origin

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

const (
	allowedMethods = "GET, HEAD, OPTIONS"
	notFoundText   = "not found\n"
)

// answer decides what a request gets. It waits for nothing but the archive: a request that may be held comes back with
// response.hold, and the front-end asks again later.
//
//	/healthz                                        is the process serving? exempt from the secret
//	/{app}/streams/{stream}.m3u8                    stable entry; also {stream}_adaptive.m3u8
//	/{app}/streams/{stream}/{recording}/live.m3u8   rolling media playlist
//	/{app}/streams/{stream}-{recording}.m3u8        timestamped playlist
//	/{app}/streams/{stream}/{recording}/{%09d}.ts   segment
func (o *Origin) answer(ctx context.Context, req *http1.Request, res *http1.Response) {
	o.cors.apply(req, res)
	switch {
	case req.Length > o.opts.MaxURL:
		o.text(res, 414, ageNever, "the URL is too long\n")
		return
	case isHealth(req):
		res.Class = uint8(KindHealth)
		o.text(res, 200, ageNever, "ok\n")
		return
	case o.forbidden(req, res):
		return
	case req.Method == http1.MethodOther:
		res.Add("Allow", allowedMethods)
		o.text(res, 405, ageNever, "method not allowed\n")
		return
	case req.Method == http1.MethodOptions:
		o.cors.preflight(req, res)
		if v := o.cors.vary(false); v != "" {
			res.Add("Vary", v)
		}
		return
	}

	s, _ := req.Memo.(*slot)
	if s == nil && strings.HasSuffix(req.Path, ".m3u8") {
		s = o.slots.find(req.Path)
	}
	if s != nil {
		o.playlist(ctx, req, res, s.name, s)
		return
	}
	name, ok := segmenter.Name{}, false
	if len(req.Path) > 0 && req.Path[0] == '/' {
		name, ok = segmenter.ParseName(req.Path[1:])
	}
	switch {
	case !ok:
		o.text(res, 404, age404Removed, notFoundText)
	case name.Kind == segmenter.KindSegment:
		o.segment(ctx, req, res, name)
	default:
		o.playlist(ctx, req, res, name, nil)
	}
}

// quick tells whether the answer to a request is sure to need no waiting: a playlist that is in memory.
func (o *Origin) quick(req *http1.Request) bool {
	if req.Query != "" || req.Method != http1.MethodGet && req.Method != http1.MethodHead {
		return false
	}
	s := o.slots.find(req.Path)
	if s == nil {
		return false
	}
	req.Memo = s
	line := o.line(s.name)
	return line != nil && published(line.Snapshot(), s.name.Kind) != nil
}

// text makes the answer a short line for people, which is the body of everything that is not media.
func (o *Origin) text(res *http1.Response, status int, cacheControl, line string) {
	res.Status = status
	res.Add("Cache-Control", cacheControl)
	res.Add("Content-Type", "text/plain; charset=utf-8")
	res.Add("Content-Length", itoa(int64(len(line))))
	if v := o.cors.vary(false); v != "" {
		res.Add("Vary", v)
	}
	res.Bytes, res.Offset, res.Length = []byte(line), 0, int64(len(line))
}

func (o *Origin) unavailable(res *http1.Response, line string) {
	res.Add("Retry-After", "1")
	o.text(res, 503, ageNever, line)
}

// archiveFailed answers for an object that could not be opened or read.
func (o *Origin) archiveFailed(ctx context.Context, res *http1.Response, key, missing string, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		o.text(res, 404, missing, notFoundText)
	case errors.Is(err, errOverload):
		o.unavailable(res, err.Error()+"\n")
	default:
		if ctx.Err() != nil {
			o.unavailable(res, archiveText)
			return
		}
		o.archiveBroken(res, key, err)
	}
}

const archiveText = "the archive cannot be read now\n"

func (o *Origin) archiveBroken(res *http1.Response, key string, err error) {
	o.stats.ArchiveErrs.Add(1)
	o.opts.Warn("http-archive", "viewers", "an object of the archive cannot be read, viewers get 503", "key", key, "err", err)
	o.unavailable(res, archiveText)
}

// isHealth reports whether a request asks if the process serves.
func isHealth(req *http1.Request) bool {
	return req.Path == "/healthz" && (req.Method == http1.MethodGet || req.Method == http1.MethodHead)
}

// refuse is the answer to a request that is none.
func (o *Origin) refuse(res *http1.Response, status int) {
	switch status {
	case 414:
		o.text(res, status, ageNever, "the URL is too long\n")
	case 431:
		o.text(res, status, ageNever, "the header fields are too large\n")
	case 505:
		o.text(res, status, ageNever, "this HTTP version is not spoken here\n")
	case 503:
		o.unavailable(res, "too many connections\n")
	default:
		o.text(res, 400, ageNever, "malformed request\n")
	}
}
