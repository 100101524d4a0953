// Package hostile tests, on the built program, that files and objects made or changed by somebody else cost the server and its commands
// nothing but themselves: pipes, devices, links, 4 GB of zeros, stray numbers, playlists that we did not write. It refuses to test single
// readers of files: their packages do.
package hostile

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// maxMemory bounds what a process may take in these tests, in bytes.
const maxMemory = 256 << 20

// peak returns the most memory that a running process has taken.
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells the memory of a process in /proc")
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatalf("the process is gone: %s", status)
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// run runs the program to its end, which must come by itself, and returns its output, its exit status, and the most memory that it took.
func run(t *testing.T, dir string, within time.Duration, args ...string) (said string, status int) {
	t.Helper()
	path, err := rig.Program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(within, func() { _ = cmd.Process.Kill() })
	err = cmd.Wait()
	if !late.Stop() {
		t.Fatalf("%s has not ended after %v: %v\n%s", strings.Join(args, " "), within, err, out.String())
	}
	bounded(t, cmd)
	return out.String(), cmd.ProcessState.ExitCode()
}

// exists reports whether anything has the name, including a dangling link.
func exists(elements ...string) bool {
	_, err := os.Lstat(filepath.Join(elements...))
	return err == nil
}
