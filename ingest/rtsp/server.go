// Package rtsp is the RTSP record server: encoders ANNOUNCE, SETUP and RECORD rtsp://host/{app}/{stream}, over TCP (interleaved) or UDP,
// and every access unit goes to an ingest.Publisher as a frame in 90 kHz ticks. It refuses to play, to pause, to multicast, and to carry a
// codec that has no place in our transport streams.
//
// The protocol library speaks RTSP. Requests are repaired before the library sees them (repair.go, offer.go), and refusals of the library
// get their reason before the encoder sees them (answer.go, conn.go, explain.go).
//
// A packet arrives on the connection's reader, or over UDP through the publisher's queue (queue.go). The stream of its format (video.go,
// audio.go) extracts units from it: everything with one timestamp, up to the marker (units.go). The track's clock places them (clock.go),
// ingest/normalise makes frames of them, pictures get their decoding times (dts.go), and sender reports align the tracks (aligner.go). Both
// tracks are passed on in decoding order (frames.go).
package rtsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/bluenviron/gortsplib/v4"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// Defaults of Options.
const (
	DefaultUDPListen        = ":8000"
	DefaultUDPReadBuffer    = 2 << 20
	DefaultHandshakeTimeout = 10 * time.Second
	DefaultReadTimeout      = 10 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultSyncWait         = 3500 * time.Millisecond
	DefaultInterleaveWait   = 500 * time.Millisecond
	DefaultMaxHeldBytes     = 16 << 20
)

// Options of a Server. Publisher and Authorizer are required; every other zero value means its default.
type Options struct {
	Publisher  ingest.Publisher
	Authorizer ingest.Authorizer
	Log        *slog.Logger     // default: discards
	Now        func() time.Time // arrival of frames; default time.Now

	Memory   *ingest.Memory   // shared by all connections' unfinished messages and waiting frames; nil: no bound
	Episodes *ingest.Episodes // for what hostile peers cause; default: one on Log

	// Password returns the password of app/name, and whether the app has such streams, so that a Digest is worth asking for. Only a server
	// that knows a password can check a Digest: if Password is nil, and for other apps, only Basic is offered. The result of a correct
	// Digest still goes through Authorizer.
	Password func(app, name string) (password string, ok, digest bool)

	// UDPListen is the address for RTP, with an even port; RTCP uses the next port. An empty value switches UDP off; TLS listeners need it
	// empty. If the address is not available, that is logged, and the server uses TCP only.
	UDPListen string
	// UDPReadBuffer is the requested kernel buffer of each UDP socket, in bytes. The kernel may grant less (net.core.rmem_max); that is
	// logged and no error.
	UDPReadBuffer int

	// MaxQueuedPackets bounds the packets of one UDP publisher that wait for its goroutine; further packets are dropped. Each holds 1.5 KB.
	MaxQueuedPackets int

	// HandshakeTimeout bounds the time of a connection without recording: before RECORD, and after TEARDOWN.
	HandshakeTimeout time.Duration
	// ReadTimeout ends a publisher that sends nothing.
	ReadTimeout time.Duration
	// WriteTimeout bounds the sending of one answer.
	WriteTimeout time.Duration

	// SyncWait is how long frames are held for the RTCP sender reports that align them: the first frames of a publisher with two tracks,
	// and those of a track that begins later than the other. Then the times of arrival decide. FFmpeg sends its reports first, so nothing
	// waits; GStreamer's come within 3.1 seconds (RFC 3550 6.2).
	SyncWait time.Duration
	// MaxHeldBytes bounds the frames held meanwhile, and those that wait for the other track.
	MaxHeldBytes int
	// InterleaveWait is how long a frame waits for frames of the other track that are to be decoded before it.
	InterleaveWait time.Duration
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Episodes == nil {
		o.Episodes = ingest.NewEpisodes(o.Log, o.Now)
	}
	if o.UDPReadBuffer == 0 {
		o.UDPReadBuffer = DefaultUDPReadBuffer
	}
	if o.MaxQueuedPackets == 0 {
		o.MaxQueuedPackets = DefaultMaxQueuedPackets
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = DefaultReadTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = DefaultWriteTimeout
	}
	if o.SyncWait == 0 {
		o.SyncWait = DefaultSyncWait
	}
	if o.InterleaveWait == 0 {
		o.InterleaveWait = DefaultInterleaveWait
	}
	if o.MaxHeldBytes == 0 {
		o.MaxHeldBytes = DefaultMaxHeldBytes
	}
	return o
}

// Server is an RTSP record server.
type Server struct {
	Stats Stats

	opts Options
}

// New returns a Server; Serve runs it.
func New(o Options) *Server { return &Server{opts: o.withDefaults()} }

// Serve serves l until ctx is done or l fails, and returns when all its connections, sessions and goroutines have ended. It closes l. It
// returns nil if ctx ended it; sessions then end with ingest.ErrShutdown. Temporary Accept errors are up to l: one that l returns ends the
// server.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	return s.serve(ctx, l, s.listenUDP())
}

// ServeTLS does the same for a listener of TLS connections. Their publishers send only over these connections: the UDP ports belong to
// Serve.
func (s *Server) ServeTLS(ctx context.Context, l net.Listener) error { return s.serve(ctx, l, nil) }

func (s *Server) serve(ctx context.Context, l net.Listener, udp *udpPair) error {
	h := &handler{
		opts:  s.opts,
		stats: &s.Stats,
		authorize: func(r ingest.Request) (ingest.Grant, error) {
			return s.opts.Authorizer.Authorize(ctx, r)
		},
		publish: func(a ingest.Announce) (ingest.Session, error) {
			return s.opts.Publisher.Publish(ctx, a)
		},
		quit: ctx.Done(),
		wait: func(d time.Duration) {
			select {
			case <-time.After(d):
			case <-ctx.Done():
			}
		},
	}
	srv := &gortsplib.Server{
		Handler:      h,
		RTSPAddress:  l.Addr().String(),
		ReadTimeout:  s.opts.ReadTimeout,
		WriteTimeout: s.opts.WriteTimeout,
		Listen: func(string, string) (net.Listener, error) {
			return &listener{Listener: l, handshake: s.opts.HandshakeTimeout, memory: s.opts.Memory, quit: ctx.Done()}, nil
		},
	}
	if udp != nil {
		srv.UDPRTPAddress, srv.UDPRTCPAddress = udp.rtp.LocalAddr().String(), udp.rtcp.LocalAddr().String()
		srv.ListenPacket = udp.hand
	}
	if err := srv.Start(); err != nil {
		udp.Close()
		return errors.Join(fmt.Errorf("rtsp: %w", err), l.Close())
	}
	stop := context.AfterFunc(ctx, srv.Close)
	err := srv.Wait()
	if !stop() {
		srv.Close() // the other call of Close is in progress: wait for the same
		return nil
	}
	return fmt.Errorf("rtsp: %w", err)
}
