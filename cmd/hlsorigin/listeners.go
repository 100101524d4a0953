package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
	"github.com/hlsorigin/hlsorigin/storage/regular"
)

// addresses are where a started server listens; nil where it does not.
type addresses struct{ http, https, admin, rtmp, rtmps, rtsp, rtsps net.Addr }

// sockets are the open listeners.
type sockets struct{ http, https, admin, rtmp, rtmps, rtsp, rtsps net.Listener }

// Limits of the admin port, which few ask. Beyond them the connections go that have waited longest.
const (
	maxAdminConnections           = 256
	maxAdminConnectionsPerAddress = 64
)

// open opens every listener that the configuration asks for, or none. Who connects before a server takes up the listener waits.
func (s *server) open() (err error) {
	defer func() {
		if err != nil {
			s.sockets.close()
		}
	}()
	for _, l := range []struct {
		to      *net.Listener
		setting string
		address string
	}{
		{&s.sockets.admin, "admin.listen", s.cfg.Admin.Listen},
		{&s.sockets.http, "http.listen", s.cfg.HTTP.Listen},
		{&s.sockets.https, "http.tls.listen", s.cfg.HTTP.TLS.Listen},
		{&s.sockets.rtmp, "rtmp.listen", s.cfg.RTMP.Listen},
		{&s.sockets.rtmps, "rtmp.tls.listen", s.cfg.RTMP.TLS.Listen},
		{&s.sockets.rtsp, "rtsp.listen", s.cfg.RTSP.Listen},
		{&s.sockets.rtsps, "rtsp.tls.listen", s.cfg.RTSP.TLS.Listen},
	} {
		if *l.to, err = bind(l.setting, l.address); err != nil {
			return err
		}
	}
	limit := func(l net.Listener, total, each int) net.Listener {
		if l == nil {
			return nil
		}
		limited := listen.New(l, listen.Options{MaxConns: total, MaxPerAddress: each, Warn: s.episodes.Warn})
		s.limited = append(s.limited, limited)
		return limited
	}
	s.sockets.admin = limit(s.sockets.admin, maxAdminConnections, maxAdminConnectionsPerAddress)
	s.sockets.rtmp, s.sockets.rtmps = s.behindProxies(s.sockets.rtmp), s.behindProxies(s.sockets.rtmps)
	s.sockets.rtsp, s.sockets.rtsps = s.behindProxies(s.sockets.rtsp), s.behindProxies(s.sockets.rtsps)
	s.sockets.rtmp = limit(s.sockets.rtmp, s.cfg.RTMP.MaxConnections, s.cfg.RTMP.MaxConnectionsPerAddress)
	s.sockets.rtmps = limit(s.sockets.rtmps, s.cfg.RTMP.MaxConnections, s.cfg.RTMP.MaxConnectionsPerAddress)
	s.sockets.rtsp = limit(s.sockets.rtsp, s.cfg.RTSP.MaxConnections, s.cfg.RTSP.MaxConnectionsPerAddress)
	s.sockets.rtsps = limit(s.sockets.rtsps, s.cfg.RTSP.MaxConnections, s.cfg.RTSP.MaxConnectionsPerAddress)
	s.sockets.http, s.sockets.https = s.behindProxies(s.sockets.http), s.behindProxies(s.sockets.https)
	if s.sockets.rtmps, err = withTLS(s.sockets.rtmps, s.cfg.RTMP.TLS, "rtmp.tls"); err != nil {
		return err
	}
	s.sockets.rtsps, err = withTLS(s.sockets.rtsps, s.cfg.RTSP.TLS, "rtsp.tls")
	return err
}

func (l *sockets) close() {
	for _, s := range []net.Listener{l.http, l.https, l.admin, l.rtmp, l.rtmps, l.rtsp, l.rtsps} {
		if s != nil {
			_ = s.Close()
		}
	}
}

func (l *sockets) addresses() addresses {
	at := func(s net.Listener) net.Addr {
		if s == nil {
			return nil
		}
		return s.Addr()
	}
	return addresses{http: at(l.http), https: at(l.https), admin: at(l.admin), rtmp: at(l.rtmp), rtmps: at(l.rtmps), rtsp: at(l.rtsp), rtsps: at(l.rtsps)}
}

// bind opens a listener; its error names the setting that asked for it.
func bind(setting, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("%s: cannot listen on %s: %w; stop what uses it, or choose another address", setting, address, err)
	}
	return l, nil
}

// behindProxies makes a listener read PROXY headers, where there are proxies that send them.
func (s *server) behindProxies(l net.Listener) net.Listener {
	if l == nil || len(s.cfg.TrustedProxies) == 0 {
		return l
	}
	p := listen.NewProxied(l, listen.ProxyOptions{Trusted: configs.Ranges(s.cfg.TrustedProxies), Warn: s.episodes.Warn})
	s.proxied = append(s.proxied, p)
	return p
}

// withTLS puts TLS on a listener of publishers.
func withTLS(l net.Listener, c configs.TLS, setting string) (net.Listener, error) {
	if l == nil {
		return nil, nil
	}
	pair, err := loadKeyPair(c.Cert, c.Key)
	if err != nil {
		return l, fmt.Errorf("%s: %w", setting, err)
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}), nil
}

// maxPEM bounds a certificate's file, bytes: chains are of a few certificates, of a few KiB each.
const maxPEM = 1 << 20

// loadKeyPair is tls.LoadX509KeyPair for files that may be anything.
func loadKeyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := regular.Read(certFile, maxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := regular.Read(keyFile, maxPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// port is a listener's port; 0 where there is none.
func port(a net.Addr) int {
	if a == nil {
		return 0
	}
	_, p, _ := net.SplitHostPort(a.String())
	n, _ := strconv.Atoi(p)
	return n
}
