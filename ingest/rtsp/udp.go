package rtsp

import (
	"errors"
	"fmt"
	"net"

	"github.com/bluenviron/gortsplib/v4/pkg/readbuffer"
)

// maxPortTries bounds the search for two free adjacent ports if the kernel chooses the port.
const maxPortTries = 50

// udpPair is the RTP and the RTCP socket. They are opened before the server starts, because the protocol library does not start at all if a
// port is busy, or if the kernel does not grant the read buffer.
type udpPair struct {
	rtp, rtcp *net.UDPConn
}

// listenUDP opens the pair. It returns nil if UDP is off or not available, which is logged.
func (s *Server) listenUDP() *udpPair {
	log := s.opts.Log
	if s.opts.UDPListen == "" {
		log.Info("rtsp: UDP is off, publishers use TCP")
		return nil
	}
	p, err := openPair(s.opts.UDPListen)
	if err != nil {
		log.Warn("rtsp: UDP is not available, publishers must use TCP", "udp_listen", s.opts.UDPListen, "error", err)
		return nil
	}
	for _, c := range []*net.UDPConn{p.rtp, p.rtcp} {
		// Linux silently grants up to net.core.rmem_max; other systems refuse.
		err := c.SetReadBuffer(s.opts.UDPReadBuffer)
		granted, sizeErr := readbuffer.ReadBuffer(c)
		if err != nil || sizeErr == nil && granted < s.opts.UDPReadBuffer {
			log.Info("rtsp: the kernel grants a smaller UDP read buffer; bursts may lose packets",
				"address", c.LocalAddr().String(), "wanted_bytes", s.opts.UDPReadBuffer, "granted_bytes", granted,
				"hint", "raise net.core.rmem_max")
		}
	}
	return p
}

func openPair(address string) (*udpPair, error) {
	addr, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	network := "udp"
	if addr.IP.To4() != nil {
		network = "udp4"
	}
	if addr.Port%2 != 0 {
		return nil, fmt.Errorf("port %d for RTP must be even, RTCP takes the next one", addr.Port)
	}
	var last error
	for range maxPortTries {
		rtp, err := net.ListenUDP(network, addr)
		if err != nil {
			return nil, err
		}
		next := *addr
		next.Port = rtp.LocalAddr().(*net.UDPAddr).Port + 1
		if next.Port%2 != 0 {
			rtcp, err := net.ListenUDP(network, &next)
			if err == nil {
				return &udpPair{rtp: rtp, rtcp: rtcp}, nil
			}
			last = err
		}
		rtp.Close()
		if addr.Port != 0 {
			return nil, last
		}
	}
	return nil, errors.Join(errors.New("no two free neighbouring ports"), last)
}

// hand gives the library the socket that it requests by address, and with it the duty to close it.
func (p *udpPair) hand(_, address string) (net.PacketConn, error) {
	for _, c := range []*net.UDPConn{p.rtp, p.rtcp} {
		if c.LocalAddr().String() == address {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no socket on %s", address)
}

// Close closes both sockets; the library may have closed them already.
func (p *udpPair) Close() {
	if p != nil {
		p.rtp.Close()
		p.rtcp.Close()
	}
}
