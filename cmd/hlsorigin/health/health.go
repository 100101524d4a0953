// Package health asks a server on this machine whether it is well, as a container's health check does. It asks /healthz and nothing
// else, and starts and ends no process.
package health

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/control"
	"github.com/hlsorigin/hlsorigin/configs"
)

// timeout bounds a question; a container runtime's own limit is usually 30 s.
const timeout = 5 * time.Second

// thisMachine is where a question comes from.
var thisMachine = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// Ask asks the server that has this configuration, on its admin port or, where it has none, on the public one. The error says why it is
// not well, or that it does not answer.
func Ask(ctx context.Context, c configs.Config) error {
	address, header := c.Admin.Listen, ""
	if address == "" {
		address = c.HTTP.Listen
		if behind := configs.Ranges(c.TrustedProxies); slices.ContainsFunc(behind, func(p netip.Prefix) bool { return p.Contains(thisMachine) }) {
			header = "PROXY UNKNOWN\r\n" // the port takes nothing from this machine without one
		}
	}
	at, err := control.Reachable(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/healthz", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil && header != "" {
			_, err = io.WriteString(conn, header)
		}
		return conn, err
	}}}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("not well: %w", err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("not well: %s: %s", res.Status, strings.TrimSpace(string(body)))
	}
	return nil
}
