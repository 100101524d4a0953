package limits

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// cgroup is a memory limit that the kernel enforces.
type cgroup struct {
	dir string
	v2  bool
}

// newCgroup creates a cgroup of limit bytes, without swap. It returns nil if this machine does not allow that; then the limit is only a
// setting of the program.
func newCgroup(t *testing.T, limit int64) *cgroup {
	t.Helper()
	name := fmt.Sprintf("hlsorigin-test-%d", os.Getpid())
	for _, c := range []struct {
		root string
		v2   bool
		set  map[string]string
	}{
		{"/sys/fs/cgroup", true, map[string]string{"memory.max": strconv.FormatInt(limit, 10), "memory.swap.max": "0"}},
		{"/sys/fs/cgroup/memory", false, map[string]string{"memory.limit_in_bytes": strconv.FormatInt(limit, 10)}},
	} {
		probe := map[bool]string{true: "cgroup.controllers", false: "memory.limit_in_bytes"}[c.v2]
		if _, err := os.Stat(filepath.Join(c.root, probe)); err != nil {
			continue
		}
		g := &cgroup{filepath.Join(c.root, name), c.v2}
		if err := os.Mkdir(g.dir, 0o755); err != nil {
			t.Logf("no cgroup: %v", err)
			continue
		}
		t.Cleanup(func() { _ = os.Remove(g.dir) })
		ok := true
		for file, value := range c.set {
			if err := os.WriteFile(filepath.Join(g.dir, file), []byte(value), 0o600); err != nil && file != "memory.swap.max" {
				t.Logf("no cgroup: %v", err)
				ok = false
			}
		}
		if ok {
			return g
		}
	}
	return nil
}

// wrap returns a command that runs the rest of its arguments in the group.
func (g *cgroup) wrap() []string {
	return []string{"/bin/sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs")}
}

// number reads a file with one number, or with lines "name number".
func (g *cgroup) number(file, name string) int64 {
	b, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(b)) {
		key, value, found := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			key, value, found = "", key, true
		}
		if found && key == name {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return -1
}

// killed returns how many processes of the group the kernel has killed; peak the most that was charged to it, in bytes.
func (g *cgroup) killed() int64 {
	if g.v2 {
		return g.number("memory.events", "oom_kill")
	}
	return g.number("memory.oom_control", "oom_kill")
}

func (g *cgroup) peak() int64 {
	if g.v2 {
		return g.number("memory.peak", "")
	}
	return g.number("memory.max_usage_in_bytes", "")
}
