// Package admission tests, on the built program, who may publish and what an encoder that may not is told. It refuses to test single rules:
// ingest/auth does.
package admission

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
