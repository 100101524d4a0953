//go:build linux

package hostile

import (
	"os/exec"
	"syscall"
	"testing"
)

// bounded checks the maximum memory of a process that has ended.
func bounded(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && u.Maxrss<<10 > maxMemory {
		t.Errorf("%d MB were taken", u.Maxrss>>10)
	}
}
