package origin

import (
	"context"
	"strings"

	"github.com/hlsorigin/hlsorigin/origin/directive"
	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// answer decides what a request gets, in one pass whose stages decide one thing each:
//
//	admit      is it answered at all: length, health, secret, method
//	resolve    which object its path names, and which view of it its query asks for
//	select     where that is taken from: a snapshot, the spool, the archive, of which recording; or another server of a cluster
//	transform  what the view makes of a playlist: a window of time, fewer variants
//	deliver    in which encoding, whether at all, and which part of it
//
// It waits for nothing but the archive: a request that may be held comes back with Response.Hold, and is asked again later.
// What a stage refuses is a *refusal, and is answered here alone.
//
//	/healthz                                        is the process serving? exempt from the secret
//	/time, /{app}/time                              what time it is
//	/{app}/streams/{stream}.m3u8                    stable entry; also {stream}_adaptive.m3u8
//	/{app}/streams/{stream}/{recording}/live.m3u8   rolling media playlist
//	/{app}/streams/{stream}-{recording}.m3u8        timestamped playlist
//	/{app}/streams/{stream}/{recording}/{%09d}.ts   segment
//	/{app}/streams/{stream}_ll.m3u8                 low-latency entry
//	/{app}/streams/{stream}/{recording}/ll.m3u8     low-latency media playlist
//	/{app}/streams/{stream}/{recording}/{%09d}.{part}.ts   part of a segment
//
// and, made of these when it is asked for,
//
//	/{app}/streams/{stream}_cmaf.m3u8                       entry; also {stream}-{recording}_cmaf.m3u8
//	/{app}/streams/{stream}.mpd                             DASH; also {stream}-{recording}.mpd
//	/{app}/streams/{stream}_ll.mpd                          low-latency DASH
//	/{app}/streams/{stream}/{recording}/{v|a}/live.m3u8     media playlist of a track; also {v|a}/{recording}.m3u8
//	/{app}/streams/{stream}/{recording}/iframes.m3u8        I-frame playlist
//	/{app}/streams/{stream}-{recording}_iframes.m3u8        the same of the whole recording
//	/{app}/streams/{stream}/{recording}/v/iframes.m3u8      the same of the video track; also v/{recording}_iframes.m3u8
//	/{app}/streams/{stream}/{recording}/{v|a}/{%09d}.m4s    fragment
//	/{app}/streams/{stream}/{recording}/{v|a}/{%09d}.{part}.m4s  part of a fragment
//	/{app}/streams/{stream}/{recording}/{v|a}/init-….mp4    init segment
func (o *Origin) answer(ctx context.Context, req *http1.Request, res *http1.Response) {
	o.cors().apply(req, res)
	if !o.admit(req, res) {
		return
	}
	var a ask
	err := o.resolve(req, &a)
	res.Class = uint8(a.kind)
	elsewhere := false
	if err == nil {
		switch elsewhere = o.opts.Remote != nil && !local(ctx) && o.away(&a.name); {
		case elsewhere:
			err = o.elsewhere(ctx, req, res, &a)
		case o.opts.Remote != nil && local(ctx):
			err = o.toOthers(ctx, req, res, &a)
		default:
			err = o.here(ctx, req, res, &a)
		}
	}
	if err != nil {
		o.refuse(res, err)
	} else if res.Hold == nil && !elsewhere {
		o.requested(&a)
	}
}

// here answers from what this server has itself: in memory, in its spool, and in the archive.
func (o *Origin) here(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	switch {
	case a.name.Kind == segmenter.KindSegment:
		return o.segment(ctx, req, res, a)
	case a.name.Kind == segmenter.KindPart:
		return o.part(ctx, req, res, a)
	case a.name.Kind.Source() == a.name.Kind:
		return o.playlist(ctx, req, res, a)
	case a.name.Kind == segmenter.KindIFrames, a.name.Kind == segmenter.KindIFramesArchive:
		return o.iframes(ctx, req, res, a)
	case o.rules.Load().noCMAF[a.name.App]:
		return cmafOff(a.name.Kind)
	}
	return o.rendering(ctx, req, res, a)
}

// requested notes that a stream's live media playlist was asked for, in whichever form: once for a player, of which one for CMAF asks
// for two playlists.
func (o *Origin) requested(a *ask) {
	sound := false
	switch a.name.Kind {
	case segmenter.KindLive, segmenter.KindLowLatency, segmenter.KindDASHEntry, segmenter.KindLowLatencyDASH:
	case segmenter.KindTrackLive:
		sound = a.name.Track == segmenter.AudioTrack
	default:
		return
	}
	if a.view.shifted() {
		return
	}
	line := a.line
	if line == nil {
		line = o.line(a.name.Source())
	}
	if line == nil || sound && line.Snapshot().Variant.VideoCodec != "" {
		return
	}
	line.Requested()
}

// rendering answers for what is made of transport stream objects.
func (o *Origin) rendering(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	if !a.view.shifted() && !a.orphan {
		if line, snap := o.trackLine(a.name); line != nil {
			return o.trackEdge(ctx, req, res, a, line, snap)
		}
	}
	if rolls(a.name.Kind) && a.view.plain() && !a.orphan {
		if sh := o.madeOf(a.slot); sh != nil {
			o.deliverText(req, res, sh, a.name.ContentType())
			return nil
		}
	}
	switch a.name.Kind {
	case segmenter.KindFragment:
		return o.fragment(ctx, req, res, a)
	case segmenter.KindFragmentPart:
		return o.part(ctx, req, res, a)
	case segmenter.KindInit:
		return o.initSegment(ctx, req, res, a)
	case segmenter.KindTrackIFrames, segmenter.KindTrackIFramesArchive:
		return o.trackIFrames(ctx, req, res, a)
	case segmenter.KindTrackLive, segmenter.KindTrackArchive:
		return o.trackPlaylist(ctx, req, res, a)
	case segmenter.KindCMAFEntry, segmenter.KindCMAFArchive:
		return o.cmafEntry(ctx, req, res, a)
	case segmenter.KindDASHEntry, segmenter.KindDASHArchive, segmenter.KindLowLatencyDASH:
		return o.dash(ctx, req, res, a)
	}
	return notFoundRemoved
}

// playlist answers for playlists of all kinds.
func (o *Origin) playlist(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	c, err := o.selectPlaylist(ctx, req, a)
	if err != nil {
		return err
	}
	if c.hold != nil {
		res.Hold, res.HoldFor = c.hold.Advanced(), o.holdFor(c.hold)
		return nil
	}
	sh, err := o.transform(ctx, a, &c)
	if err != nil {
		return err
	}
	o.shownFromBucket(req, a, sh)
	o.deliverSheet(req, res, sh)
	return nil
}

// segment answers requests for a segment.
func (o *Origin) segment(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	m, err := o.selectSegment(ctx, a.name)
	if err != nil {
		return err
	}
	return o.deliverSegment(req, res, a.name, &m)
}

const allowedMethods = "GET, HEAD, OPTIONS"

// admit reports whether a request asks for an object. If not, it has answered the request.
func (o *Origin) admit(req *http1.Request, res *http1.Response) bool {
	switch {
	case req.Length > o.opts.MaxURL:
		o.text(res, 414, ageNever, "the URL is too long\n")
	case isHealth(req):
		res.Class = uint8(KindHealth)
		o.text(res, 200, ageNever, "ok\n")
	case o.forbidden(req, res):
	case isClock(req):
		res.Class = uint8(KindOther)
		o.text(res, 200, ageNever, o.opts.Now().UTC().Format("2006-01-02T15:04:05.000Z")+"\n")
	case req.Method == http1.MethodOther:
		res.Add("Allow", allowedMethods)
		o.text(res, 405, ageNever, "method not allowed\n")
	case req.Method == http1.MethodOptions:
		o.cors().preflight(req, res)
		if v := o.cors().vary(false); v != "" {
			res.Add("Vary", v)
		}
	default:
		return true
	}
	return false
}

// isHealth reports whether a request is a health check.
func isHealth(req *http1.Request) bool {
	return req.Path == "/healthz" && (req.Method == http1.MethodGet || req.Method == http1.MethodHead)
}

// quick reports whether the answer to a request certainly needs no waiting: a playlist in memory.
func (o *Origin) quick(req *http1.Request) bool {
	s := o.slots.find(req.Path)
	if s == nil {
		return o.quickPart(req)
	}
	if o.opts.Remote != nil && o.away(&s.name) {
		req.Memo = s
		return s.quickElsewhere(req)
	}
	line, snap := o.trackLine(s.name)
	if req.Query != "" && (s.name.Kind != segmenter.KindLowLatency && line == nil || !directive.Only(req.Query)) {
		return false
	}
	req.Memo = s
	if line != nil {
		return o.quickEdge(req, s, snap)
	}
	if rolls(s.name.Kind) {
		return o.madeOf(s) != nil
	}
	line = o.line(s.name)
	return line != nil && isPublished(line.Snapshot(), s.name.Kind)
}

// ask is what a request asks for.
type ask struct {
	kind Kind
	name segmenter.Name
	slot *slot // what the path is known to stand for; nil if it was not looked up
	view view
	asks directive.Set
	line *segmenter.Timeline // that a playlist as it is now was selected from

	orphan bool // another server has the stream, and cannot be reached: what is in memory here, if anything, is old
	taken  bool // orphan, because this server is taking it over: what was read from the bucket before is old, too
}

// resolve determines which object is requested, and which view of it.
func (o *Origin) resolve(req *http1.Request, a *ask) error {
	if a.slot, _ = req.Memo.(*slot); a.slot == nil && (strings.HasSuffix(req.Path, ".m3u8") || strings.HasSuffix(req.Path, ".mpd")) {
		a.slot = o.slots.find(req.Path)
	}
	if a.slot != nil {
		a.name = a.slot.name
	} else {
		ok := false
		if strings.HasPrefix(req.Path, "/") {
			a.name, ok = segmenter.ParseName(req.Path[1:])
		}
		if !ok {
			return notFoundRemoved
		}
	}
	if a.kind = kindOf(a.name.Kind.Source()); a.kind == KindSegment || req.Query == "" {
		return nil
	}
	var err error
	if a.view, err = parseView(req.Query); err == nil && a.name.Kind == segmenter.KindLowLatency {
		a.asks, err = directive.Parse(req.Query)
	}
	if err != nil {
		return &refusal{400, ageNever, err.Error() + "\n"}
	}
	if a.view.shifted() {
		a.view.instant = a.view.from(o.opts.Now())
		a.name.Kind = ordinary(a.name.Kind)
	}
	return nil
}

func kindOf(k segmenter.Kind) Kind {
	switch k {
	case segmenter.KindEntry, segmenter.KindLowLatencyEntry:
		return KindEntry
	case segmenter.KindLive, segmenter.KindLowLatency:
		return KindLive
	case segmenter.KindSegment, segmenter.KindPart:
		return KindSegment
	}
	return KindArchive
}

// ordinary is the kind that a low-latency playlist has where it is of another time.
func ordinary(k segmenter.Kind) segmenter.Kind {
	switch k {
	case segmenter.KindLowLatency:
		return segmenter.KindLive
	case segmenter.KindLowLatencyEntry:
		return segmenter.KindEntry
	case segmenter.KindLowLatencyDASH:
		return segmenter.KindDASHEntry
	}
	return k
}

// engine is an Origin as seen by the HTTP engine.
type engine struct{ o *Origin }

// Answer implements http1.Handler.
func (e engine) Answer(ctx context.Context, req *http1.Request, res *http1.Response) {
	e.o.answer(ctx, req, res)
}

// Refuse implements http1.Handler: it answers what is not a valid request.
func (e engine) Refuse(status int, res *http1.Response) {
	o := e.o
	o.cors().apply(&http1.Request{}, res)
	text := "malformed request\n"
	switch status {
	case 414:
		text = "the URL is too long\n"
	case 431:
		text = "the header fields are too large\n"
	case 503:
		text = "too many connections\n"
	case 505:
		text = "this HTTP version is not spoken here\n"
	}
	o.refuse(res, &refusal{status, ageNever, text})
}
