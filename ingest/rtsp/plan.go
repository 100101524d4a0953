package rtsp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/codec"
	"github.com/hlsorigin/hlsorigin/ingest/rtsp/sdp"
)

// plan picks the tracks to record: the first video and the first audio track that can be carried. The others are in ignored, with the
// reason. If nothing can be carried, it returns a refusal.
func plan(media []sdp.Media) (tracks []*track, ignored []ignoredFormat, err error) {
	var video, audio bool
	for i := range media {
		m := &media[i]
		if len(m.Formats) == 0 {
			ignored = append(ignored, ignoredFormat{media: i, name: m.Kind, why: errors.New("no payload type is announced")})
		}
		for j := range m.Formats {
			f := &m.Formats[j]
			skip := ignoredFormat{media: i, payloadType: f.PayloadType, name: formatName(m, f)}
			st, err := newStream(m, f)
			switch {
			case err != nil:
				skip.why, skip.reason = err, ingest.Uncarried
				skip.codec = map[string]ingest.Codec{"video": ingest.H264, "audio": ingest.AAC}[m.Kind]
			case st.codec().IsVideo() && video, !st.codec().IsVideo() && audio:
				skip.why, skip.reason, skip.codec = errExtra, ingest.ExtraTrack, st.codec()
			default:
				tracks = append(tracks, &track{media: i, payloadType: f.PayloadType, announced: m.SSRC, stream: st, clock: rtpClock{rate: int64(st.rate()), video: st.codec().IsVideo()}})
				video, audio = video || st.codec().IsVideo(), audio || !st.codec().IsVideo()
				continue
			}
			ignored = append(ignored, skip)
		}
	}
	if len(tracks) == 0 {
		var names []string
		for _, i := range ignored {
			names = append(names, i.String())
		}
		return nil, nil, ingest.Refuse(ingest.Unsupported, "cannot carry %s", strings.Join(names, "; "))
	}
	return tracks, ignored, nil
}

var errExtra = errors.New("it is a further track of its kind, and one is carried")

// ignoredFormat is a payload type that is announced and not recorded.
type ignoredFormat struct {
	media       int
	payloadType uint8
	name        string
	why         error
	codec       ingest.Codec // stands for the kind; 0 if neither video nor audio
	reason      ingest.Reason
}

func (i ignoredFormat) String() string { return i.name + ": " + i.why.Error() }

// newStream returns the stream of a format; the error says why there is none.
func newStream(m *sdp.Media, f *sdp.Format) (stream, error) {
	switch strings.ToLower(f.Encoding) {
	case "":
		return nil, fmt.Errorf("payload type %d has no rtpmap", f.PayloadType)
	case "h264":
		return newH264(m, f)
	case "h265", "hevc":
		return newH265(m, f)
	case "mpeg4-generic":
		return newAAC(m, f)
	case "mp4a-latm":
		return newLATM(m, f)
	case "mpa":
		return newMP3(m, f)
	}
	switch m.Kind {
	case "video":
		return nil, &codec.Unsupported{What: "this coding", Do: "send H.264 or H.265 video"}
	case "audio":
		return nil, &codec.Unsupported{What: "this coding", Do: "send AAC or MP3 audio"}
	}
	return nil, errors.New("it is neither video nor audio")
}

// formatName returns the name of a format for a log line or a refusal.
func formatName(m *sdp.Media, f *sdp.Format) string {
	name := f.Encoding
	switch strings.ToLower(name) {
	case "":
		name = fmt.Sprint("payload type ", f.PayloadType)
	case "mpeg4-generic":
		name = "MPEG-4 Audio"
	case "mp4a-latm":
		name = "MPEG-4 Audio LATM"
	case "mpa":
		name = "MPEG-1/2 Audio"
	case "opus":
		name = "Opus"
	}
	return fmt.Sprintf("%+.48q", m.Kind+" "+name)
}
