package origin

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine outlives its test.
func TestMain(m *testing.M) {
	if os.Getenv("HLSORIGIN_BENCH_CLIENT") != "" {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}
