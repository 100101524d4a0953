package rtsp

import (
	"sync"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
)

// source is where a UDP publisher sends from: the address of its connection, and a port named in SETUP. The protocol library accepts
// packets from nowhere else, and learns no other source from incoming packets. But if two sessions have the same source, it gives the
// packets to the later one, and stops accepting them for both when one ends.
type source struct {
	host string
	port int
}

// sources gives each source to one session.
type sources struct {
	mu sync.Mutex
	of map[source]*publisher
}

// take gives p the ports of a host, all or none. If another session has one of them, take returns that session.
func (s *sources) take(p *publisher, host string, ports []int) (other *publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, port := range ports {
		if has := s.of[source{host, port}]; has != nil && has != p {
			return has
		}
	}
	if s.of == nil {
		s.of = map[source]*publisher{}
	}
	for _, port := range ports {
		s.of[source{host, port}] = p
	}
	return nil
}

// leave takes all of p's ports back.
func (s *sources) leave(p *publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, has := range s.of {
		if has == p {
			delete(s.of, k)
		}
	}
}

// clientPorts returns the ports that a SETUP names, in any of its alternatives.
func clientPorts(v base.HeaderValue) (ports []int) {
	var all headers.Transports
	if all.Unmarshal(v) != nil {
		return nil
	}
	for _, t := range all {
		if t.ClientPorts != nil {
			ports = append(ports, t.ClientPorts[0], t.ClientPorts[1])
		}
	}
	return ports
}
