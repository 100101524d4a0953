// Package hooks tests that a receiver of events from the built program gets all of them, whatever happens to it, to the program and to the
// network between them. It refuses to know how events are kept and sent.
package hooks

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
