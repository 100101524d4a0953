package admin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// knownHost refuses requests for a host name that is not ours. A page elsewhere can make its own name resolve to this
// address and then read what the browser lets it read (DNS rebinding), but the browser sends that name along.
func (s *Server) knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := hostname(r.Host)
		if !s.mayName(name) && r.URL.Path != "/healthz" { // which tells nobody anything
			s.stats.RefusedHosts.Add(1)
			http.Error(w, fmt.Sprintf("This server was not told that it is called %q. If it is, add the name to admin.hosts.", name), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) mayName(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	return name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		slices.ContainsFunc(s.o.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// hostname is a Host header without its port and without the brackets of IPv6.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}
