// Package nodes tests, on the built program, what servers that share a bucket know of one another, and that one of them can be drained and
// stopped while its publishers go to another. It refuses to test what becomes of a stream when a server dies: test/cluster does.
package nodes

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hlsorigin/hlsorigin/origin/admin/api"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

const secret = "0123456789abcdef"

// server is one of a cluster.
type server struct {
	*rig.Process
	at string // of cluster.listen
}

// yaml is the configuration of a server of a cluster with its bucket in a directory.
func yaml(bucket, name, at, secret string) string {
	return rig.Brisk + fmt.Sprintf("storage: {url: \"file://%s\"}\ncluster: {node: %s, address: \"http://%s\", listen: \"%s\", secret: %s, drain: 1s}\n", bucket, name, at, at, secret)
}

func serve(t *testing.T, bucket, name string) *server {
	t.Helper()
	at := rig.FreeAddress(t)
	return &server{rig.Serve(t, t.TempDir(), yaml(bucket, name, at, secret)), at}
}

// nodes is what GET /v1/nodes says, by name.
func (s *server) nodes() map[string]api.Node {
	s.T.Helper()
	var said struct{ Nodes []api.Node }
	if body := s.Get("http://" + s.Admin + "/v1/nodes"); json.Unmarshal([]byte(body), &said) != nil {
		s.T.Fatal(body)
	}
	byName := map[string]api.Node{}
	for _, n := range said.Nodes {
		byName[n.Node] = n
	}
	return byName
}
