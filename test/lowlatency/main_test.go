// Package lowlatency has players watch low-latency streams of the built program, and measures how far behind they are.
package lowlatency

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
