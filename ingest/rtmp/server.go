package rtmp

import (
	"context"
	"net"
	"time"

	gortmp "github.com/yutopp/go-rtmp"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// Server accepts RTMP publishers. One Server may serve several listeners, including TLS.
type Server struct {
	Stats Stats

	opts   Options
	epoch  time.Time // start of the grid of Options.Coalesce
	memory chunk.Memory
}

// New returns a Server.
func New(o Options) *Server {
	s := &Server{opts: o.withDefaults()}
	s.epoch = s.opts.Now()
	return s
}

// Serve accepts connections from l until ctx is done. It then ends each session with ingest.ErrShutdown and returns nil when the last
// connection is closed. It owns l and closes it. It returns an error if the listener failed for good.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	lib := gortmp.NewServer(&gortmp.ServerConfig{OnConnect: onConnect})
	g := &gate{Listener: l, conns: make(map[*conn]struct{}), quit: func() { _ = lib.Close() }}
	g.wrap = func(n net.Conn) *conn {
		return newConn(s, n, door{
			authorize: func(r ingest.Request) (ingest.Grant, error) { return s.opts.Authorizer.Authorize(ctx, r) },
			publish:   func(a ingest.Announce) (ingest.Session, error) { return s.opts.Publisher.Publish(ctx, a) },
			leave:     g.leave,
		})
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	_ = lib.Serve(g) // always ErrClosed
	g.cancel(ingest.ErrShutdown)
	g.wait.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return g.err
}
