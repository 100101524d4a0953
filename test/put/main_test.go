// Package put tests the HTTP ingest of the built program with real senders: their bytes arrive, in their order, and nothing is lost, while the
// network, the bucket and the program itself fail. It refuses to know how that is done.
package put

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
