package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/cmd/hlsorigin/budget"
	"github.com/hlsorigin/hlsorigin/configs"
)

// checkCommand says what is wrong with a configuration, or prints the one in force.
func checkCommand(args []string, env environment) error {
	f := flags("check")
	path := configFlag(f, env)
	if err := parse(f, args); err != nil {
		return err
	}
	c, err := configs.Load(*path, env.vars)
	if err != nil {
		return err
	}
	b, err := budget.New(memorySettings(c), os.ReadFile)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(env.out, c, &b)
	return err
}

// healthcheckTimeout bounds healthcheckCommand; a container runtime's own limit is usually 30 s.
const healthcheckTimeout = 5 * time.Second

// thisMachine is where healthcheckCommand connects from.
var thisMachine = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// healthcheckCommand asks a server on this machine whether it is well.
func healthcheckCommand(args []string, env environment) error {
	f := flags("healthcheck")
	path := configFlag(f, env)
	if err := parse(f, args); err != nil {
		return err
	}
	c, err := configs.Load(*path, env.vars)
	if err != nil {
		return err
	}
	address, header := c.Admin.Listen, ""
	if address == "" {
		address = c.HTTP.Listen
		if behind := configs.Ranges(c.TrustedProxies); slices.ContainsFunc(behind, func(p netip.Prefix) bool { return p.Contains(thisMachine) }) {
			header = "PROXY UNKNOWN\r\n" // the port takes nothing from this machine without one
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
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
