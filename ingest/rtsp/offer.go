package rtsp

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/hlsorigin/hlsorigin/ingest/rtsp/sdp"
)

// offer is what an encoder announced, as we read it. The protocol library reads SDP, addresses and headers strictly, and refuses everything
// because of one odd line of a track that nobody needs. So it gets another SDP and other addresses, which say what the encoder meant.
type offer struct {
	url     *base.URL // of the ANNOUNCE, as the library knows it
	media   []sdp.Media
	control []string // by media: the last part of its address, as the library knows it
	setUp   []bool   // by media
}

// plainControl matches the names by which the library finds a track.
var plainControl = regexp.MustCompile(`^[A-Za-z0-9_.-]+(=[A-Za-z0-9_.-]+)?$`)

func newOffer(url *base.URL, media []sdp.Media) *offer {
	o := &offer{
		url:   &base.URL{Scheme: url.Scheme, Host: url.Host, Path: strings.TrimRight(url.Path, "/"), RawQuery: strings.TrimRight(url.RawQuery, "/")},
		media: media, setUp: make([]bool, len(media)),
	}
	for i, m := range media {
		name := m.Control
		if !plainControl.MatchString(name) || slices.Contains(o.control, name) {
			name = fmt.Sprintf("hlsorigin-track=%d", i) // nobody else uses such a name
		}
		o.control = append(o.control, name)
	}
	return o
}

// sdp returns the announcement as the library gets it: tracks of which it needs to know only the addresses and payload types, and can
// object to nothing. The payload types are those of the packets; a track without any gets one.
func (o *offer) sdp() []byte {
	b := []byte("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n")
	for i, m := range o.media {
		formats := m.Formats
		if len(formats) == 0 {
			formats = []sdp.Format{{PayloadType: 127}}
		}
		b = append(b, "m=application 0 RTP/AVP"...)
		for _, f := range formats {
			b = fmt.Appendf(b, " %d", f.PayloadType)
		}
		for _, f := range formats {
			clock := f.Clock
			if clock == 0 {
				clock = videoClock
			}
			b = fmt.Appendf(b, "\r\na=rtpmap:%d track/%d", f.PayloadType, clock) // the clock is needed for its receiver reports
		}
		b = fmt.Appendf(b, "\r\na=control:%s\r\n", o.control[i])
	}
	return b
}

// track returns the media that a SETUP is about, or -1. FFmpeg puts the control of a track after the query, GStreamer after the path.
// Absolute controls may name the server as the encoder knows it, not as we do. A track without a control, or with "*", has the address of
// the whole (RFC 2326 C.1.1). If several match, it is the first that is not set up.
func (o *offer) track(u *base.URL) int {
	found := -1
	for i, m := range o.media {
		if o.is(u, m.Control) && (found < 0 || o.setUp[found]) {
			found = i
		}
	}
	return found
}

func (o *offer) is(u *base.URL, control string) bool {
	path, query := strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawQuery, "/")
	if a, err := base.ParseURL(control); err == nil {
		return strings.TrimRight(a.Path, "/") == path && strings.TrimRight(a.RawQuery, "/") == query
	}
	name := strings.Trim(control, "/")
	if name == "" || name == "*" {
		return path == o.url.Path
	}
	whole := path
	if query != "" {
		whole += "?" + query
	}
	if name[0] != '?' {
		name = "/" + name
	}
	return strings.HasSuffix(path, name) || strings.HasSuffix(whole, name)
}

// address returns the address of a media as the library knows it.
func (o *offer) address(i int) *base.URL {
	u := *o.url
	u.Path += "/" + o.control[i]
	return &u
}

// same reports whether an address is that of the announced stream or of one of its tracks.
func (o *offer) same(u *base.URL) bool {
	return strings.TrimRight(u.Path, "/") == o.url.Path || o.track(u) >= 0
}
