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
	// CPU is the time in its own code and in the kernel on its behalf. It does not include what the kernel does in interrupts: on loopback
	// the sender is charged for a packet's way in.
	CPU time.Duration
	// Memory is resident memory in bytes; shared pages are divided among those that share them. It does not include files, not even those
	// of a tmpfs.
	Memory int64
}

// tick is USER_HZ, the unit of /proc/PID/stat: 100 on every Linux that Go supports.
const tick = 10 * time.Millisecond

// Usage reads the usage of all processes of the server's group.
func (r *Running) Usage() (u Usage) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The name in parentheses may contain anything; what follows it is plain.
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

// precise adds up the scheduler's nanoseconds of all threads. If a thread has ended, which shows as the process having used more than they
// have, it returns coarse, the ticks.
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
		// Pages of files belong to the page cache, including those of a tmpfs.
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "Pss_Anon:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
