package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Net is a network that a test makes: hosts in network namespaces of their own, and the test itself, which reaches them at their addresses and
// they it at Gate. It goes with the test.
type Net struct {
	Gate  string // the test's address in it
	Hosts []*Host

	t      *testing.T
	bridge string
}

// Host is one of the hosts.
type Host struct {
	IP string

	net  *Net
	name string // of the namespace
	wire string // of its end at the bridge
}

// HasNet reports whether NewNet can make networks here.
func HasNet() bool {
	for _, p := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(p); err != nil {
			return false
		}
	}
	name := fmt.Sprintf("hlsb%05xprobe", rand.N(1<<20))
	return os.Getuid() == 0 && exec.Command("ip", "netns", "add", name).Run() == nil && exec.Command("ip", "netns", "del", name).Run() == nil
}

// NewNet makes a network of n hosts. Where namespaces cannot be had, as without root, the test is skipped.
func NewNet(t *testing.T, n int) *Net {
	t.Helper()
	Need(t, "ip", "nft")
	if os.Getuid() != 0 {
		t.Skip("network namespaces are made by root")
	}
	x := &Net{t: t}
	var prefix string
	for range 20 { // others make networks, too
		mark := rand.N(250 * 250)
		prefix = fmt.Sprintf("10.%d.%d.", 3+mark/250, 3+mark%250)
		x.bridge = fmt.Sprintf("hlsb%05x", mark)
		if !known(prefix) && exec.Command("ip", "link", "add", x.bridge, "type", "bridge").Run() == nil {
			break
		}
		x.bridge = ""
	}
	if x.bridge == "" {
		t.Skip("a bridge cannot be made: it wants CAP_NET_ADMIN")
	}
	t.Cleanup(func() { x.try("ip", "link", "del", x.bridge) })
	x.Gate = prefix + "254"
	x.run("ip", "address", "add", x.Gate+"/24", "dev", x.bridge)
	x.run("ip", "link", "set", x.bridge, "up")
	for i := range n {
		h := &Host{IP: fmt.Sprint(prefix, i+1), net: x, name: fmt.Sprintf("%sn%d", x.bridge, i), wire: fmt.Sprintf("%sv%d", x.bridge, i)}
		if err := exec.Command("ip", "netns", "add", h.name).Run(); err != nil {
			t.Skip("a network namespace cannot be made: it wants CAP_SYS_ADMIN")
		}
		t.Cleanup(func() { x.try("ip", "netns", "del", h.name) })
		x.run("ip", "link", "add", h.wire, "type", "veth", "peer", "name", "eth0", "netns", h.name)
		x.run("ip", "link", "set", h.wire, "master", x.bridge, "up")
		h.run("ip", "address", "add", h.IP+"/24", "dev", "eth0")
		h.run("ip", "link", "set", "eth0", "up")
		h.run("ip", "link", "set", "lo", "up")
		h.run("ip", "route", "add", "default", "via", x.Gate) // programs want to find out what their own address is
		h.run("nft", "add table inet cut; add chain inet cut in { type filter hook input priority 0; }; add chain inet cut out { type filter hook output priority 0; }")
		x.Hosts = append(x.Hosts, h)
	}
	return x
}

// known reports whether this host has an address that begins like that.
func known(prefix string) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range all {
		if strings.HasPrefix(a.String(), prefix) {
			return true
		}
	}
	return false
}

func (x *Net) run(command ...string) {
	x.t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		x.t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

func (x *Net) try(command ...string) { _ = exec.Command(command[0], command[1:]...).Run() }

// Wrap is the command that runs another on the host.
func (h *Host) Wrap() []string { return []string{"ip", "netns", "exec", h.name} }

func (h *Host) run(command ...string) {
	h.net.t.Helper()
	h.net.run(append(h.Wrap(), command...)...)
}

// Listen listens on the test's address in the network.
func (x *Net) Listen() net.Listener {
	x.t.Helper()
	l, err := net.Listen("tcp", x.Gate+":0")
	if err != nil {
		x.t.Fatal(err)
	}
	return l
}

// Cut ends what passes between the host and another one, or, with a port, what it asks there and is answered. A silent cut swallows it; else
// connections are reset, from the host's side and, where it is asked, from the other.
func (h *Host) Cut(from string, port int, silent bool) {
	h.net.t.Helper()
	if _, err := netip.ParseAddr(from); err != nil {
		h.net.t.Fatal(err)
	}
	out, in := "ip daddr "+from, "ip saddr "+from
	if port != 0 {
		out, in = fmt.Sprintf("%s tcp dport %d", out, port), fmt.Sprintf("%s tcp sport %d", in, port)
	}
	how := "drop"
	if !silent {
		out, in, how = out+" meta l4proto tcp", in+" meta l4proto tcp", "reject with tcp reset"
	}
	h.run("nft", fmt.Sprintf("add rule inet cut out %s %s; add rule inet cut in %s %s", out, how, in, how))
}

// Unplug ends everything between the host and all others, silently.
func (h *Host) Unplug() { h.net.t.Helper(); h.net.run("ip", "link", "set", h.wire, "down") }

// Heal ends all cuts.
func (h *Host) Heal() {
	h.net.t.Helper()
	h.run("nft", "flush chain inet cut in; flush chain inet cut out")
	h.net.run("ip", "link", "set", h.wire, "up")
}

// ServeOn is Serve on a host of a network, at the usual ports.
func ServeOn(t *testing.T, h *Host, dir, yaml string) *Process {
	t.Helper()
	p := &Process{T: t, Dir: dir, Wrap: h.Wrap(), HTTP: h.IP + ":5080", Admin: h.IP + ":5081", RTMP: h.IP + ":1935", RTSP: h.IP + ":8554"}
	p.start(yaml)
	return p
}
