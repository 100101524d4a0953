package s3

import (
	"context"
	"net"
	"time"
)

// dial opens a connection whose send buffer holds little that is not on its way yet. Without that the kernel swallows a
// whole segment at once, and on a slow uplink the watchdog would see one jump and then a silence.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: limitUnsent}
	return d.DialContext(ctx, network, addr)
}
