// Package cdn tests the built program behind an edge that is set up from the printed CloudFront template. It is not CloudFront: the package
// refuses to test what varnish and haproxy cannot imitate.
package cdn

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
