package origin

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/cmaf"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// All that is CMAF is made of the transport stream's objects when it is asked for: a request is one for the object that it is
// made of, selected as that is, with the same view, the same holding and the same age, and one more transformation.

// selectSource finds the playlist over transport streams that a's is made of, and what asks for it. Where it is held, res says so.
func (o *Origin) selectSource(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) (ask, choice, error) {
	src := *a
	src.name = a.name.Source()
	src.slot = &slot{name: src.name} // nobody finds it by a's path
	c, err := o.selectPlaylist(ctx, req, &src)
	if c.hold != nil {
		res.Hold, res.HoldFor = c.hold.Changed(), o.holdFor(c.hold)
	}
	return src, c, err
}

// cmafOff says that an app is not served as CMAF.
func cmafOff(k segmenter.Kind) *refusal {
	return &refusal{404, ageFormless(k), "this app is not served as CMAF and DASH: hls.cmaf is off\n"}
}

// ageFormless is for how long it counts that an object has no form in CMAF: a stable entry may have one with the next show.
func ageFormless(k segmenter.Kind) string {
	if k.Source() == segmenter.KindEntry {
		return age404Entry
	}
	return age404Removed
}

// listing is the rows of a media playlist, whatever they were taken from.
type listing struct {
	name   segmenter.Name // of the playlist over transport streams
	dir    string         // of the recording, relative to /{app}/streams/, with its slash at the end
	rows   []segmenter.Row
	kind   m3u8.Type
	target int // seconds
	final  bool
	age    string // Cache-Control
	key    string // names its content
	sheet  *sheet // that it was read from; nil: it is a window of time

	sequence   *cmaf.Sequence // of a manifest of low latency: its rows are those of it
	partTarget int64          // and PART-TARGET, ticks
	edge       uint64         // the number after the newest segment, which that playlist may not list yet
}

// folder is where the tracks of what the playlist lists are: its own, relative to /{app}/streams/, with its slash at the end. So they
// are found by the playlist that listed them: that of a split, or of a clip, may be all that is left of the recording.
func (l *listing) folder() string { return l.name.Stream + "/" + string(l.name.Recording) + "/" }

// trackFrom is the folder of a track, relative to the playlist of that name, which is one of the track; empty: it lies there.
func (l *listing) trackFrom(name segmenter.Name) string {
	if l.folder() == name.Stream+"/"+string(name.Recording)+"/" {
		return ""
	}
	return "../../../" + l.folder() + string(rune(name.Track)) + "/"
}

// rows takes a media playlist apart.
func (o *Origin) rows(ctx context.Context, a *ask, c *choice) (*listing, error) {
	if t := c.table; t != nil {
		w := t.cut(&a.view)
		return &listing{
			name: a.name, dir: t.dir, rows: t.entries[w.first:w.last], kind: w.kind, target: t.targetDuration, final: w.final,
			age: segmenter.KindArchive.Age(t.targetDuration, w.final),
			key: "window " + t.id + " " + strconv.FormatUint(t.entries[w.first].Sequence, 10) + "-" + strconv.FormatUint(t.entries[w.last-1].Sequence, 10) +
				" " + strconv.Itoa(int(w.kind)) + strconv.FormatBool(w.final),
		}, nil
	}
	name, key := a.name, "rows "+a.name.String()+c.sheet.playlist.ETag
	t, err := o.tableOfText(ctx, key, name, c.sheet.playlist)
	if err != nil {
		return nil, o.asRefusal(ctx, a, err)
	}
	return &listing{
		name: name, dir: t.dir, rows: t.entries, kind: t.kind, target: t.targetDuration, final: t.ended, age: c.age, key: key, sheet: c.sheet,
	}, nil
}

// sourceRows is the media playlist over transport streams that a's is made of, taken apart; nil without an error where it is held.
func (o *Origin) sourceRows(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) (*listing, error) {
	src, c, err := o.selectSource(ctx, req, res, a)
	if err != nil || c.hold != nil {
		return nil, err
	}
	if c.sheet != nil && isMaster(c.sheet.playlist.Body) {
		return nil, notFoundRemoved // the archive of a ladder has neither tracks nor pictures of its own
	}
	return o.rows(ctx, &src, &c)
}

// config is how a run of rows without a discontinuity is coded, by which of them; nil where none of those tried can be read. The newest is tried
// first: of a run that is on the air it is in memory, and nothing else is then looked at. What it lacks of a track, as the last before a break may,
// the others tell.
func (o *Origin) config(ctx context.Context, app, dir string, rows []segmenter.Row) (*cmaf.Config, segmenter.Row, error) {
	var whole []int
	for i := range rows {
		if !rows[i].Gap {
			whole = append(whole, i)
		}
	}
	var found *cmaf.Config
	var of segmenter.Row
	var near []int // those that may be asked what is missing; nil: all
	for try, n := 0, len(whole); try < min(4, n); try++ {
		i := whole[[...]int{n - 1, max(n-2, 0), 0, n / 2}[try]]
		if near != nil && !slices.Contains(near, i) {
			continue
		}
		c, err := o.rowHead(ctx, app, dir, &rows[i])
		if err != nil {
			return nil, of, err
		}
		first := found == nil && c != nil
		if first {
			of = rows[i]
		}
		if found = found.Fill(c); found != nil && !found.Head.Lacks {
			break
		}
		if first {
			if near = o.inMemory(app, dir, rows); !slices.Contains(near, i) {
				near = nil
			}
		}
	}
	return found, of, nil
}

// trackPlaylist answers for the playlist of one track.
func (o *Origin) trackPlaylist(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	l, err := o.sourceRows(ctx, req, res, a)
	if l == nil {
		return err
	}
	dir := l.trackFrom(a.name)
	sh, err := cached(ctx, &o.pages, "track "+a.name.String()+" "+l.key, func() (*sheet, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		all, err := o.inits(ctx, l)
		if err != nil {
			return nil, 0, 0, err
		}
		if err := unfit(all, a.name.Track); err != nil {
			return nil, 0, 0, err
		}
		m := cmaf.Media{Type: l.kind, TargetDuration: l.target, EndList: l.final, Track: a.name.Track, Dir: dir}
		return o.page(m.Append(nil, all), l)
	})
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	sh = sh.aged(l.age)
	o.keepMade(req, a, sh, l)
	o.shownFromBucket(req, a, sh)
	o.deliverText(req, res, sh, a.name.ContentType())
	return nil
}

// unfit refuses a track that has no form in CMAF.
func unfit(all []cmaf.Stretch, t segmenter.Track) error {
	for i := range all {
		if c := all[i].Config; t == segmenter.AudioTrack && c != nil && c.Head.Unfit != "" {
			return noForm(&cmaf.NoForm{Codec: c.Head.Unfit}, segmenter.KindTrackLive)
		}
	}
	return nil
}

func noForm(err *cmaf.NoForm, k segmenter.Kind) *refusal {
	return &refusal{404, ageFormless(k), err.Error() + "\n"}
}

// page is a rendered text with the header fields of what it was made of.
func (o *Origin) page(text []byte, l *listing) (*sheet, int64, time.Duration, error) {
	var modified time.Time
	if l.sheet != nil && l.edge == 0 {
		modified = l.sheet.playlist.Modified
	} else { // of a manifest of low latency what that playlist lists yet changes nothing
		modified = l.rows[len(l.rows)-1].End()
	}
	p, err := newPlaylist(text, modified)
	if err != nil {
		return nil, 0, 0, err
	}
	sh := newSheet(p, l.age)
	switch {
	case l.edge > 0:
		sh.lastSequence, sh.lastUpdated = itoa(int64(l.edge-1)), itoa(modified.UnixMilli())
	case l.sheet != nil:
		sh.lastSequence, sh.lastUpdated = l.sheet.lastSequence, l.sheet.lastUpdated
	}
	return sh, sizeOf(p), 0, nil
}

// unmade is the answer where a page cannot be made of what is there.
var unmade = &refusal{503, ageNever, "this cannot be rendered now\n"}

// asRefusal is the error of making a page. What the archive refuses is a refusal already; the rest is said here.
func (o *Origin) asRefusal(ctx context.Context, a *ask, err error) error {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrOverload), ctx.Err() != nil:
		return o.missing(ctx, a.name.String(), outside, err)
	}
	o.opts.Warn("http-unmade", a.name.App+"/"+a.name.Stream, "CMAF or DASH cannot be made of a playlist, viewers get 503 for it: see whether the object is the one that its name says",
		"path", a.name.String(), "err", err)
	return unmade
}

// cmafEntry answers for a multivariant playlist over tracks.
func (o *Origin) cmafEntry(ctx context.Context, req *http1.Request, res *http1.Response, a *ask) error {
	src, c, err := o.selectSource(ctx, req, res, a)
	if err != nil || c.hold != nil {
		return err
	}
	m, l, err := o.variants(ctx, &src, &c)
	if err != nil {
		return o.asRefusal(ctx, a, err)
	}
	carried := a.view.carried()
	sh, err := cached(ctx, &o.pages, "tracks "+l.key+carried+"|"+a.view.filterText, func() (*sheet, int64, time.Duration, error) {
		if len(m.Variants) == 0 {
			return nil, 0, 0, &refusal{400, ageNever, "aws.manifestfilter: " + errNothingLeft.Error() + "\n"}
		}
		if err := cmaf.Tracks(m, a.name.App); err != nil {
			return nil, 0, 0, err
		}
		for i := range m.Variants {
			m.Variants[i].URI += carried
		}
		for i := range m.IFrames {
			m.IFrames[i].URI += carried
		}
		for i := range m.Renditions {
			m.Renditions[i].URI += carried
		}
		return o.page(m.Append(nil), l)
	})
	var none *cmaf.NoForm
	switch {
	case errors.As(err, &none):
		return noForm(none, a.name.Kind)
	case err != nil:
		return o.asRefusal(ctx, a, err)
	}
	sh = sh.aged(l.age)
	o.keepMade(req, a, sh, l)
	o.deliverText(req, res, sh, a.name.ContentType())
	return nil
}

// variants is the multivariant playlist over transport streams that a choice is, with the variants that pass the view's filter.
// Where it is the playlist of one recording, it is made up of what that says. The listing is of that recording, or has no more than
// what is said of a page. It is found out once for each generation and filter, and the playlist is the caller's.
func (o *Origin) variants(ctx context.Context, src *ask, c *choice) (m *m3u8.Master, _ *listing, err error) {
	l := &listing{name: src.name, age: c.age, sheet: c.sheet}
	ofMany := c.sheet != nil && isMaster(c.sheet.playlist.Body)
	if ofMany {
		l.key = src.name.String() + c.sheet.playlist.ETag
	} else if l, err = o.rows(ctx, src, c); err != nil {
		return nil, nil, err
	}
	all, err := cached(ctx, &o.pages, "variants "+src.name.String()+" "+l.key+"|"+src.view.filterText, func() (*m3u8.Master, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		if ofMany {
			m, err = m3u8.ParseMaster(c.sheet.playlist.Body)
		} else {
			m, err = o.measured(ctx, src, l)
		}
		if err != nil {
			return nil, 0, 0, err
		}
		o.selectVariants(m, src.name.App, src.view.filter)
		return m, int64(len(m.Variants)+len(m.IFrames)+1) * variantSize, 0, nil
	})
	if err != nil {
		return nil, nil, err
	}
	own := *all
	own.Variants, own.IFrames, own.Renditions = slices.Clone(all.Variants), slices.Clone(all.IFrames), slices.Clone(all.Renditions)
	return &own, l, nil
}

// variantSize is about what a variant takes in memory, in bytes.
const variantSize = 512

// measured is the multivariant playlist of one recording, by what its playlist and its segments say.
func (o *Origin) measured(ctx context.Context, src *ask, l *listing) (*m3u8.Master, error) {
	cfg, _, err := o.config(ctx, src.name.App, l.dir, l.rows)
	switch {
	case err != nil:
		return nil, err
	case cfg == nil:
		return nil, outside
	case cfg.Head.Unfit != "":
		return nil, noForm(&cmaf.NoForm{Codec: cfg.Head.Unfit}, src.name.Kind)
	}
	uri := l.folder() + "live.m3u8"
	if src.name.Kind == segmenter.KindArchive && !src.view.shifted() {
		uri = src.name.Stream + "-" + string(src.name.Recording) + ".m3u8"
	}
	m := cmaf.Measured(uri, l.rows, cfg)
	cmaf.AddIFrames(m, l.rows, cfg)
	return m, nil
}
