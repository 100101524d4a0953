// Package crash tests that the built program loses nothing and contradicts nothing when it is killed, when the power goes,
// and while its disk or its bucket is away. It knows nothing of how the archive does that.
package crash

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
