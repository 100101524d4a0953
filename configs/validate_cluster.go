package configs

import (
	"regexp"
	"strings"
	"time"
)

// Limits of a cluster's settings.
const (
	minClusterSecret = 16 // characters
	maxClusterDrain  = Duration(time.Hour)
)

// nodeName is what a server may be called: it is part of a key in the bucket.
var nodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// cluster checks what a server says of itself to others that share its bucket.
func (d *decoder) cluster(c Config) {
	l := c.Cluster
	if l.Node != "" && (!nodeName.MatchString(l.Node) || strings.Contains(l.Node, "..")) {
		d.bad("cluster.node", "%q cannot be a server's name: use at most 64 letters, digits, '.', '-' and '_', a letter or digit first", l.Node)
	}
	if l.Address != "" && !isOrigin(l.Address) {
		d.bad("cluster.address", "%q is not http://host:port or https://host:port, without a path: say where the other servers reach cluster.listen of this one", l.Address)
	}
	if l.Drain < 0 || l.Drain > maxClusterDrain {
		d.bad("cluster.drain", "%s is outside 0s to %s", l.Drain, maxClusterDrain)
	}
	if !l.On() {
		for _, s := range []struct {
			key string
			set bool
		}{{"cluster.node", l.Node != ""}, {"cluster.address", l.Address != ""}, {"cluster.live_first", l.LiveFirst}} {
			if s.set {
				d.bad(s.key, "needs cluster.secret beside it: without one this server belongs to no cluster")
			}
		}
		return
	}
	if len(l.Secret) < minClusterSecret || strings.ContainsFunc(string(l.Secret), notPrintable) {
		d.bad("cluster.secret", "is shorter than %d characters, or not printable ASCII without spaces: take a long random one, the same on all servers", minClusterSecret)
	}
	if l.Address == "" {
		d.bad("cluster.address", "is needed in a cluster: say where the other servers reach this one, as http://10.0.0.1:5083")
	}
	if l.Listen == "" {
		d.bad("cluster.listen", "is needed in a cluster: the other servers ask this one there")
	}
	if c.Spool.Dir == "" {
		d.bad("spool.dir", "is needed in a cluster: what another server is to go on with must outlive this process; give it a directory")
	}
	if c.Storage.URL == "" {
		d.bad("storage.url", "is needed in a cluster: the bucket is what its servers share")
	}
}
