package rtsp

import (
	"bytes"
	"mime"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtsp/sdp"
)

const typeSDP = "application/sdp"

// dialogue is the state of a connection's requests. It belongs to the goroutine that handles them; the session's goroutine reads it while
// that one waits.
type dialogue struct {
	method base.Method // of the newest request
	asked  *base.URL   // its address, as it was sent
	offer  *offer      // nil before a readable ANNOUNCE
	unread error       // why the newest ANNOUNCE could not be read
	track  int         // of the newest SETUP; -1: none
	stream string      // app/stream, once the encoder may publish it
	nonce  string      // of its Digest; empty until one is requested

	challenge base.HeaderValue // challenge for the newest ANNOUNCE without credentials
}

// repair turns a request into one with the same meaning that the library understands.
func (d *dialogue) repair(r *base.Request) {
	d.method, d.asked, d.track = r.Method, r.URL, -1
	if r.Method == base.Announce && r.URL != nil {
		d.announce(r)
		return
	}
	if d.offer == nil {
		return
	}
	switch {
	case r.URL == nil && r.Method != base.Options: // "*" is the whole server
		r.URL = d.offer.url
	case r.Method == base.Record && d.offer.same(r.URL):
		r.URL = d.offer.url
	}
	if r.Method != base.Setup {
		return
	}
	if d.track = d.offer.track(r.URL); d.track >= 0 {
		r.URL = d.offer.address(d.track)
	}
	if t := r.Header["Transport"]; len(t) == 1 {
		r.Header["Transport"] = base.HeaderValue{recordTransport(t[0])}
	}
}

// announce reads the SDP. OnAnnounce refuses one that cannot be read, so the library gets one that it can read.
func (d *dialogue) announce(r *base.Request) {
	media, err := readAnnounce(r)
	if d.unread = err; err != nil {
		media = []sdp.Media{{Kind: "application"}}
	}
	o := newOffer(r.URL, media)
	if err == nil {
		d.offer = o
	}
	r.URL, r.Body = o.url, o.sdp()
	r.Header["Content-Type"] = base.HeaderValue{typeSDP}
}

func readAnnounce(r *base.Request) ([]sdp.Media, error) {
	if !isSDP(r.Header["Content-Type"], r.Body) {
		return nil, ingest.Refuse(ingest.Unsupported, "the Content-Type is %.64q: send ANNOUNCE with %s", strings.Join(r.Header["Content-Type"], ", "), typeSDP)
	}
	media, err := sdp.Parse(r.Body)
	if err != nil {
		return nil, ingest.Refuse(ingest.Unsupported, "%v", err)
	}
	return media, nil
}

// isSDP reports whether a body is an SDP. Without a content type, its look decides.
func isSDP(contentType base.HeaderValue, body []byte) bool {
	if len(contentType) == 0 {
		return len(body) == 0 || bytes.HasPrefix(bytes.TrimSpace(body), []byte("v="))
	}
	kind, _, err := mime.ParseMediaType(contentType[0])
	return err == nil && kind == typeSDP
}

// recordTransport adds the mode that RFC 2326 12.39 requires for recording to each alternative of a Transport header without one, and drops
// addresses: the library looks up names, and packets are accepted only from the connection's address.
func recordTransport(header string) string {
	var all []string
	for alternative := range strings.SplitSeq(header, ",") {
		var kept []string
		mode := "mode=record"
		for parameter := range strings.SplitSeq(alternative, ";") {
			parameter = strings.TrimSpace(parameter)
			key, _, _ := strings.Cut(parameter, "=")
			switch strings.ToLower(key) {
			case "", "source", "destination":
				continue
			case "mode":
				mode = parameter
				continue
			}
			kept = append(kept, parameter)
		}
		all = append(all, strings.Join(append(kept, mode), ";"))
	}
	return strings.Join(all, ",")
}
