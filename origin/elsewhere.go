package origin

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/directive"
	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/origin/remote"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// In a cluster any server answers for any stream, and gives the answer of the one that has it. What is asked of that one, and for how many
// viewers at once, is for origin/remote to say. Here it becomes an answer as if it had been made here: with this server's rules for pages and
// secrets, its conditions, ranges and encodings.

// local reports whether a request comes from another server, which wants to know what is here.
func local(ctx context.Context) bool { return ctx.Value(localKey{}) != nil }

// away reports whether another server may have a stream: this one has no recording of it that somebody feeds.
func (o *Origin) away(name *segmenter.Name) bool {
	line := o.opts.Streams.Timeline(name.App, name.Stream)
	if line == nil {
		return true
	}
	state := line.Snapshot().State
	return state == segmenter.Ended || state == segmenter.Stalled
}

// taking reports whether this server may be about to show a recording of a stream that it has taken over.
func (o *Origin) taking(name *segmenter.Name) bool {
	return o.opts.Taking != nil && o.opts.Taking(name.App, name.Stream) && o.line(name.Source()) == nil
}

// toOthers answers another server, which takes the stream to be this one's.
func (o *Origin) toOthers(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	if o.taking(&a.name) {
		rep := o.opts.Remote.Whose(a.name.App, a.name.Stream)
		if rep.Verdict == remote.Pending && !req.Waited {
			res.Hold, res.HoldFor = rep.Wait, longHold
			return nil
		}
		a.taken = rep.Owner.Recording != "" && !rep.Owner.Ended // else viewers would be sent to a show that is over
		a.orphan = a.taken
	}
	return o.here(ctx, req, res, a)
}

// copied is a playlist of another server, and the newest sheet of it.
type copied struct {
	from   *remote.Copy
	answer *remote.Answer
	sheet  *sheet
}

// longHold bounds how long a request waits for another server, which may hold it itself for a first playlist, or for a part.
const longHold = 35 * time.Second

var tooManyAway = &refusal{503, ageNever, "too much is asked of other servers now\n"}

// quickElsewhere reports whether the answer to a request is in memory, or is waited for.
func (s *slot) quickElsewhere(req *http1.Request) bool {
	c := s.copy.Load()
	return c != nil && c.from.Ready() != nil && (req.Query == "" || directive.Only(req.Query))
}

// elsewhere answers for a stream that another server may have.
func (o *Origin) elsewhere(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	if req.Held { // its context may end with the wait, and that of an object of the archive must not, before it is sent
		ctx = context.WithoutCancel(ctx)
	}
	query := carriedOn(req.Query)
	if query == "" && a.slot != nil {
		if c := a.slot.copy.Load(); c != nil {
			if answer := c.from.Ready(); answer != nil {
				o.deliverText(req, res, a.slot.notBehind(a.slot.copiedSheet(c.from, answer), o.opts.Now()), answer.ContentType)
				return nil
			}
		}
	}
	q := remote.Query{Name: a.name, Path: req.Path, Query: query, Held: req.Held}
	if line := o.opts.Streams.Timeline(a.name.App, a.name.Stream); line != nil {
		if snap := line.Snapshot(); snap.State == segmenter.Ended {
			q.Since = snap.Modified // who took the stream may be the reason
		}
	}
	switch a.name.Kind {
	case segmenter.KindSegment:
		q.Query = ""
		return o.segmentElsewhere(ctx, req, res, a, q)
	case segmenter.KindPart, segmenter.KindFragment, segmenter.KindFragmentPart, segmenter.KindInit:
		q.Query = ""
	default:
		if q.Head = q.Query != "" && req.Method == http1.MethodHead; q.Head {
			q.Gzip = wantsGzip(req.AcceptEncoding)
		}
	}
	rep := o.opts.Remote.Ask(q)
	return o.reply(ctx, req, res, a, rep)
}

// carriedOn is what of a query another server has to know. The rest changes no answer, and would make each viewer's request one of its own.
func carriedOn(query string) string {
	if query == "" {
		return ""
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		switch name, _, _ := strings.Cut(pair, "="); directive.Name(name) {
		case "start", "end", "time_delay", "aws.manifestfilter", "_HLS_msn", "_HLS_part", "_HLS_skip":
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

// copiedSheet returns the sheet of a version of a copy, or makes it.
func (s *slot) copiedSheet(from *remote.Copy, answer *remote.Answer) *sheet {
	if c := s.copy.Load(); c != nil && c.answer == answer {
		return c.sheet
	}
	c := &copied{from, answer, sheetOfAnswer(answer)}
	s.copy.Store(c)
	return c.sheet
}

// sheetOfAnswer is a playlist as another server gave it.
func sheetOfAnswer(answer *remote.Answer) *sheet {
	sh := newSheet(&segmenter.Playlist{Body: answer.Body, Gzip: answer.Gzip, ETag: answer.ETag, GzipETag: answer.GzipETag, Modified: answer.Modified}, answer.CacheControl)
	sh.lastSequence, sh.lastUpdated = answer.LastSequence, answer.LastUpdated
	return sh
}

// reply answers with what is known of another server's answer.
func (o *Origin) reply(ctx context.Context, req *http1.Request, res *http1.Response, a *ask, rep remote.Reply) error {
	switch rep.Verdict {
	case remote.Pending:
		if req.Waited {
			return archiveAway
		}
		res.Hold, res.HoldFor = rep.Wait, longHold
		return nil
	case remote.Here:
		// Between the claim to a recording and its timeline the bucket has all that viewers have seen of it.
		a.taken = rep.Owner.Recording != "" && !rep.Owner.Ended && o.taking(&a.name)
		a.orphan = a.taken
		return o.here(ctx, req, res, a)
	case remote.Unsure:
		if ordinary(a.name.Kind.Source()) == segmenter.KindEntry && o.line(a.name.Source()) == nil {
			return archiveAway // it may be somebody's: who is told that there is nothing does not come back
		}
		return o.here(ctx, req, res, a)
	case remote.Busy:
		return tooManyAway
	case remote.Lost:
		return o.orphaned(ctx, req, res, a, rep)
	}
	answer := rep.Answer
	switch {
	case answer.Status != 200:
		return &refusal{answer.Status, answer.CacheControl, string(answer.Body)}
	case isMedia(a.name.Kind):
		return o.deliverObject(req, res, a, answer)
	case answer.Body == nil:
		o.deliverHead(req, res, answer)
		return nil
	case rep.Copy == nil:
		o.deliverText(req, res, sheetOfAnswer(answer), answer.ContentType)
		return nil
	}
	if a.name.Kind.Source() != segmenter.KindArchive { // as in current
		o.remember(req, a)
	}
	sh := (*sheet)(nil)
	if a.slot != nil {
		sh = a.slot.notBehind(a.slot.copiedSheet(rep.Copy, answer), o.opts.Now())
	} else {
		sh = sheetOfAnswer(answer)
	}
	o.deliverText(req, res, sh, answer.ContentType)
	return nil
}

// isMedia reports whether objects of a kind are media: one segment, or what was made of it.
func isMedia(k segmenter.Kind) bool {
	switch k.Source() {
	case segmenter.KindSegment, segmenter.KindPart:
		return true
	}
	return false
}

// deliverObject answers with a segment, or what was made of one, that another server gave.
func (o *Origin) deliverObject(req *http1.Request, res *http1.Response, a *ask, answer *remote.Answer) error {
	switch a.name.Kind {
	case segmenter.KindSegment:
		return o.deliverSegment(req, res, a.name, &media{body: answer.Body, size: answer.Length, modified: answer.Modified, age: answer.CacheControl})
	case segmenter.KindPart:
		rep := o.lasting(segmenter.TypeSegment, partID(a.name.Sequence, a.name.Part), answer.Length, answer.Modified, answer.CacheControl)
		if o.deliver(req, res, &rep) {
			res.Bytes = answer.Body
		}
		return nil
	}
	o.deliverBytes(req, res, a.name, answer.Body, answer.Modified, answer.CacheControl)
	return nil
}

// deliverHead answers HEAD with what another server answered to one.
func (o *Origin) deliverHead(req *http1.Request, res *http1.Response, answer *remote.Answer) {
	rep := representation{
		contentType: answer.ContentType, cacheControl: answer.CacheControl, vary: o.cors().vary(true), etag: answer.ETag,
		modified: answer.Modified, lastModified: httpDate(answer.Modified), size: answer.Length, contentSize: itoa(answer.Length),
	}
	if answer.Gzipped {
		rep.etag, rep.encoding = answer.GzipETag, "gzip"
	}
	if answer.LastSequence != "" {
		res.Add("X-HLS-Last-Sequence", answer.LastSequence)
		res.Add("X-HLS-Last-Updated", answer.LastUpdated)
	}
	o.deliver(req, res, &rep)
}

// segmentElsewhere answers for a segment: from here or from the bucket, and where neither has it from the server that has the stream.
func (o *Origin) segmentElsewhere(ctx context.Context, req *http1.Request, res *http1.Response, a *ask, q remote.Query) error {
	if rep, ok := o.opts.Remote.Found(q); ok && rep.Verdict == remote.Away {
		return o.reply(ctx, req, res, a, rep)
	}
	modified, wait := o.dateElsewhere(ctx, a.name, q)
	if wait != nil && !req.Waited {
		res.Hold, res.HoldFor = wait, longHold
		return nil
	}
	m, err := o.segmentInTime(ctx, a.name)
	if err == nil {
		if m.segment == nil && !modified.IsZero() {
			m.modified = modified
		}
		return o.deliverSegment(req, res, a.name, &m)
	}
	switch rep := o.opts.Remote.Ask(q); rep.Verdict {
	case remote.Away, remote.Pending:
		return o.reply(ctx, req, res, a, rep)
	}
	return err
}

// dateElsewhere is when the server that has a segment's recording says that it was last changed: the bucket has another date. It is taken from
// the playlist that viewers of the stream make this server follow, and asked for where that does not list the segment any more. Zero: nobody
// says.
func (o *Origin) dateElsewhere(ctx context.Context, name segmenter.Name, q remote.Query) (modified time.Time, wait <-chan struct{}) {
	rep := o.opts.Remote.Whose(name.App, name.Stream)
	if rep.Verdict != remote.Away || rep.Owner.Ended || rep.Owner.Recording != name.Recording {
		return time.Time{}, rep.Wait
	}
	live := segmenter.Name{Kind: segmenter.KindLive, App: name.App, Stream: name.Stream, Recording: name.Recording}
	rep = o.opts.Remote.Ask(remote.Query{Name: live, Path: "/" + live.String(), Held: true})
	if rep.Verdict != remote.Away || rep.Answer.Status != 200 {
		return time.Time{}, rep.Wait
	}
	t, err := o.tableOfText(ctx, "rows "+live.String()+rep.Answer.ETag, live, sheetOfAnswer(rep.Answer).playlist)
	if err == nil && name.Sequence >= t.first() && name.Sequence < t.next() {
		return t.entries[name.Sequence-t.first()].End(), nil
	}
	q.Head = true
	if rep = o.opts.Remote.Ask(q); rep.Verdict == remote.Away && rep.Answer.Status == 200 {
		return rep.Answer.Modified, nil
	}
	return time.Time{}, rep.Wait
}

// orphaned answers for a stream whose server cannot be reached: as for one that is stalled, with the last playlists, which are those that this
// server has had from it or those in the bucket.
func (o *Origin) orphaned(ctx context.Context, req *http1.Request, res *http1.Response, a *ask, rep remote.Reply) error {
	kind := a.name.Kind.Source()
	entry := ordinary(kind) == segmenter.KindEntry
	a.orphan = true
	switch {
	case isMedia(kind) || a.view.shifted():
		return o.here(ctx, req, res, a)
	case rep.Owner.Ended && entry:
		return notFoundEntry // it was over, and nobody knows for how long
	case !rep.Owner.Ended && kind != segmenter.KindArchive && o.rules.Load().failOnStale:
		return isStalled
	case rep.Answer != nil && a.view.plain() && (entry || o.newer(ctx, a, rep.Answer)):
		sh := sheetOfAnswer(rep.Answer)
		if a.slot != nil {
			sh = a.slot.notBehind(sh, o.opts.Now())
		}
		o.deliverText(req, res, sh, rep.Answer.ContentType)
		return nil
	}
	return o.here(ctx, req, res, a)
}

// least is a playlist that viewers were shown from the bucket while its server could not be reached. The bucket has a segment a moment before
// that server lists it, so that its own answer, when it comes again, may be the older one.
type least struct {
	sheet       *sheet
	first, next uint64
	until       time.Time
}

// leastFor is for how long a server may be behind what the bucket had of it.
const leastFor = 10 * time.Second

// shownFromBucket notes what viewers are shown of a rolling playlist, where that comes from the bucket and another server has the stream.
func (o *Origin) shownFromBucket(req *http1.Request, a *ask, sh *sheet) {
	switch a.name.Kind {
	case segmenter.KindLive, segmenter.KindTrackLive, segmenter.KindIFrames, segmenter.KindTrackIFrames:
	default:
		return
	}
	if !a.orphan || !a.view.plain() {
		return
	}
	first, next := extent(sh.playlist.Body)
	if next == 0 {
		return
	}
	o.remember(req, a)
	if a.slot != nil {
		a.slot.least.Store(&least{sh, first, next, o.opts.Now().Add(leastFor)})
	}
}

// notBehind returns what another server said of a playlist, or, as long as that is older, what viewers were shown from the bucket.
func (s *slot) notBehind(sh *sheet, now time.Time) *sheet {
	l := s.least.Load()
	if l == nil {
		return sh
	}
	if first, next := extent(sh.playlist.Body); now.Before(l.until) && (first < l.first || next < l.next) {
		return l.sheet
	}
	s.least.CompareAndSwap(l, nil)
	return sh
}

// newer reports whether the playlist in the bucket has no more than the last answer of a server that is away.
func (o *Origin) newer(ctx context.Context, a *ask, answer *remote.Answer) bool {
	name := a.name.Source()
	name.Kind = ordinary(name.Kind)
	sh, err := o.archivedSheet(ctx, name)
	return err != nil || reach(sh.playlist.Body) <= reach(answer.Body) // the one in the bucket may begin earlier
}

// reach is how far a media playlist goes: the number after its last segment, and one more where that was the last.
func reach(body []byte) uint64 {
	_, next := extent(body)
	return next
}

// extent is where a media playlist begins, and its reach; two zeros where it is none.
func extent(body []byte) (first, next uint64) {
	_, rest, _ := bytes.Cut(body, []byte("\n#EXT-X-MEDIA-SEQUENCE:"))
	digits, _, _ := bytes.Cut(rest, []byte("\n"))
	first, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 10, 62)
	if err != nil {
		return 0, 0
	}
	return first, first + uint64(bytes.Count(body, []byte("\n#EXTINF:"))) + uint64(bytes.Count(body, []byte("\n#EXT-X-ENDLIST")))
}

// stalled is a live playlist from the bucket, with the fields that it has where it is live.
func (s *sheet) stalled() *sheet {
	again := *s
	if next := reach(s.playlist.Body) - uint64(bytes.Count(s.playlist.Body, []byte("\n#EXT-X-ENDLIST"))); next > 0 {
		again.lastSequence = itoa(int64(next - 1))
	}
	again.lastUpdated = itoa(s.playlist.Modified.UnixMilli())
	return &again
}
