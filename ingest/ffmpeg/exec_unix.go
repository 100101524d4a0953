//go:build unix

package ffmpeg

import (
	"os/exec"
	"syscall"
)

// isolate keeps the terminal's signals from a process, which ends when its input does.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// lower makes a started process yield to the server, with all threads it has or will have. Without permission to do so, the priority stays
// as it is.
func lower(cmd *exec.Cmd, nice int) {
	_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, nice)
}
