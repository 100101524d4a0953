//go:build unix

package transcode

import (
	"os/exec"
	"syscall"
)

// isolate keeps the terminal's signals from a process: it ends when its input does.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// lower makes a started process, with all threads that it has or will have, yield to the server. Without permission it
// stays as it is.
func lower(cmd *exec.Cmd, nice int) {
	_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, nice)
}
