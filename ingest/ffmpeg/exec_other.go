//go:build !unix

package ffmpeg

import "os/exec"

func isolate(*exec.Cmd) {}

func lower(*exec.Cmd, int) {}
