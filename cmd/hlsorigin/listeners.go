package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/ingest/listen"
)

// addresses are where a started server listens; nil where it does not.
type addresses struct{ http, https, admin, rtmp, rtmps, rtsp, rtsps, put, puts, cluster net.Addr }

// sockets are the open listeners.
type sockets struct{ http, https, admin, rtmp, rtmps, rtsp, rtsps, put, puts, cluster net.Listener }

// Limits of the admin port, which few ask, and of that for other servers. Beyond them the connections go that have waited longest.
const (
	maxAdminConnections           = 256
	maxAdminConnectionsPerAddress = 64

	maxClusterConnections           = 8192
	maxClusterConnectionsPerAddress = 4096
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
	s.sockets.admin = s.limit(s.sockets.admin, false, func(configs.Config) (int, int) { return maxAdminConnections, maxAdminConnectionsPerAddress })
	s.sockets.cluster = s.limit(s.sockets.cluster, false, func(configs.Config) (int, int) { return maxClusterConnections, maxClusterConnectionsPerAddress })
	s.sockets.rtmp, s.sockets.rtmps = s.behindProxies(s.sockets.rtmp), s.behindProxies(s.sockets.rtmps)
	s.sockets.rtsp, s.sockets.rtsps = s.behindProxies(s.sockets.rtsp), s.behindProxies(s.sockets.rtsps)
	s.sockets.put, s.sockets.puts = s.behindProxies(s.sockets.put), s.behindProxies(s.sockets.puts)
	rtmp := func(secure bool) caps {
		return func(c configs.Config) (int, int) {
			return s.room(c.RTMP.MaxConnections, secure), c.RTMP.MaxConnectionsPerAddress
		}
	}
	rtsp := func(secure bool) caps {
		return func(c configs.Config) (int, int) {
			return s.room(c.RTSP.MaxConnections, secure), c.RTSP.MaxConnectionsPerAddress
		}
	}
	put := func(secure bool) caps {
		return func(c configs.Config) (int, int) {
			return s.room(c.IngestHTTP.MaxConnections, secure), c.IngestHTTP.MaxConnectionsPerAddress
		}
	}
	s.sockets.rtmp, s.sockets.rtmps = s.limit(s.sockets.rtmp, false, rtmp(false)), s.limit(s.sockets.rtmps, true, rtmp(true))
	s.sockets.rtsp, s.sockets.rtsps = s.limit(s.sockets.rtsp, false, rtsp(false)), s.limit(s.sockets.rtsps, true, rtsp(true))
	s.sockets.put, s.sockets.puts = s.limit(s.sockets.put, false, put(false)), s.limit(s.sockets.puts, true, put(true))
	for i := range s.limited {
		l := s.limited[i].Listener
		s.limited[i].put = s.sockets.put == net.Listener(l) || s.sockets.puts == net.Listener(l)
	}
	s.sockets.http, s.sockets.https = s.behindProxies(s.sockets.http), s.behindProxies(s.sockets.https)
	if s.sockets.rtmps, err = s.rtmpsCert.over(s.sockets.rtmps, s.cfg.RTMP.TLS); err != nil {
		return err
	}
	if s.sockets.rtsps, err = s.rtspsCert.over(s.sockets.rtsps, s.cfg.RTSP.TLS); err != nil {
		return err
	}
	if _, err = (&certificate{setting: "http.tls"}).load(s.cfg.HTTP.TLS); err != nil { // the origin reads it itself, when the other parts have begun
		return err
	}
	s.sockets.puts, err = s.putsCert.over(s.sockets.puts, s.cfg.IngestHTTP.TLS, "h2", "http/1.1")
	return err
}

// caps is how many connections a listener may have, in all and from each address.
type caps func(configs.Config) (total, each int)

// limited is a listener with caps.
type limited struct {
	*listen.Listener
	caps   caps
	secure bool // publishers over TLS
	put    bool // of the HTTP ingest
}

// limit puts caps on a listener; nil stays nil.
func (s *server) limit(l net.Listener, secure bool, of caps) net.Listener {
	if l == nil {
		return nil
	}
	total, each := of(s.cfg)
	lim := limited{listen.New(l, listen.Options{MaxConns: total, MaxPerAddress: each, Warn: s.episodes.Warn}), of, secure, false}
	s.limited = append(s.limited, lim)
	return lim.Listener
}

// socket is where a listener is kept, and what a configuration says of it.
type socket struct {
	to               *net.Listener
	setting, address string
}

func (l *sockets) all(c configs.Config) []socket {
	between := ""
	if c.Cluster.On() {
		between = c.Cluster.Listen
	}
	return []socket{
		{&l.cluster, "cluster.listen", between},
		{&l.admin, "admin.listen", c.Admin.Listen},
		{&l.http, "http.listen", c.HTTP.Listen},
		{&l.https, "http.tls.listen", c.HTTP.TLS.Listen},
		{&l.rtmp, "rtmp.listen", c.RTMP.Listen},
		{&l.rtmps, "rtmp.tls.listen", c.RTMP.TLS.Listen},
		{&l.rtsp, "rtsp.listen", c.RTSP.Listen},
		{&l.rtsps, "rtsp.tls.listen", c.RTSP.TLS.Listen},
		{&l.put, "ingest_http.listen", c.IngestHTTP.Listen},
		{&l.puts, "ingest_http.tls.listen", c.IngestHTTP.TLS.Listen},
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
	puts, err := s.putsCert.load(u.Wanted.IngestHTTP.TLS)
	if err != nil {
		return nil, err
	}
	return func() {
		if puts != nil {
			s.putsCert.pair.Store(puts)
		}
		if rtmps != nil {
			s.rtmpsCert.pair.Store(rtmps)
		}
		if rtsps != nil {
			s.rtspsCert.pair.Store(rtsps)
		}
		for _, l := range s.limited {
			l.SetCaps(l.caps(u.Config))
		}
	}, nil
}

// room is how many connections one of the publishers' listeners may have, over TLS or not: as configured, and no more than there is memory
// for.
func (s *server) room(configured int, secure bool) int {
	return s.budget.PublisherConnections(configured, s.sockets.ingests(), secure)
}

// securePublishers is how many connections to publish are open over TLS.
func (s *server) securePublishers() (n int64) {
	for _, l := range s.limited {
		if l.secure {
			n += l.Stats.Open.Load()
		}
	}
	return n
}

// ingests is how many listeners publishers have.
func (l *sockets) ingests() (n int) {
	for _, s := range []net.Listener{l.rtmp, l.rtmps, l.rtsp, l.rtsps, l.put, l.puts} {
		if s != nil {
			n++
		}
	}
	return n
}

func (l *sockets) close() {
	for _, s := range []net.Listener{l.http, l.https, l.admin, l.rtmp, l.rtmps, l.rtsp, l.rtsps, l.put, l.puts, l.cluster} {
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
	return addresses{http: at(l.http), https: at(l.https), admin: at(l.admin), rtmp: at(l.rtmp), rtmps: at(l.rtmps), rtsp: at(l.rtsp), rtsps: at(l.rtsps), put: at(l.put), puts: at(l.puts), cluster: at(l.cluster)}
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
		do := "stop what uses it, or choose another address"
		switch {
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			do = "this machine has no such address: choose one of its own, or the port alone, which is all of them"
		case errors.Is(err, syscall.EACCES):
			do = "let this user listen there (CAP_NET_BIND_SERVICE), or choose a port from 1024 on"
		}
		return nil, fmt.Errorf("%s: cannot listen on %s: %w; %s", setting, address, err, do)
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
