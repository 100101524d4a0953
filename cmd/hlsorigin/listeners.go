package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
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
	for _, l := range s.sockets.all(s.cfg) {
		if *l.to, err = bind(l.setting, l.address); err != nil {
			return err
		}
	}
	limit := func(l net.Listener, total, each int, group *[]*listen.Listener) net.Listener {
		if l == nil {
			return nil
		}
		limited := listen.New(l, listen.Options{MaxConns: total, MaxPerAddress: each, Warn: s.episodes.Warn})
		s.limited = append(s.limited, limited)
		*group = append(*group, limited)
		return limited
	}
	s.sockets.admin = limit(s.sockets.admin, maxAdminConnections, maxAdminConnectionsPerAddress, new([]*listen.Listener))
	s.sockets.rtmp, s.sockets.rtmps = s.behindProxies(s.sockets.rtmp), s.behindProxies(s.sockets.rtmps)
	s.sockets.rtsp, s.sockets.rtsps = s.behindProxies(s.sockets.rtsp), s.behindProxies(s.sockets.rtsps)
	s.sockets.rtmp = limit(s.sockets.rtmp, s.room(s.cfg.RTMP.MaxConnections), s.cfg.RTMP.MaxConnectionsPerAddress, &s.rtmpCaps)
	s.sockets.rtmps = limit(s.sockets.rtmps, s.secureRoom(s.cfg.RTMP.MaxConnections), s.cfg.RTMP.MaxConnectionsPerAddress, &s.rtmpsCaps)
	s.sockets.rtsp = limit(s.sockets.rtsp, s.room(s.cfg.RTSP.MaxConnections), s.cfg.RTSP.MaxConnectionsPerAddress, &s.rtspCaps)
	s.sockets.rtsps = limit(s.sockets.rtsps, s.secureRoom(s.cfg.RTSP.MaxConnections), s.cfg.RTSP.MaxConnectionsPerAddress, &s.rtspsCaps)
	s.sockets.http, s.sockets.https = s.behindProxies(s.sockets.http), s.behindProxies(s.sockets.https)
	if s.sockets.rtmps, err = s.rtmpsCert.over(s.sockets.rtmps, s.cfg.RTMP.TLS); err != nil {
		return err
	}
	s.sockets.rtsps, err = s.rtspsCert.over(s.sockets.rtsps, s.cfg.RTSP.TLS)
	return err
}

// socket is where a listener is kept, and what a configuration says of it.
type socket struct {
	to               *net.Listener
	setting, address string
}

func (l *sockets) all(c configs.Config) []socket {
	return []socket{
		{&l.admin, "admin.listen", c.Admin.Listen},
		{&l.http, "http.listen", c.HTTP.Listen},
		{&l.https, "http.tls.listen", c.HTTP.TLS.Listen},
		{&l.rtmp, "rtmp.listen", c.RTMP.Listen},
		{&l.rtmps, "rtmp.tls.listen", c.RTMP.TLS.Listen},
		{&l.rtsp, "rtsp.listen", c.RTSP.Listen},
		{&l.rtsps, "rtsp.tls.listen", c.RTSP.TLS.Listen},
	}
}

// prepareListeners tries the addresses and certificates that are new, so that the next start does not fail on them, reads the
// certificates that are in use again, and changes the caps.
func (s *server) prepareListeners(_ context.Context, u *configs.Update) (commit func(), err error) {
	ours := map[int]bool{}
	now := s.sockets.all(s.config())
	for _, l := range now {
		if *l.to != nil {
			ours[port((*l.to).Addr())] = true
		}
	}
	for i, l := range s.sockets.all(u.Wanted) {
		if _, p, _ := net.SplitHostPort(l.address); l.address == now[i].address || p != "0" && ours[portNumber(p)] {
			continue // a port of ours cannot be tried
		}
		tried, err := bind(l.setting, l.address)
		if err != nil {
			return nil, err
		}
		if tried != nil {
			_ = tried.Close()
		}
	}
	if _, err := (&certificate{setting: "http.tls"}).load(u.Wanted.HTTP.TLS); err != nil {
		return nil, err
	}
	rtmps, err := s.rtmpsCert.load(u.Wanted.RTMP.TLS)
	if err != nil {
		return nil, err
	}
	rtsps, err := s.rtspsCert.load(u.Wanted.RTSP.TLS)
	if err != nil {
		return nil, err
	}
	return func() {
		if rtmps != nil {
			s.rtmpsCert.pair.Store(rtmps)
		}
		if rtsps != nil {
			s.rtspsCert.pair.Store(rtsps)
		}
		for _, l := range s.rtmpCaps {
			l.SetCaps(s.room(u.Config.RTMP.MaxConnections), u.Config.RTMP.MaxConnectionsPerAddress)
		}
		for _, l := range s.rtspCaps {
			l.SetCaps(s.room(u.Config.RTSP.MaxConnections), u.Config.RTSP.MaxConnectionsPerAddress)
		}
		for _, l := range s.rtmpsCaps {
			l.SetCaps(s.secureRoom(u.Config.RTMP.MaxConnections), u.Config.RTMP.MaxConnectionsPerAddress)
		}
		for _, l := range s.rtspsCaps {
			l.SetCaps(s.secureRoom(u.Config.RTSP.MaxConnections), u.Config.RTSP.MaxConnectionsPerAddress)
		}
	}, nil
}

// room is how many connections one of the publishers' listeners may have: as configured, and no more than there is memory for.
func (s *server) room(configured int) int {
	return s.budget.PublisherConnections(configured, s.sockets.ingests(), false)
}

// secureRoom is the same for one over TLS.
func (s *server) secureRoom(configured int) int {
	return s.budget.PublisherConnections(configured, s.sockets.ingests(), true)
}

// securePublishers is how many connections to publish are open over TLS.
func (s *server) securePublishers() (n int64) {
	for _, l := range slices.Concat(s.rtmpsCaps, s.rtspsCaps) {
		n += l.Stats.Open.Load()
	}
	return n
}

// ingests is how many listeners publishers have.
func (l *sockets) ingests() (n int) {
	for _, s := range []net.Listener{l.rtmp, l.rtmps, l.rtsp, l.rtsps} {
		if s != nil {
			n++
		}
	}
	return n
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

// port is a listener's port; 0 where there is none.
func port(a net.Addr) int {
	if a == nil {
		return 0
	}
	_, p, _ := net.SplitHostPort(a.String())
	return portNumber(p)
}

func portNumber(p string) int {
	n, _ := strconv.Atoi(p)
	return n
}
