package origin

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/origin/http1"
	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// errNothingLeft says that a filter took every variant away.
var errNothingLeft = errors.New("no variant of this stream passes the filter")

func isMaster(body []byte) bool { return bytes.Contains(body, []byte("\n#EXT-X-STREAM-INF:")) }

// master answers with a multivariant playlist whose variants passed the view's filter and whose children carry the view
// on. It is rendered once for each playlist, filter and view.
func (o *Origin) master(ctx context.Context, req *http1.Request, res *http1.Response, p *segmenter.Playlist, cacheControl string, name segmenter.Name, v *view) {
	carried := v.carried()
	sh, err := cached(ctx, &o.pages, p.ETag+carried+"|"+v.filterText, func() (*sheet, int64, time.Duration, error) {
		m, err := m3u8.ParseMaster(p.Body)
		if err != nil {
			return nil, 0, 0, err
		}
		o.selectVariants(m, name.App, v.filter)
		if len(m.Variants) == 0 {
			return nil, 0, 0, errNothingLeft
		}
		for i := range m.Variants {
			m.Variants[i].URI += carried
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
		o.text(res, 400, ageNever, "aws.manifestfilter: "+err.Error()+"\n")
	case err != nil:
		o.opts.Warn("http-playlist", "viewers", "a multivariant playlist cannot be read, viewers get 503", "path", name.String(), "err", err)
		o.unavailable(res, "the playlist cannot be read now\n")
	default:
		if sh.cacheControl != cacheControl {
			again := *sh // the same text at another stage of the recording
			again.cacheControl = cacheControl
			sh = &again
		}
		o.sheet(req, res, sh)
	}
}

// selectVariants drops what the filter does not let pass, and renditions that no variant is left for.
func (o *Origin) selectVariants(m *m3u8.Master, app string, f filter) {
	if f == nil {
		return
	}
	kept := m.Variants[:0]
	groups := map[string]bool{}
	for _, variant := range m.Variants {
		if f.passes(&variant, o.videoBitrate(app, variant.URI)) {
			kept = append(kept, variant)
			groups[variant.Audio] = true
		}
	}
	m.Variants = kept
	renditions := m.Renditions[:0]
	for _, r := range m.Renditions {
		if groups[r.GroupID] {
			renditions = append(renditions, r)
		}
	}
	m.Renditions = renditions
}

// videoBitrate is what was measured of the video in a variant; 0 where the stream is not in memory.
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
