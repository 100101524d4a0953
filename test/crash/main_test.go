// Package crash tests that the built program loses nothing and contradicts nothing when it is killed, when the power fails, and while its
// disk or its bucket is away. It refuses to know how the archive does that.
package crash

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
