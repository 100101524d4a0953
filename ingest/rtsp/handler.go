package rtsp

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// handler answers the protocol library. What it does not implement, PLAY and PAUSE and DESCRIBE, the library answers with 501.
//
// Each session has one goroutine of the library, which calls OnSessionOpen, OnAnnounce, OnSetup, OnRecord and OnSessionClose in this order.
// Packets arrive on the connection's reader (TCP), or on the two readers that all UDP publishers share, one for RTP and one for RTCP; these
// therefore only put them into the publisher's queue.
type handler struct {
	opts      Options
	stats     *Stats
	authorize func(ingest.Request) (ingest.Grant, error)
	publish   func(ingest.Announce) (ingest.Session, error)
	quit      <-chan struct{}     // closed when the server stops
	wait      func(time.Duration) // or until the server stops
	sources   sources
}

// stopping reports whether the server stops.
func (h *handler) stopping() bool {
	select {
	case <-h.quit:
		return true
	default:
		return false
	}
}

// replaceWait is how long a returning encoder waits for its old session to end.
const replaceWait = 2 * time.Second

// teardownGrace is how long the last UDP packets may take.
const teardownGrace = 100 * time.Millisecond

func (h *handler) OnConnOpen(*gortsplib.ServerHandlerOnConnOpenCtx) {
	h.stats.Connections.Add(1)
	h.stats.ConnectionsOpen.Add(1)
}

func (h *handler) OnSessionOpen(ctx *gortsplib.ServerHandlerOnSessionOpenCtx) {
	ctx.Session.SetUserData(&publisher{opts: h.opts, stats: h.stats, remote: remote(ctx.Conn), gone: make(chan struct{}), quit: h.quit})
}

// OnAnnounce checks the name, the credentials and the tracks. The stream itself is claimed at RECORD, so that a peer that never gets there
// holds nothing.
func (h *handler) OnAnnounce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	p := ctx.Session.UserData().(*publisher)
	c := ctx.Conn.NetConn().(*conn)
	t, err := parseTarget(ctx.Path, ctx.Query)
	if err != nil {
		return h.refuse(p, err, true)
	}
	how, err := h.credentials(ctx, c.asked, c.nonce, &t)
	if err != nil {
		return h.refuse(p, err, true)
	}
	grant, err := h.authorize(ingest.Request{
		Protocol: "rtsp", App: t.app, Name: t.name, User: t.user, Password: t.password, Token: t.token, Backup: backup(ctx.Query), Query: ctx.Query, Remote: p.remote,
	})
	if statusOf(err, how != noAuth || t.password != "" || t.token != "") == base.StatusUnauthorized {
		return h.challenge(c, t.app, err)
	}
	if err != nil {
		return h.refuse(p, err, true)
	}
	p.target = t.app + "/" + grant.Stream // not before: the name as sent may be a secret
	c.stream = p.target
	if c.unread != nil {
		return h.refuse(p, c.unread, true)
	}
	tracks, ignored, err := plan(c.offer.media)
	if err != nil {
		return h.refuse(p, err, true)
	}
	if len(ignored) > 0 {
		h.opts.Log.Warn("rtsp: tracks are ignored", "stream", p.target, "remote", p.remote, "ignored", ignored)
	}
	p.announce = ingest.Announce{
		App: t.app, Stream: grant.Stream, Protocol: "rtsp", Remote: p.remote, Identity: grant.Identity, Right: grant.Right, Backup: backup(ctx.Query),
		Cancel: func(cause error) {
			p.fail(cause)
			ctx.Session.Close()
		},
	}
	p.setTracks(tracks)
	p.ignored = ignored
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// credentials completes t from the Authorization header, if there is one, else from the address as it was sent. RFC 2326 3.2 has no user in
// it, but encoders put one there.
func (h *handler) credentials(ctx *gortsplib.ServerHandlerOnAnnounceCtx, asked *base.URL, nonce string, t *target) (scheme, error) {
	how, user, password, err := parseAuthorization(ctx.Request.Header["Authorization"])
	switch {
	case err != nil:
		return noAuth, ingest.Refuse(ingest.BadName, "%v", err)
	case how == basicAuth:
		t.user, t.password = user, password
	case how == digestAuth:
		if h.opts.Password == nil {
			return how, ingest.Refuse(ingest.Unauthorized, "Digest is not offered here, send Basic credentials")
		}
		password, ok, offered := h.opts.Password(t.app, t.name)
		switch {
		case !offered:
			return how, ingest.Refuse(ingest.Unauthorized, "Digest is not offered here, send Basic credentials")
		case digestIs(ctx.Request, asked, user, password, nonce) && ok:
			t.user, t.password = user, password
		default: // checked as a guess, with the others
			t.user, t.password = user, "a wrong digest"
		}
	case asked.User != nil && t.password == "":
		t.user = asked.User.Username()
		t.password, _ = asked.User.Password()
	}
	return how, nil
}

// challenge asks for credentials; FFmpeg and GStreamer then announce again, on the same connection.
func (h *handler) challenge(c *conn, app string, err error) (*base.Response, error) {
	digest := false
	if h.opts.Password != nil {
		_, _, digest = h.opts.Password(app, "")
	}
	if c.nonce == "" {
		c.nonce = rand.Text()
	}
	c.dialogue.challenge = challengeOf(digest, c.nonce)
	return refusalResponse(err, false), liberrors.ErrServerAuth{}
}

// refuse answers with the reason. The error makes the library close the connection after the answer.
func (h *handler) refuse(p *publisher, err error, credentials bool) (*base.Response, error) {
	h.stats.Refused.Add(1)
	res := refusalResponse(err, credentials)
	who, _, _ := net.SplitHostPort(p.remote)
	h.opts.Episodes.Warn("rtsp "+strconv.Itoa(int(res.StatusCode)), who, "rtsp: publisher refused", "stream", p.target, "remote", p.remote, "status", int(res.StatusCode), "reason", err)
	return res, fmt.Errorf("refused: %w", err)
}

// OnSetup accepts every announced track, because the library wants all of them set up. It has already checked the transport.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if p := ctx.Session.UserData().(*publisher); p.announce.Cancel == nil {
		res, err := h.refuse(p, ingest.Refuse(ingest.BadName, "this server only records: send ANNOUNCE first"), true)
		return res, nil, err
	}
	if ctx.Transport == gortsplib.TransportUDP {
		p := ctx.Session.UserData().(*publisher)
		if err := h.source(p, host(ctx.Conn.NetConn()), clientPorts(ctx.Request.Header["Transport"])); err != nil {
			res, err := h.refuse(p, err, true)
			return res, nil, err
		}
	}
	return &base.Response{StatusCode: base.StatusOK}, nil, nil
}

// source gives a session the ports that it sends from. Only one session can have them. If another session has them already, it either
// belongs to the same encoder, which was restarted, and is ended; or somebody else wants its packets, and is refused.
func (h *handler) source(p *publisher, host string, ports []int) error {
	other := h.sources.take(p, host, ports)
	if other == nil {
		return nil
	}
	if a, b := p.announce, other.announce; a.App == b.App && a.Stream == b.Stream && a.Identity == b.Identity && b.Cancel != nil {
		b.Cancel(ingest.ErrReplaced)
		select {
		case <-other.gone:
		case <-time.After(replaceWait):
		}
		other = h.sources.take(p, host, ports)
	}
	if other != nil {
		return ingest.Refuse(ingest.BadName, "another session from this address has this client_port: use a port of your own, or TCP")
	}
	return nil
}

func (h *handler) OnRecord(ctx *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	p := ctx.Session.UserData().(*publisher)
	session, err := h.publish(p.announce)
	if err != nil {
		return h.refuse(p, err, true)
	}
	p.conn, _ = ctx.Conn.NetConn().(*conn)
	if p.conn != nil {
		p.conn.record()
	}
	p.start(session, *ctx.Session.SetuppedTransport() == gortsplib.TransportUDP)
	for i := range p.ignored {
		f := &p.ignored[i]
		if m := ctx.Session.AnnouncedDescription().Medias[f.media]; f.codec != 0 {
			ctx.Session.OnPacketRTP(m, formatOf(m, f.payloadType), func(pkt *rtp.Packet) { p.receive(arrived{ignored: f, rtp: pkt}) })
		}
	}
	medias := ctx.Session.AnnouncedDescription().Medias
	for _, t := range p.tracks {
		m := medias[t.media]
		ctx.Session.OnPacketRTP(m, formatOf(m, t.payloadType), func(pkt *rtp.Packet) { p.receive(arrived{track: t, rtp: pkt}) })
		ctx.Session.OnPacketRTCP(m, func(pkt rtcp.Packet) { p.receive(arrived{track: t, rtcp: pkt}) })
	}
	h.stats.Sessions.Add(1)
	h.stats.SessionsOpen.Add(1)
	h.opts.Log.Info("rtsp: recording", "stream", p.target, "remote", p.remote,
		"transport", ctx.Session.SetuppedTransport().String(), "tracks", p.codecs())
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// formatOf returns the library's format for a payload type that our SDP announced.
func formatOf(m *description.Media, payloadType uint8) format.Format {
	i := slices.IndexFunc(m.Formats, func(f format.Format) bool { return f.PayloadType() == payloadType })
	return m.Formats[i]
}

// OnSessionClose is called after the last packet: the library has closed the session's connections, or removed its ports from the UDP
// readers, and waited for both.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	p := ctx.Session.UserData().(*publisher)
	h.sources.leave(p)
	defer close(p.gone)
	if p.conn != nil {
		p.conn.idle()
	}
	cause := h.cause(p, ctx.Error)
	if !p.end(cause) {
		return
	}
	h.stats.SessionsOpen.Add(-1)
	if errors.Is(cause, ingest.ErrMemory) {
		h.short(p.conn, p.remote)
	}
	log := h.opts.Log.Info
	if errors.As(cause, new(*ingest.Refusal)) { // the encoder does not see it: after RECORD a connection is only closed
		log = h.opts.Log.Warn
	}
	log("rtsp: ended", "stream", p.target, "remote", p.remote, "cause", cause, "frames", p.frames)
}

// short takes note that a publisher had to make room for others, once for each connection: c is its own, nil where that is not known.
func (h *handler) short(c *conn, remote string) {
	if c != nil && c.noted.Swap(true) {
		return
	}
	h.stats.Refused.Add(1)
	h.opts.Episodes.Warn("short of memory", "", "publishers whose messages stayed unfinished were sent away: there is no memory left for them", "protocol", "rtsp", "remote", remote)
}

// cause says why a session ended, in our words.
func (h *handler) cause(p *publisher, err error) error {
	var tornDown liberrors.ErrServerSessionTornDown
	var notInUse liberrors.ErrServerSessionNotInUse
	var timedOut liberrors.ErrServerSessionTimedOut
	switch failed := p.failure(); {
	case failed != nil:
		return failed
	case errors.As(err, &tornDown):
		return ingest.ErrUnpublished
	case h.stopping():
		return ingest.ErrShutdown
	case p.conn != nil && errors.Is(p.conn.lastError(), ingest.ErrMemory):
		return ingest.ErrMemory
	case errors.As(err, &timedOut):
		return fmt.Errorf("nothing received for %v", h.opts.ReadTimeout)
	case errors.As(err, &notInUse) && p.conn != nil && p.conn.lastError() != nil:
		var timeout net.Error
		if errors.As(p.conn.lastError(), &timeout) && timeout.Timeout() {
			return fmt.Errorf("nothing received for %v", h.opts.ReadTimeout)
		}
		return fmt.Errorf("connection lost: %w", p.conn.lastError())
	case errors.As(err, &notInUse):
		return errors.New("connection lost")
	}
	return fmt.Errorf("session lost: %w", err)
}

func (h *handler) OnPacketsLost(ctx *gortsplib.ServerHandlerOnPacketsLostCtx) {
	h.stats.LostPackets.Add(int64(ctx.Lost))
	p := ctx.Session.UserData().(*publisher)
	h.opts.Episodes.Debug("lost packets", p.target, "rtsp: packets lost", "stream", p.target, "remote", p.remote, "lost", ctx.Lost)
}

func (h *handler) OnDecodeError(ctx *gortsplib.ServerHandlerOnDecodeErrorCtx) {
	h.stats.DecodeErrors.Add(1)
	p := ctx.Session.UserData().(*publisher)
	h.opts.Episodes.Debug("unusable packets", p.target, "rtsp: packet not usable", "stream", p.target, "remote", p.remote, "error", ctx.Error)
	p.receive(arrived{err: ctx.Error})
}

func remote(c *gortsplib.ServerConn) string { return c.NetConn().RemoteAddr().String() }

// host returns the address of a connection's peer without its port.
func host(c net.Conn) string {
	h, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	return h
}
