package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

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
	_, err = fmt.Fprint(env.out, c)
	return err
}

// healthcheckTimeout bounds healthcheckCommand; a container runtime's own limit is usually 30 s.
const healthcheckTimeout = 5 * time.Second

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
	address := c.Admin.Listen
	if address == "" {
		address = c.HTTP.Listen
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
	res, err := http.DefaultClient.Do(req)
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
