package cmaf

import (
	"fmt"
	"strings"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/segmenter/variant"
)

// NoForm is the error of a codec that is carried in transport streams and has no form in CMAF. Its text is meant for the person
// who asked.
type NoForm struct{ Codec string }

func (e *NoForm) Error() string {
	return e.Codec + " has no form in CMAF here: play the HLS entry, or set the encoder to AAC"
}

// audioGroup is the GROUP-ID of the audio renditions.
const audioGroup = "audio"

// Tracks makes of a multivariant playlist over transport streams the one over their tracks: each variant with video keeps its
// video, and all of them share the audio of the first that has some; variants that code their audio otherwise have a group of
// their own. A variant of audio alone stays one, and I-frame playlists become those of their video. The error is a *NoForm, or that a
// variant's URI is not one of ours.
func Tracks(m *m3u8.Master, app string) error {
	all := m.IFrames
	m.IFrames = nil
	for i := range all {
		if of, ok := tracked(m, app, all[i]); ok {
			m.IFrames = append(m.IFrames, of)
		}
	}
	groups := map[string]string{} // by audio codec
	for i := range m.Variants {
		v := &m.Variants[i]
		video, audio, err := codecs(v)
		if err != nil {
			return err
		}
		track := segmenter.VideoTrack
		if video == "" {
			track = segmenter.AudioTrack
		}
		uri, err := trackURI(app, v.URI, track)
		if err != nil {
			return err
		}
		if video == "" || audio == "" {
			v.URI = uri
			continue
		}
		group, known := groups[audio]
		if !known {
			if group = audioGroup; len(groups) > 0 {
				group = fmt.Sprintf("%s-%d", audioGroup, len(groups)+1)
			}
			groups[audio] = group
			sound, err := trackURI(app, v.URI, segmenter.AudioTrack)
			if err != nil {
				return err
			}
			m.Renditions = append(m.Renditions, m3u8.Rendition{GroupID: group, Name: "audio", Default: true, AutoSelect: true, URI: sound})
		}
		v.URI, v.Audio = uri, group
	}
	return nil
}

// codecs are those of a variant; empty where it has no such track.
func codecs(v *m3u8.Variant) (video, audio string, err error) {
	for _, c := range strings.Split(v.Codecs, ",") {
		switch c = strings.TrimSpace(c); {
		case c == "":
		case c == "mp4a.40.34" || c == "mp4a.69" || c == "mp4a.6B":
			return "", "", &NoForm{"MP3"}
		case strings.HasPrefix(c, "mp4a."):
			audio = c
		default:
			video = c
		}
	}
	return video, audio, nil
}

// trackURI is the playlist of a track of the variant that a URI names, both relative to /{app}/streams/.
func trackURI(app, uri string, t segmenter.Track) (string, error) {
	prefix := app + "/streams/"
	n, ok := segmenter.ParseName(prefix + uri)
	switch {
	case ok && n.Kind == segmenter.KindLive:
		n.Kind = segmenter.KindTrackLive
	case ok && n.Kind == segmenter.KindArchive:
		n.Kind, n.Archive = segmenter.KindTrackArchive, n.Recording
	default:
		return "", fmt.Errorf("the variant %.80q is not one of ours", uri)
	}
	n.Track = t
	return strings.TrimPrefix(n.String(), prefix), nil
}

// Measured is the multivariant playlist of a recording of which only its rows and its configuration are known: its rates are those
// of the rows. uri is that of its transport stream's playlist, relative to /{app}/streams/.
func Measured(uri string, rows []segmenter.Row, c *Config) *m3u8.Master {
	v := m3u8.Variant{URI: uri, Codecs: c.Codecs(), FrameRate: c.FrameRate()}
	if c.Head.Video != nil {
		v.Width, v.Height = c.Head.Video.Width, c.Head.Video.Height
		if r := c.Head.Video.Range(); r != "SDR" {
			v.VideoRange = r
		}
	}
	var bytes, ticks int64
	independent := true
	for i := range rows {
		e := &rows[i]
		independent = independent && (e.Independent || e.Gap)
		if e.Size == 0 || e.Duration == 0 {
			continue
		}
		bytes, ticks = bytes+e.Size, ticks+e.Duration
		if e.Duration >= segmenter.Clock/2 {
			v.Bandwidth = max(v.Bandwidth, int(e.Size*8*segmenter.Clock/e.Duration))
		}
	}
	if ticks > 0 {
		v.AverageBandwidth = int(bytes * 8 * segmenter.Clock / ticks)
	}
	if v.Bandwidth = max(v.Bandwidth, v.AverageBandwidth); v.Bandwidth == 0 {
		v.Bandwidth = unknownRate
	}
	m := &m3u8.Master{IndependentSegments: independent, Variants: []m3u8.Variant{v}}
	variant.Caption(m, []variant.Captions{{Sent: c.Head.Captions, Channels: c.Head.Channels}})
	return m
}

// unknownRate stands for a rate that nothing tells, bits per second.
const unknownRate = 1_000_000
