package origin

import (
	"context"
	"errors"
	"io/fs"
	"strings"

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
func (o *Origin) answer(ctx context.Context, req *request, res *response) {
	o.cors.apply(req, res)
	switch {
	case req.length > o.opts.MaxURL:
		o.text(res, 414, ageNever, "the URL is too long\n")
		return
	case req.path == "/healthz" && (req.method == methodGet || req.method == methodHead):
		res.kind = KindHealth
		o.text(res, 200, ageNever, "ok\n")
		return
	case !o.guard.admits(req.secret):
		o.text(res, 403, ageNever, "forbidden\n")
		return
	case req.method == methodOther:
		res.add("Allow", allowedMethods)
		o.text(res, 405, ageNever, "method not allowed\n")
		return
	case req.method == methodOptions:
		o.cors.preflight(req, res)
		if v := o.cors.vary(false); v != "" {
			res.add("Vary", v)
		}
		return
	}

	if req.slot == nil && strings.HasSuffix(req.path, ".m3u8") {
		req.slot = o.slots.find(req.path)
	}
	if s := req.slot; s != nil {
		o.playlist(ctx, req, res, s.name, s)
		return
	}
	name, ok := segmenter.Name{}, false
	if len(req.path) > 0 && req.path[0] == '/' {
		name, ok = segmenter.ParseName(req.path[1:])
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
func (o *Origin) quick(req *request) bool {
	if req.query != "" || req.method != methodGet && req.method != methodHead {
		return false
	}
	if req.slot = o.slots.find(req.path); req.slot == nil {
		return false
	}
	line := o.line(req.slot.name)
	return line != nil && published(line.Snapshot(), req.slot.name.Kind) != nil
}

// text makes the answer a short line for people, which is the body of everything that is not media.
func (o *Origin) text(res *response, status int, cacheControl, line string) {
	res.status = status
	res.add("Cache-Control", cacheControl)
	res.add("Content-Type", "text/plain; charset=utf-8")
	res.add("Content-Length", itoa(int64(len(line))))
	if v := o.cors.vary(false); v != "" {
		res.add("Vary", v)
	}
	res.bytes, res.offset, res.length = []byte(line), 0, int64(len(line))
}

func (o *Origin) unavailable(res *response, line string) {
	res.add("Retry-After", "1")
	o.text(res, 503, ageNever, line)
}

// archiveFailed answers for an object that could not be opened or read.
func (o *Origin) archiveFailed(ctx context.Context, res *response, key, missing string, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		o.text(res, 404, missing, notFoundText)
	case errors.Is(err, ErrOverload):
		o.unavailable(res, err.Error()+"\n")
	default:
		if ctx.Err() == nil {
			o.stats.ArchiveErrs.Add(1)
			o.opts.Log.Warn("archive cannot be read", "key", key, "err", err)
		}
		o.unavailable(res, "the archive cannot be read now\n")
	}
}
