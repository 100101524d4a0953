package origin

import (
	"context"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// playlist answers for the three kinds of playlist. What viewers see of a recording follows its state:
//
//	starting  no playlist yet: the request is held for a while, then 404
//	live      200
//	stalled   200 with the last playlist: an error would make caches and players give up while the encoder is on its
//	          way back; 404 where FailOnStale says so
//	ended     200 with ENDLIST, until Streams forgets the recording
//	gone      404 for the stable entry; the recording's own playlists live on in the archive
func (o *Origin) playlist(ctx context.Context, req *http1.Request, res *http1.Response, name segmenter.Name, s *slot) {
	res.Class = uint8(kindOf(name.Kind))
	var v view
	if req.Query != "" {
		var err error
		if v, err = parseView(req.Query); err != nil {
			o.text(res, 400, ageNever, err.Error()+"\n")
			return
		}
		if v.shifted() {
			o.shift(ctx, req, res, name, &v)
			return
		}
	}
	line := o.line(name)
	if line == nil {
		if name.Kind == segmenter.KindEntry {
			o.text(res, 404, age404Entry, notFoundText)
			return
		}
		o.archived(ctx, req, res, name, &v)
		return
	}

	snap := line.Snapshot()
	p := published(snap, name.Kind)
	switch {
	case p == nil && snap.State != segmenter.Ended && req.Method == http1.MethodGet && !req.Waited:
		res.Hold, res.HoldFor = snap.Changed(), o.holdFor(snap)
		return
	case p == nil:
		o.text(res, 404, age404Entry, "not started\n")
		return
	case snap.State == segmenter.Stalled && o.opts.FailOnStale && name.Kind != segmenter.KindArchive:
		o.text(res, 404, age404Entry, "the stream is stalled\n")
		return
	}

	if s == nil && name.Kind != segmenter.KindArchive { // a timestamped playlist may be large: it is not kept alive here
		path := strings.Clone(req.Path)
		if owned, ok := segmenter.ParseName(path[1:]); ok {
			s = &slot{name: owned}
			o.slots.insert(owned, path, s)
		}
	}
	sh := o.sheetOf(name, snap, p, s)
	if v.filter != nil && isMaster(p.Body) {
		o.master(ctx, req, res, p, sh.cacheControl, name, &v)
		return
	}
	o.sheet(req, res, sh)
}

func kindOf(k segmenter.Kind) Kind {
	switch k {
	case segmenter.KindEntry:
		return KindEntry
	case segmenter.KindLive:
		return KindLive
	}
	return KindArchive
}

// line is the recording that a playlist's path speaks of; nil where it is not in memory.
func (o *Origin) line(name segmenter.Name) *segmenter.Timeline {
	if name.Kind == segmenter.KindEntry {
		return o.opts.Streams.Timeline(name.App, name.Stream)
	}
	line := o.opts.Streams.Recording(name.App, name.Stream, name.Recording)
	if line == nil {
		return nil
	}
	// A recording that was split is known by two names: its own, and that of the timestamped playlist that grows now.
	snap := line.Snapshot()
	if name.Kind == segmenter.KindArchive && snap.ArchiveName != name.Recording || name.Kind != segmenter.KindArchive && snap.Recording != name.Recording {
		return nil
	}
	return line
}

// published is the rendered playlist of a kind; nil where there is none yet.
func published(snap *segmenter.Snapshot, kind segmenter.Kind) *segmenter.Playlist {
	switch kind {
	case segmenter.KindEntry:
		return snap.Entry
	case segmenter.KindLive:
		return snap.Live
	}
	if snap.State == segmenter.Starting {
		return nil
	}
	return snap.Archive()
}

// sheetOf finds the sheet of this very playlist, or makes it.
func (o *Origin) sheetOf(name segmenter.Name, snap *segmenter.Snapshot, p *segmenter.Playlist, s *slot) *sheet {
	if s != nil {
		if sh := s.sheet.Load(); sh != nil && sh.playlist == p && sh.state == snap.State {
			return sh
		}
	}
	td := snap.TargetDuration
	ended := snap.State == segmenter.Ended
	var sh *sheet
	switch name.Kind {
	case segmenter.KindEntry:
		sh = newSheet(p, name.Kind.Age(td, false)) // also when ended: a restarted show must not hide behind its past
	case segmenter.KindLive:
		sh = newSheet(p, name.Kind.Age(td, ended))
		if snap.Next() > 0 {
			sh.lastSequence = itoa(int64(snap.Next() - 1))
		}
		sh.lastUpdated = itoa(p.Modified.UnixMilli())
	default:
		sh = newSheet(p, name.Kind.Age(td, ended && o.opts.Settled(name.App, name.Stream, name.Recording)))
	}
	sh.state = snap.State
	if s != nil {
		s.sheet.Store(sh)
	}
	return sh
}

// sheet answers with a playlist in the encoding that the client prefers.
func (o *Origin) sheet(req *http1.Request, res *http1.Response, sh *sheet) {
	p := sh.playlist
	rep := representation{
		contentType:  segmenter.TypePlaylist,
		cacheControl: sh.cacheControl,
		vary:         o.cors.vary(true),
		etag:         p.ETag,
		modified:     p.Modified,
		lastModified: sh.lastModified,
		size:         int64(len(p.Body)),
		contentSize:  sh.size,
	}
	body := p.Body
	if len(p.Gzip) > 0 && wantsGzip(req.AcceptEncoding) {
		body = p.Gzip
		rep.etag, rep.encoding, rep.size, rep.contentSize = p.GzipETag, "gzip", int64(len(p.Gzip)), sh.gzipSize
	}
	if sh.lastSequence != "" {
		res.Add("X-HLS-Last-Sequence", sh.lastSequence)
		res.Add("X-HLS-Last-Updated", sh.lastUpdated)
	}
	if o.deliver(req, res, &rep) {
		res.Bytes = body
	}
}

// holdFor is how long a first playlist is awaited.
func (o *Origin) holdFor(snap *segmenter.Snapshot) time.Duration {
	td := time.Duration(snap.TargetDuration) * time.Second
	if td == 0 {
		td = o.opts.TargetDuration
	}
	return min(3*td, o.opts.MaxHold)
}
