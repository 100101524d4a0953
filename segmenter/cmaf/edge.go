package cmaf

import (
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// Edge is the low-latency playlist of one track.
type Edge struct {
	Track     segmenter.Track
	Stretches []Stretch // of the rows of the whole playlist, those that a delta update leaves out too
	Growing   *Config   // how the segment that is being written is coded, as far as it is known; nil: nothing of it is
	Reports   []m3u8.Report
}

// Append renders it behind b: what the low-latency playlist over transport streams lists, which it changes, for one track. Where the
// track is away from a segment, that is a gap, and has no parts.
func (e *Edge) Append(b []byte, list *m3u8.Media) []byte {
	sound := e.Track == segmenter.AudioTrack
	list.IndependentSegments = list.IndependentSegments || sound
	list.Reports = e.Reports
	var maps maps
	var last Init
	i := -list.Skipped
	for k := range e.Stretches {
		s := &e.Stretches[k]
		init, ends := s.Config.Init(e.Track), s.Ends(e.Track) && (k < len(e.Stretches)-1 || list.EndList)
		for j := range s.Rows {
			if i >= 0 {
				row := &list.Segments[i]
				row.URI, row.Gap = fragment(row.URI), row.Gap || init.Body == nil || ends && j == len(s.Rows)-1
				row.Map = maps.before(init, row.Discontinuity)
				if at := i - (len(list.Segments) - len(list.Parts)); at >= 0 {
					list.Parts[at] = e.parts(list.Parts[at], row.Gap)
				}
			}
			i++
		}
		if init.Body != nil || s.Rows[0].Discontinuity {
			last = init
		}
	}
	if n := len(e.Stretches); list.EndList && e.Stretches[n-1].Ends(e.Track) && len(list.Segments) > 1 { // as in Media.Append
		list.Segments = list.Segments[:len(list.Segments)-1]
		list.Parts = list.Parts[:max(len(list.Parts)-1, 0)]
	}
	init := e.Growing.Init(e.Track)
	if init.Body == nil && !list.Edge.Discontinuity {
		init = last
	}
	list.Edge.Map = maps.before(init, list.Edge.Discontinuity)
	away := init.Body == nil
	if list.AtEdge = e.parts(list.AtEdge, away); away {
		list.Hint = ""
	}
	list.Hint = fragment(list.Hint)
	return list.Append(b)
}

// parts are those of a segment of the transport stream as the track's; none where it is away.
func (e *Edge) parts(list []m3u8.Part, away bool) []m3u8.Part {
	if away {
		return nil
	}
	for i := range list {
		p := &list[i]
		p.URI = fragment(p.URI)
		p.Independent = p.Independent || e.Track == segmenter.AudioTrack
	}
	return list
}

// fragment is what of a track is made of an object beside the playlist over transport streams.
func fragment(uri string) string {
	if stem, ok := strings.CutSuffix(uri, ".ts"); ok {
		return stem + ".m4s"
	}
	return uri
}

// Reports are the rendition reports of a track's low-latency playlist: what is newest in every other track that the multivariant
// playlist over tracks names with it. all are what is newest of the recordings that it shows, own among them.
func Reports(all []*segmenter.Snapshot, own *segmenter.Snapshot, track segmenter.Track) (reports []m3u8.Report) {
	groups := map[string]bool{} // by audio codec
	for _, s := range all {
		video, audio, err := codecs(&m3u8.Variant{Codecs: s.Variant.Codecs})
		if err != nil {
			continue
		}
		add := func(t segmenter.Track) {
			if t == track && s.Stream == own.Stream {
				return
			}
			n := segmenter.Name{Kind: segmenter.KindTrackLive, App: s.App, Stream: s.Stream, Recording: s.Recording, Track: t}
			r := m3u8.Report{URI: "../../../" + strings.TrimPrefix(n.String(), s.App+"/streams/")}
			r.MSN, r.Part = s.Pictured().Newest()
			reports = append(reports, r)
		}
		if video != "" {
			add(segmenter.VideoTrack)
		}
		if audio != "" && (video == "" || !groups[audio]) {
			add(segmenter.AudioTrack)
		}
		if video != "" && audio != "" {
			groups[audio] = true
		}
	}
	return reports
}
