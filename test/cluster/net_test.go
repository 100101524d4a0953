package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// spread starts servers on the hosts of a network: what passes between them, and between each of them and the bucket, can be cut.
func spread(t *testing.T, x *rig.Net, v *rig.Vault, settings string) (all []*node) {
	t.Helper()
	for i, h := range x.Hosts {
		at := h.IP + ":5083"
		n := &node{name: string(rune('a' + i)), host: h, others: x.Hosts, wrote: recordOn(t, v.At.Endpoint, x.Listen())}
		own := *v
		own.Way = n.wrote.url
		yaml := "apps: {live: {publish: open}}\n" + settings + own.YAML() + fmt.Sprintf("cluster: {node: %s, address: \"http://%s\", listen: %q, secret: aclustersecretoftests, drain: 1s}\n", n.name, at, at)
		n.Process = rig.ServeOn(t, h, t.TempDir(), yaml)
		all = append(all, n)
	}
	return all
}

// sever is fail on a host of a network.
func (n *node) sever(rnd *rand.Rand, parts int) (said string) {
	said = n.name + ":"
	if parts == toBucket|toOthers && rnd.IntN(3) == 0 {
		n.host.Unplug()
		return said + " unplugged"
	}
	words := map[bool]string{true: "is silent", false: "resets"}
	if parts&toBucket != 0 {
		silent := rnd.IntN(2) == 0
		n.cutBucket(silent)
		said += " the bucket " + words[silent]
	}
	if parts&toOthers != 0 {
		silent := rnd.IntN(2) == 0
		for _, h := range n.others {
			if h != n.host {
				n.host.Cut(h.IP, 0, silent)
			}
		}
		said += " the network of the others " + words[silent]
	}
	return said
}

// cutBucket cuts a server on a host of a network from the bucket.
func (n *node) cutBucket(silent bool) {
	host, text, _ := net.SplitHostPort(n.wrote.address)
	port, _ := strconv.Atoi(text)
	n.host.Cut(host, port, silent)
}

// TestPartitionsOfNamespaces is TestPartitions with three servers in network namespaces, one of which has viewers only.
func TestPartitionsOfNamespaces(t *testing.T) {
	rig.Need(t, "ffmpeg", "versitygw")
	t.Parallel()
	x, v := rig.NewNet(t, 3), rig.NewVault(t)
	partitions(t, v, spread(t, x, v, rig.Brisk))
}
