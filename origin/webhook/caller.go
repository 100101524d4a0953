package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"
)

// Caller sends single events to addresses that those have named who may order something, and not the operator. It keeps no queue, and goes
// only where the operator lets it: to hosts that he has listed, or else to public addresses alone, whatever their names resolve to.
type Caller struct {
	h            *Hooks
	open, public *http.Client
}

// NewCaller returns a Caller beside hooks, with their clock and limits.
func NewCaller(h *Hooks) *Caller {
	transport := func(control func(network, address string, c syscall.RawConn) error) *http.Transport {
		d := &net.Dialer{Timeout: h.o.Timeout, Control: control}
		// No proxy: it would resolve names by itself.
		return &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 1, IdleConnTimeout: 10 * time.Second, TLSHandshakeTimeout: h.o.Timeout, MaxResponseHeaderBytes: maxAnswer}
	}
	return &Caller{h: h, open: newClient(transport(nil), h.o.Timeout), public: newClient(transport(onlyPublic), h.o.Timeout)}
}

// Close closes what is kept open.
func (c *Caller) Close() {
	c.open.CloseIdleConnections()
	c.public.CloseIdleConnections()
}

// errPrivate is why an address is not called.
var errPrivate = errors.New("its address is not public: list its host in jobs.webhook_hosts")

// onlyPublic refuses connections to addresses that are not public. It sees what a name has resolved to.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !public(at.Addr()) {
		return errPrivate
	}
	return nil
}

// special are ranges that are not public and that netip does not know as such (RFC 6890, RFC 6598, RFC 6052, RFC 3056, RFC 4380).
func special() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16"} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// public reports whether an address is somewhere on the Internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && a.Zone() == "" && !slices.ContainsFunc(special(), func(p netip.Prefix) bool { return p.Contains(a) })
}

// CheckCall returns an error where a URL can never be called, with what its owner has to change. It resolves nothing.
func CheckCall(address string, hosts []string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("it is not http://host/… or https://host/…")
	}
	if len(hosts) > 0 {
		if !slices.Contains(hosts, u.Host) && !slices.Contains(hosts, u.Hostname()) {
			return fmt.Errorf("its host %s is not in jobs.webhook_hosts", u.Host)
		}
		return nil
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !public(ip) {
		return errPrivate
	}
	return nil
}

// Call sends one event once, signed. The error contains at most the host.
func (c *Caller) Call(ctx context.Context, address, secret string, hosts []string, id, typ string, at time.Time, d Data) error {
	if err := CheckCall(address, hosts); err != nil {
		return err
	}
	key, err := parseSecret(secret)
	if err == nil && key == nil {
		err = errSecret
	}
	if err != nil {
		return err
	}
	client := c.public
	if len(hosts) > 0 {
		client = c.open
	}
	at = at.UTC().Truncate(time.Millisecond)
	e := &item{Event: Event{ID: id, Type: typ, Time: at}}
	return c.h.attemptBy(ctx, client, &job{e: e, body: body(id, typ, at, d), typ: "application/json", url: address, key: key})
}
