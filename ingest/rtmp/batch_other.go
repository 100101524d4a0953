//go:build !linux

package rtmp

import "net"

// batch exists where sockets have a low-water mark that the network poller heeds.
type batch struct{}

func newBatch(net.Conn) *batch { return nil }

func (*batch) Read([]byte) (int, error) { return 0, nil }
