package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
)

// Limits of a PROXY header, in bytes.
const (
	maxHeader1 = 107     // of version 1, line ending included: what its specification allows (section 2.1)
	maxHeader2 = 2 << 10 // of version 2 after its first 16: addresses take 36, the rest is the proxy's own
)

// signature2 starts a header of version 2 (section 2.2).
const signature2 = "\r\n\r\n\x00\r\nQUIT\n"

var (
	errNoHeader  = errors.New("no PROXY header came")
	errBadHeader = errors.New("the PROXY header cannot be read")
)

// readHeader reads a PROXY header of version 1 or 2 and not a byte more, so that what follows needs no buffer. It returns the client's
// address and port, or the zero value if the proxy does not know them or speaks for itself. The source is "The PROXY protocol, versions 1 &
// 2" by W. Tarreau, 2020.
func readHeader(r io.Reader) (netip.AddrPort, error) {
	var first [len(signature2)]byte // the shortest of version 1 is longer: "PROXY UNKNOWN" and a line ending
	n, err := io.ReadFull(r, first[:])
	switch {
	case err != nil && n == 0:
		return netip.AddrPort{}, fmt.Errorf("%w: %w", errNoHeader, err)
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("%w: %w", errBadHeader, err)
	case string(first[:]) == signature2:
		return readHeader2(r)
	case bytes.HasPrefix(first[:], []byte("PROXY ")):
		return readHeader1(r, first[:])
	}
	return netip.AddrPort{}, errNoHeader
}

// readHeader1 reads to the end of the line, byte by byte.
func readHeader1(r io.Reader, line []byte) (netip.AddrPort, error) {
	line = append(make([]byte, 0, maxHeader1), line...)
	for !bytes.HasSuffix(line, []byte("\r\n")) {
		if len(line) == maxHeader1 {
			return netip.AddrPort{}, fmt.Errorf("%w: its line is too long", errBadHeader)
		}
		line = line[:len(line)+1]
		if _, err := io.ReadFull(r, line[len(line)-1:]); err != nil {
			return netip.AddrPort{}, fmt.Errorf("%w: %w", errBadHeader, err)
		}
	}
	fields := strings.Split(string(line[:len(line)-2]), " ")
	switch {
	case fields[1] == "UNKNOWN":
		return netip.AddrPort{}, nil
	case len(fields) != 6 || fields[1] != "TCP4" && fields[1] != "TCP6":
		return netip.AddrPort{}, errBadHeader
	}
	source, err := netip.ParseAddrPort(net.JoinHostPort(fields[2], fields[4]))
	if err != nil || source.Addr().Zone() != "" || source.Addr().Is4() != (fields[1] == "TCP4") {
		return netip.AddrPort{}, fmt.Errorf("%w: its source is no address", errBadHeader)
	}
	return source, nil
}

// The parts of version 2 that are used here.
const (
	commandLocal = 0x20
	commandProxy = 0x21
	familyTCP4   = 0x11
	familyTCP6   = 0x21
)

func readHeader2(r io.Reader) (netip.AddrPort, error) {
	var head [4]byte // command, family, length of the rest
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %w", errBadHeader, err)
	}
	n := binary.BigEndian.Uint16(head[2:])
	if n > maxHeader2 {
		return netip.AddrPort{}, fmt.Errorf("%w: it is %d bytes long", errBadHeader, n)
	}
	rest := make([]byte, n)
	if _, err := io.ReadFull(r, rest); err != nil {
		return netip.AddrPort{}, fmt.Errorf("%w: %w", errBadHeader, err)
	}
	size := 0
	switch {
	case head[0] == commandLocal:
		return netip.AddrPort{}, nil
	case head[0] != commandProxy:
		return netip.AddrPort{}, fmt.Errorf("%w: version and command are %#x", errBadHeader, head[0])
	case head[1] == familyTCP4:
		size = 4
	case head[1] == familyTCP6:
		size = 16
	default: // a UNIX socket, for example: the client has no address
		return netip.AddrPort{}, nil
	}
	if len(rest) < 2*size+4 {
		return netip.AddrPort{}, fmt.Errorf("%w: it ends within the addresses", errBadHeader)
	}
	source, _ := netip.AddrFromSlice(rest[:size])
	return netip.AddrPortFrom(source, binary.BigEndian.Uint16(rest[2*size:])), nil
}
