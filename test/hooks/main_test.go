// Package hooks tests that whoever is to be told what happens in the built program is told of all of it, whatever becomes of
// him, of the program and of the network between them. It knows nothing of how events are kept and sent.
package hooks

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
