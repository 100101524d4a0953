package configs

import (
	"fmt"
	"strings"
	"testing"
)

// clustered is a line of YAML.
func clustered(secret string) string {
	return fmt.Sprintf("cluster: {address: 'http://10.0.0.1:5083', secret: '%s'}\n", secret)
}

func TestCluster(t *testing.T) {
	if Default().Cluster.On() {
		t.Error("a server belongs to a cluster that was told of none")
	}
	const hush = "hush-hush-hush-hush"
	c, err := Parse([]byte("cluster: {node: a.1, address: 'http://[2001:db8::1]:5083', secret: '${S}', live_first: true, drain: 0s}"), "f", []string{"S=" + hush})
	if err != nil || !c.Cluster.On() || c.Cluster.Secret != hush || c.Cluster.Listen != ":5083" {
		t.Errorf("%+v, %v", c.Cluster, err)
	}
	if s := c.String(); strings.Contains(s, hush) {
		t.Errorf("the secret is shown:\n%s", s)
	}
	if c, err = Parse(nil, "f", []string{"HLSORIGIN_CLUSTER_SECRET=" + hush, "HLSORIGIN_CLUSTER_ADDRESS=https://a.example"}); err != nil || !c.Cluster.On() {
		t.Errorf("%+v, %v", c.Cluster, err)
	}
}

func TestBadCluster(t *testing.T) {
	good := clustered("0123456789abcdef")
	with := func(setting string) string { return strings.Replace(good, "{", "{"+setting+", ", 1) }
	for in, want := range map[string]string{
		clustered("0123456789abcde"):                                "cluster.secret: is shorter than 16",
		clustered("0123456789 abcdef"):                              "cluster.secret: is shorter than 16 characters, or not printable",
		`cluster: {secret: "0123456789abcdef"}`:                     "cluster.address: is needed",
		`cluster: {address: "http://a:5083"}`:                       "cluster.address: needs cluster.secret",
		`cluster: {node: a}`:                                        "cluster.node: needs cluster.secret",
		`cluster: {live_first: true}`:                               "cluster.live_first: needs cluster.secret",
		`cluster: {drain: 2h}`:                                      "cluster.drain: 2h is outside",
		strings.Replace(good, "10.0.0.1:5083", "10.0.0.1:5083/", 1): "cluster.address: \"http://10.0.0.1:5083/\" is not http://host:port",
		strings.Replace(good, "http://10", "10", 1):                 "cluster.address: \"10.0.0.1:5083\" is not",
		with(`node: a/b`):                                           "cluster.node: \"a/b\" cannot be a server's name",
		with(`node: .a`):                                            "cluster.node",
		with(`node: a..b`):                                          "cluster.node",
		with(`node: ` + strings.Repeat("a", 65)):                    "cluster.node",
		with(`listen: ""`):                                          "cluster.listen: is needed",
		with(`listen: ":5080"`):                                     `cluster.listen: ":5080" wants the same port as http.listen`,
		good + `spool: {dir: ""}`:                                   "spool.dir: is needed in a cluster",
		good + `storage: {url: ""}`:                                 "storage.url: is needed in a cluster",
	} {
		if _, err := Parse([]byte(in), "f", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
}
