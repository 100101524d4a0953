// Package stub provides the two servers against which others are measured: an RTMP server that only reads, for the cost of reading alone,
// and an S3 server that accepts everything and keeps nothing. It refuses to be of any other use.
package stub

import (
	"encoding/binary"
	"io"
	"math"
	"net"
	"time"
)

// Sink accepts every RTMP publisher and reads what it sends, in reads of up to buffer bytes, no sooner than every pause. It parses nothing
// after the publish command. It ends when the listener does.
func Sink(l net.Listener, buffer int, pause time.Duration) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go sink(c, buffer, pause)
	}
}

func sink(c net.Conn, buffer int, pause time.Duration) {
	defer func() { _ = c.Close() }()
	hello := make([]byte, 1+1536)
	if _, err := io.ReadFull(c, hello); err != nil {
		return
	}
	// S0, S1, S2, and at once all answers that our publishers wait for: it does not matter to them when they come.
	out := append([]byte{3}, make([]byte, 1536)...)
	out = append(out, hello[1:]...)
	out = answer(out, "_result", 1, []byte{5, 5})
	out = answer(out, "_result", 4, appendNumber([]byte{5}, 1))
	out = answer(out, "onStatus", 0, append([]byte{5}, information("code", "NetStream.Publish.Start")...))
	if _, err := c.Write(out); err != nil {
		return
	}
	b := make([]byte, buffer)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
		if pause > 0 {
			time.Sleep(pause)
		}
	}
}

// answer appends a command in one chunk: all are shorter than the initial chunk size, 128 bytes.
func answer(b []byte, name string, transaction float64, rest []byte) []byte {
	body := append(appendNumber(appendString(nil, name), transaction), rest...)
	b = append(b, 3, 0, 0, 0, 0, 0, byte(len(body)), 20, 0, 0, 0, 0)
	return append(b, body...)
}

func information(name, value string) []byte {
	b := append([]byte{3, 0, byte(len(name))}, name...)
	return append(appendString(b, value), 0, 0, 9)
}

func appendString(b []byte, s string) []byte { return append(append(b, 2, 0, byte(len(s))), s...) }

func appendNumber(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0), math.Float64bits(f))
}
