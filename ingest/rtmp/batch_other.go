//go:build !linux

package rtmp

import "net"

// batch exists only on systems whose network poller heeds a socket's low-water mark.
type batch struct{}

func newBatch(net.Conn) *batch { return nil }

func (*batch) end() {}

func (*batch) Read([]byte) (int, error) { return 0, nil }
