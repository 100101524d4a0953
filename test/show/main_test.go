// Package show tests whole shows on the built program: real encoders, odd ones, ladders, the demo, players. It refuses the matrix of
// players and scenarios, which is test/players.
package show

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
