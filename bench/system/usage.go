//go:build linux

package system

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a server has used.
type Usage struct {
	// CPU time in its own code and in the kernel on its behalf. What the kernel does in interrupts is not in it: on loopback
	// a packet's way in is charged to the sender.
	CPU time.Duration
	// Memory that is resident, bytes; shared pages are divided among those that share them. Files, also those of a tmpfs,
	// are not in it.
	Memory int64
}

// tick is USER_HZ, in which /proc/PID/stat counts: 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// Usage reads it for all processes of the server's group.
func (r *Running) Usage() (u Usage) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The name in parentheses may hold anything; what follows it is plain.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) < 13 || fields[2] != strconv.Itoa(r.cmd.Process.Pid) {
			continue
		}
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		u.CPU += precise(filepath.Dir(path), time.Duration(user+system)*tick)
		u.Memory += memory(filepath.Dir(path))
	}
	return u
}

// precise sums the scheduler's nanoseconds of all threads, where no thread has ended, which shows as the process having used
// more than they: then coarse, the ticks, is all there is.
func precise(process string, coarse time.Duration) time.Duration {
	var sum time.Duration
	threads, _ := filepath.Glob(filepath.Join(process, "task", "*", "schedstat"))
	for _, path := range threads {
		b, err := os.ReadFile(path)
		if err != nil {
			return coarse
		}
		run, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(run, 10, 64)
		if err != nil {
			return coarse
		}
		sum += time.Duration(ns)
	}
	if sum < coarse-2*tick {
		return coarse
	}
	return sum
}

func memory(process string) (bytes int64) {
	b, err := os.ReadFile(filepath.Join(process, "smaps_rollup"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		// Pages of files are the page cache's, a tmpfs's among them.
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "Pss_Anon:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
