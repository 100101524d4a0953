package origin

import (
	"net"
	"time"
)

// maxRefusing bounds how many surplus connections are told so at a time; beyond that they are closed without a word.
const maxRefusing = 64

// refusal waits at most this long for the client to read it.
const refusalTime = time.Second

const refusalText = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\n" +
	"Cache-Control: no-store\r\nRetry-After: 1\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\ntoo many connections\n"

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
		if _, err := c.Write([]byte(refusalText)); err != nil {
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
