package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"

	gortmp "github.com/yutopp/go-rtmp"
	"github.com/yutopp/go-rtmp/message"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
	"github.com/hlsorigin/hlsorigin/ingest/normalise"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/amf"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/flv"
)

// handler receives go-rtmp's callbacks, all on the connection's goroutine.
type handler struct {
	gortmp.DefaultHandler
	conn *conn
}

func (h *handler) OnConnect(_ uint32, cmd *message.NetConnectionConnect) error {
	// A refusal here would be shown only as an input/output error, so it waits for publish.
	h.conn.app, h.conn.tcURL = cmd.Command.App, cmd.Command.TCURL
	return nil
}

func (h *handler) OnReleaseStream(uint32, *message.NetConnectionReleaseStream) error {
	h.conn.reply()
	return nil
}

func (h *handler) OnFCPublish(uint32, *message.NetStreamFCPublish) error {
	h.conn.reply()
	h.conn.send(h.conn.streamID, amf.Text("onFCPublish"), amf.Num(0), amf.Value{},
		status("status", "NetStream.Publish.Start", "Publish is accepted."))
	return nil
}

func (h *handler) OnFCUnpublish(uint32, *message.NetStreamFCUnpublish) error {
	h.conn.unpublish()
	return nil
}

func (h *handler) OnDeleteStream(uint32, *message.NetStreamDeleteStream) error {
	h.conn.unpublish()
	return nil
}

func (h *handler) OnPublish(s *gortmp.StreamContext, _ uint32, cmd *message.NetStreamPublish) error {
	if err := h.conn.publish(s.StreamID, cmd.PublishingName); err != nil {
		return h.conn.fail(err)
	}
	return nil
}

func (h *handler) OnPlay(s *gortmp.StreamContext, _ uint32, _ *message.NetStreamPlay) error {
	h.conn.streamID = s.StreamID
	return h.conn.fail(errPlay)
}

var errPlay = errors.New("this server takes RTMP in and plays nothing back: watch the stream over HLS")

// OnUnknownCommandMessage receives commands in the wrong state: publish before connect, or twice on one stream.
func (h *handler) OnUnknownCommandMessage(_ uint32, cmd *message.CommandMessage) error {
	if cmd.CommandName == "publish" {
		return h.conn.fail(ingest.Refuse(ingest.BadName, "publish came out of turn: open a connection for each stream"))
	}
	return nil
}

// OnClose is called once, when go-rtmp has stopped reading.
func (h *handler) OnClose() {
	c := h.conn
	defer func() {
		if r := recover(); r != nil {
			c.server.Stats.Panics.Add(1)
			c.log.Error("panic while ending a session", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	err := c.fail(errBadAMF) // if reading did not end it, go-rtmp did not understand a command
	c.endSession(err)
}

// maxRecord is the largest TLS record, in bytes (RFC 8446 5.1).
const maxRecord = 16 << 10

// publish asks for permission and begins a session.
func (c *conn) publish(streamID uint32, name string) error {
	c.streamID = streamID
	if c.session != nil {
		return ingest.Refuse(ingest.BadName, "this connection already publishes a stream: open one for each")
	}
	request, err := parseTarget(c.app, c.tcURL, name)
	if err != nil {
		return c.refused(err)
	}
	request.Protocol, request.Remote = "rtmp", c.RemoteAddr().String()
	grant, err := c.door.authorize(request)
	if err != nil {
		return c.refused(err)
	}
	ledger := ingest.NewLedger(&c.server.Stats.Frames)
	session, err := c.door.publish(ingest.Announce{
		App: request.App, Stream: grant.Stream, Protocol: "rtmp", Ledger: ledger,
		Remote: request.Remote, Identity: grant.Identity, Right: grant.Right, Backup: request.Backup, Cancel: context.CancelCauseFunc(c.cancel),
	})
	if err != nil {
		return c.refused(err)
	}
	c.session = session
	c.demux = flv.New(normalise.New(session, normalise.Options{
		Ledger: ledger, Log: c.log.With("stream", request.App+"/"+grant.Stream), Milliseconds: true, Memory: c.opts.Memory,
	}))
	c.app, c.stream, c.since = request.App, grant.Stream, c.opts.Now()
	c.server.Stats.Published.Add(1)
	c.server.Stats.Publishers.Add(1)
	c.chunks.SetLimits(c.opts.publisherLimits())
	// A TLS connection returns one record per read, and FFmpeg makes records of 128 bytes: with gathering they would be read far too
	// slowly. Its buffer then always has an owner, so it is no larger than a record.
	_, encrypted := c.Conn.(*tls.Conn)
	buffer := c.opts.ReadBuffer
	if encrypted {
		buffer = min(buffer, maxRecord)
	}
	c.chunks.Share(&c.server.memory, buffer)
	c.gather(encrypted)
	c.extend(c.since.Add(c.opts.IdleTimeout))
	listen.Settle(c.Conn, true)
	c.log.Info("publisher connected", "app", c.app, "stream", c.stream)
	return nil
}

// refused logs a refusal, once for each address and kind, without what the encoder sent, which may be a secret. It goes by the kind, not by
// the code that RTMP has for it: whoever mistypes the app after a wrong key finds both in the log. It turns any other error into a refusal.
func (c *conn) refused(err error) error {
	var r *ingest.Refusal
	if !errors.As(err, &r) {
		c.log.Error("cannot take a publisher", "error", err)
		return ingest.Refuse(ingest.Overloaded, "the server cannot take the stream now: try again later")
	}
	who, _, _ := net.SplitHostPort(c.RemoteAddr().String())
	c.opts.Episodes.Warn("refused "+strconv.Itoa(int(r.Kind)), who, "publisher refused", "protocol", "rtmp", "remote", who, "reason", r.Reason)
	return r
}
