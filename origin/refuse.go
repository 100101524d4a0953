package origin

import (
	"net"
	"time"
)

// maxRefusing bounds how many surplus connections are told so at a time; beyond that they are closed without a word.
const maxRefusing = 64

// refusal waits at most this long for the client to read it.
const refusalTime = time.Second

// refuse answers a connection over the limit with 503. It reads what the client sends until the client closes, because
// closing over unread bytes resets the connection and takes the answer with it.
func (s *server) refuse(c net.Conn) {
	s.o.stats.Refused.Add(1)
	select {
	case s.refused <- struct{}{}:
	default:
		c.Close()
		return
	}
	s.open.Go(func() {
		defer func() { <-s.refused }()
		defer c.Close()
		if s.tls != nil {
			return
		}
		if c.SetDeadline(s.o.opts.Now().Add(refusalTime)) != nil {
			return
		}
		var scrap [4096]byte
		if _, err := c.Read(scrap[:]); err != nil {
			return
		}
		var res response
		s.o.cors().apply(&request{}, &res)
		s.o.unavailable(&res, "too many connections\n")
		if _, err := c.Write(append(s.o.appendHead(nil, &res, s.o.opts.Now(), true), res.bytes...)); err != nil {
			return
		}
		if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			for n := 0; n < 64; n++ { // until the client closes, and never for long
				if _, err := c.Read(scrap[:]); err != nil {
					return
				}
			}
		}
	})
}
