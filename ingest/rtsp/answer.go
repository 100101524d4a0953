package rtsp

import (
	"errors"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// OnConnClose comes after the library has closed the connection, as it thinks.
func (h *handler) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	h.stats.ConnectionsOpen.Add(-1)
	c := ctx.Conn.NetConn().(*conn)
	evicted := errors.Is(ctx.Error, ingest.ErrMemory)
	if evicted {
		h.short(c, remote(ctx.Conn))
	}
	c.finish(ctx.Error, func(raw []byte) *base.Response {
		if evicted {
			res := &base.Response{StatusCode: base.StatusServiceUnavailable}
			withReason(res, ingest.ErrMemory.Error())
			return res
		}
		reason := unreadable(raw, ctx.Error, h.opts.HandshakeTimeout)
		if errors.Is(ctx.Error, errFlood) {
			reason = errFlood.Error()
		}
		if reason == "" || h.stopping() {
			return nil
		}
		return h.turnAway(c, &base.Response{StatusCode: base.StatusBadRequest}, reason)
	}, !h.stopping())
	if c.stream != "" { // of a peer that never might publish there is nothing to say
		h.opts.Log.Debug("rtsp: connection closed", "remote", remote(ctx.Conn), "error", ctx.Error)
	}
}

// OnRequest makes a request one that the library understands. It also lets what a UDP publisher has sent before its TEARDOWN
// arrive: the request comes another way, overtakes the last packets, and closes the ports. It runs on the connection's own
// goroutine and delays nobody else.
func (h *handler) OnRequest(sc *gortsplib.ServerConn, r *base.Request) {
	c := sc.NetConn().(*conn)
	c.read()
	c.repair(r)
	if s := sc.Session(); r.Method == base.Teardown && s != nil {
		if tr := s.SetuppedTransport(); tr != nil && *tr == gortsplib.TransportUDP {
			h.wait(teardownGrace)
		}
	}
}

// OnResponse names the server as what it is to its users, and sees that no refusal goes out without its reason: those that
// have none are the library's own.
func (h *handler) OnResponse(sc *gortsplib.ServerConn, res *base.Response) {
	res.Header["Server"] = base.HeaderValue{"hlsorigin"}
	c := sc.NetConn().(*conn)
	if len(res.Header["WWW-Authenticate"]) > 0 {
		res.Header["WWW-Authenticate"] = c.challenge
	}
	if c.method == base.Setup && c.track >= 0 && res.StatusCode == base.StatusOK {
		c.offer.setUp[c.track] = true
	}
	var instead func(error) *base.Response
	if res.StatusCode >= base.StatusBadRequest && res.StatusMessage == "" {
		instead = func(err error) *base.Response { return h.turnAway(c, res, c.explain(res.StatusCode, err)) }
	}
	c.answered(res.StatusCode, instead)
}

// turnAway completes a refusal that is not of a publisher's session.
func (h *handler) turnAway(c *conn, res *base.Response, reason string) *base.Response {
	h.stats.Refused.Add(1)
	h.opts.Episodes.Warn("rtsp request", host(c), "rtsp: request refused", "stream", c.stream, "remote", c.RemoteAddr().String(),
		"method", string(c.method), "status", int(res.StatusCode), "reason", reason)
	withReason(res, reason)
	return res
}
