//go:build linux

package system

import (
	"net"
	"strconv"
)

// Place is what a server is started with; its fields, and the function port, are what templates may use.
type Place struct {
	Binary string // the program
	Dir    string // its directory, removed when it has ended
	S3     string // host:port of an S3 server that accepts everything and keeps nothing
	S3TLS  string // the same over TLS
	Stream string // only in Ingest and Playlist
	// Certificate is the file with which S3TLS is trusted.
	Certificate string
	Root        bool // the runner is root, and servers must not change to another user

	ports map[string]int
}

// Port returns a free port, always the same for the same name.
func (p *Place) Port(name string) (string, error) {
	if n, ok := p.ports[name]; ok {
		return strconv.Itoa(n), nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	n := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	if p.ports == nil {
		p.ports = map[string]int{}
	}
	p.ports[name] = n
	return strconv.Itoa(n), nil
}
