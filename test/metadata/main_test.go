// Package metadata has players find timed metadata in streams of the built program, at the time that its API answered.
package metadata

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
