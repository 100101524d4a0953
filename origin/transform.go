package origin

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// transform turns a playlist into what the view asks for: a window of its rows, or a multivariant playlist with fewer variants whose
// children carry the view on. Most views ask for nothing.
func (o *Origin) transform(ctx context.Context, a *ask, c *choice) (*sheet, error) {
	switch {
	case c.table != nil:
		return o.window(ctx, a, c.table)
	case a.view.plain():
		return c.sheet, nil
	case a.view.shifted() || isMaster(c.sheet.playlist.Body):
		return o.master(ctx, a, c.sheet.playlist, c.age)
	}
	return c.sheet, nil
}

// window returns the run of whole segments that covers a view. Views that cover the same run share one page.
func (o *Origin) window(ctx context.Context, a *ask, t *table) (*sheet, error) {
	c := t.cut(&a.view)
	prefix := t.dir // the stable entry and the timestamped playlist are in /{app}/streams/
	if a.name.Kind == segmenter.KindLive {
		prefix = ""
		if t.dir != a.name.Stream+"/"+string(a.name.Recording)+"/" {
			prefix = "../../" + t.dir
		}
	}
	age := segmenter.KindArchive.Age(t.targetDuration, c.final)
	key := "window " + t.id + " " + prefix + " " + strconv.FormatUint(t.entries[c.first].Sequence, 10) + "-" +
		strconv.FormatUint(t.entries[c.last-1].Sequence, 10) + " " + strconv.Itoa(int(c.kind)) + strconv.FormatBool(c.final)
	sh, err := cached(ctx, &o.pages, key, func() (*sheet, int64, time.Duration, error) {
		// As in archivedSheet, the first request must not abort the page by leaving.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		if err := o.press.enter(ctx.Done()); err != nil {
			o.stats.Overloads.Add(1)
			return nil, 0, 0, err
		}
		defer o.press.leave()
		p, err := t.render(c, prefix)
		if err != nil {
			return nil, 0, 0, err
		}
		return newSheet(p, age), sizeOf(p), 0, nil
	})
	if err != nil {
		return nil, o.missing(ctx, a.name.String(), outside, err)
	}
	return sh, nil
}

// errNothingLeft means that a filter removed every variant.
var errNothingLeft = errors.New("no variant of this stream passes the filter")

func isMaster(body []byte) bool { return bytes.Contains(body, []byte("\n#EXT-X-STREAM-INF:")) }

// master returns a multivariant playlist with the variants that pass the view's filter, and whose children carry the view on. It is
// rendered once for each playlist, filter and view.
func (o *Origin) master(ctx context.Context, a *ask, p *segmenter.Playlist, cacheControl string) (*sheet, error) {
	v := &a.view
	carried := v.carried()
	sh, err := cached(ctx, &o.pages, p.ETag+carried+"|"+v.filterText, func() (*sheet, int64, time.Duration, error) {
		m, err := m3u8.ParseMaster(p.Body)
		if err != nil {
			return nil, 0, 0, err
		}
		o.selectVariants(m, a.name.App, v.filter)
		if len(m.Variants) == 0 {
			return nil, 0, 0, errNothingLeft
		}
		for i := range m.Variants {
			m.Variants[i].URI += carried
		}
		for i := range m.IFrames {
			m.IFrames[i].URI += carried
		}
		for i := range m.Renditions {
			if m.Renditions[i].URI != "" {
				m.Renditions[i].URI += carried
			}
		}
		page, err := newPlaylist(m.Append(nil), p.Modified)
		if err != nil {
			return nil, 0, 0, err
		}
		return newSheet(page, cacheControl), sizeOf(page), 0, nil
	})
	switch {
	case errors.Is(err, errNothingLeft):
		return nil, &refusal{400, ageNever, "aws.manifestfilter: " + err.Error() + "\n"}
	case err != nil:
		o.opts.Warn("http-playlist", "viewers", "a multivariant playlist cannot be read, viewers get 503", "path", a.name.String(), "err", err)
		return nil, &refusal{503, ageNever, "the playlist cannot be read now\n"}
	}
	return sh.aged(cacheControl), nil
}

// selectVariants removes variants that do not pass the filter, and renditions that no variant uses any more.
func (o *Origin) selectVariants(m *m3u8.Master, app string, f filter) {
	if f == nil {
		return
	}
	kept := m.Variants[:0]
	groups := map[string]bool{}
	captioned := false
	for _, variant := range m.Variants {
		if f.passes(&variant, o.videoBitrate(app, variant.URI)) {
			kept = append(kept, variant)
			groups[variant.Audio] = true
			captioned = captioned || variant.ClosedCaptions != "" && variant.ClosedCaptions != m3u8.NoCaptions
		}
	}
	m.Variants = kept
	keepIFrames(m)
	if !captioned {
		m.Captions = nil
	}
	renditions := m.Renditions[:0]
	for _, r := range m.Renditions {
		if groups[r.GroupID] {
			renditions = append(renditions, r)
		}
	}
	m.Renditions = renditions
}

// videoBitrate returns the measured bit rate of the video in a variant, or 0 if the stream is not in memory.
func (o *Origin) videoBitrate(app, uri string) int {
	path, _, _ := strings.Cut(uri, "?")
	name, ok := segmenter.ParseName(app + "/streams/" + path)
	if !ok {
		return 0
	}
	line := o.opts.Streams.Recording(name.App, name.Stream, name.Recording)
	if line == nil {
		return 0
	}
	return line.Snapshot().Variant.VideoBitrate
}

// press bounds how many playlists are rendered for windows of time at once, so that requests for ever new windows of a long recording leave
// CPU time for everybody else. It also bounds how many wait for that.
type press struct {
	slots chan struct{}
	queue chan struct{}
}

const (
	maxRendering = 2
	maxWaiting   = 64
)

func newPress() press {
	return press{make(chan struct{}, maxRendering), make(chan struct{}, maxRendering+maxWaiting)}
}

// enter waits for a slot; the caller must then call leave. The error means that too many are waiting, or that done is closed.
func (p *press) enter(done <-chan struct{}) error {
	select {
	case p.queue <- struct{}{}:
	default:
		return ErrOverload
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-done:
		<-p.queue
		return ErrOverload
	}
}

func (p *press) leave() {
	<-p.slots
	<-p.queue
}
