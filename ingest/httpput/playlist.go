package httpput

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
)

// playlist is a sender's media playlist, as it came.
type playlist struct {
	first    uint64 // EXT-X-MEDIA-SEQUENCE
	longest  int    // EXT-X-TARGETDURATION, seconds, at most maxLongest
	entries  []entry
	finished bool // EXT-X-ENDLIST
}

// end is the number after its last segment.
func (p *playlist) end() uint64 { return p.first + uint64(len(p.entries)) }

// entry is one segment of it.
type entry struct {
	file          string
	duration      int64 // 90 kHz ticks
	wall          time.Time
	discontinuity bool
	gap           bool
	ranges        string
	longest       int
	since         time.Time // when it was named first
}

// maxEntries bounds a playlist of a stream: what is older than this, a sender of a whole show's playlist has sent before.
const maxEntries = 1 << 16

// maxLongest is how many seconds a sender's segments are taken to last at most, whatever its playlists say: it is by this that is judged
// whether it is silent, and its name and what it sent are kept for no longer.
const maxLongest = 60

// parsePlaylist reads a media playlist, or a multivariant one into variants. Its error is a refusal.
func parsePlaylist(own target, host string, b []byte) (p *playlist, variants []variant, err error) {
	b = bytes.TrimPrefix(b, []byte("\xEF\xBB\xBF"))
	if !bytes.HasPrefix(b, []byte("#EXTM3U")) {
		return nil, nil, ingest.Refuse(ingest.BadName, "the body is no playlist: it does not begin with #EXTM3U")
	}
	if line := tagOf(b, "#EXT-X-KEY:", "#EXT-X-SESSION-KEY:"); line != "" && !strings.Contains(line, "METHOD=NONE") {
		return nil, nil, ingest.Refuse(ingest.Unsupported, "encrypted segments are not taken, since they could neither be checked nor cut: switch the encoder's encryption off, and let the CDN or the bucket guard them")
	}
	if tagOf(b, "#EXT-X-STREAM-INF:") != "" {
		variants, err = parseVariants(own, host, b)
		return nil, variants, err
	}
	switch {
	case tagOf(b, "#EXT-X-MAP:") != "":
		return nil, nil, ingest.Refuse(ingest.Unsupported, "fragmented MP4 is not taken yet (EXT-X-MAP): set the encoder's segment type to MPEG transport stream (ffmpeg: -hls_segment_type mpegts)")
	case tagOf(b, "#EXT-X-BYTERANGE:") != "":
		return nil, nil, ingest.Refuse(ingest.Unsupported, "segments that are ranges of one file are not taken (EXT-X-BYTERANGE): let the encoder write each segment into a file of its own (ffmpeg: without -hls_flags single_file)")
	case tagOf(b, "#EXT-X-I-FRAMES-ONLY") != "":
		return nil, nil, nil // we make our own
	}
	m, err := m3u8.ParseMedia(b)
	if err != nil {
		return nil, nil, ingest.Refuse(ingest.BadName, "the playlist cannot be read: %s", strings.TrimPrefix(err.Error(), "m3u8: "))
	}
	if len(m.Segments) > maxEntries {
		return nil, nil, ingest.Refuse(ingest.Unsupported, "the playlist names %d segments: let the encoder keep at most %d (ffmpeg: -hls_list_size)", len(m.Segments), maxEntries)
	}
	longest := min(m.TargetDuration, maxLongest)
	p = &playlist{first: m.MediaSequence, longest: longest, finished: m.EndList, entries: make([]entry, len(m.Segments))}
	for i := range m.Segments {
		g := &m.Segments[i]
		file, err := resolve(own, host, g.URI)
		if err != nil {
			return nil, nil, err
		}
		p.entries[i] = entry{
			file: file, duration: g.Duration, wall: g.ProgramDateTime, discontinuity: g.Discontinuity, gap: g.Gap, ranges: g.Ranges, longest: longest,
		}
	}
	return p, nil, nil
}

// tagOf returns the first line that begins with one of some tags; empty: none does.
func tagOf(b []byte, tags ...string) string {
	for line := range bytes.Lines(b) {
		for _, t := range tags {
			if bytes.HasPrefix(line, []byte(t)) {
				return string(line)
			}
		}
	}
	return ""
}

// variant is one of a multivariant playlist.
type variant struct {
	file      string // its media playlist
	bandwidth int
}

func parseVariants(own target, host string, b []byte) (all []variant, err error) {
	m, err := m3u8.ParseMaster(b)
	if err != nil {
		return nil, ingest.Refuse(ingest.BadName, "the multivariant playlist cannot be read: %s", strings.TrimPrefix(err.Error(), "m3u8: "))
	}
	for i := range m.Variants {
		v := &m.Variants[i]
		file, err := resolve(own, host, v.URI)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(all, func(o variant) bool { return o.file == file }) { // else it is there for each group of renditions
			all = append(all, variant{file, v.Bandwidth})
		}
	}
	return all, nil
}
