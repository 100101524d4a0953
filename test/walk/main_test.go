// Package walk does what the documentation tells a newcomer to do, and follows its links.
package walk

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
