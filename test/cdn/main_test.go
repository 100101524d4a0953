// Package cdn tests the built program behind an edge that is set up by the printed CloudFront template. It is no
// CloudFront: what varnish and haproxy cannot play is left out.
package cdn

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
