package rtsp

import (
	"errors"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// OnConnClose is called when the library believes it has closed the connection.
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
	if c.stream != "" { // there is nothing to log about a peer that was never allowed to publish
		h.opts.Log.Debug("rtsp: connection closed", "remote", remote(ctx.Conn), "error", ctx.Error)
	}
}

// OnRequest turns a request into one that the library understands. It also waits for the packets that a UDP publisher sent before its
// TEARDOWN: the request takes another path, overtakes the last packets, and closes the ports. It runs on the connection's own goroutine and
// delays nobody else.
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

// OnResponse sets the server's own name, and adds the reason to every refusal: those without one come from the library itself.
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

// turnAway completes a refusal that does not belong to a publisher's session.
func (h *handler) turnAway(c *conn, res *base.Response, reason string) *base.Response {
	h.stats.Refused.Add(1)
	h.opts.Episodes.Warn("rtsp request", host(c), "rtsp: request refused", "stream", c.stream, "remote", c.RemoteAddr().String(),
		"method", string(c.method), "status", int(res.StatusCode), "reason", reason)
	withReason(res, reason)
	return res
}
