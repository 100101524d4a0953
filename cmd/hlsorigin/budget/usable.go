package budget

import (
	"path"
	"strconv"
	"strings"
)

// usable returns how many bytes of memory this process may use, and where that comes from, or 0 if unknown. A cgroup's limit is the
// process's own. A machine without one also has other programs, and files to cache: three quarters of it count.
func usable(read func(string) ([]byte, error)) (bytes int64, source string) {
	machine := machineMemory(read)
	if limit := cgroupMemory(read); limit > 0 && (machine == 0 || limit < machine) {
		return limit, "the limit of its cgroup"
	}
	if machine > 0 {
		return machine / 4 * 3, "three quarters of the machine"
	}
	return 0, "not known on this system"
}

// machineMemory returns MemTotal in bytes, or 0 if it cannot be read.
func machineMemory(read func(string) ([]byte, error)) int64 {
	b, err := read("/proc/meminfo")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), "MemTotal:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil || kib < 0 {
		return 0
	}
	return kib << 10
}

// cgroupMemory returns the lowest memory limit of the process's own cgroup and those above it, version 2 and 1, or 0 if there is none. In a
// container the process often sees its own cgroup as the topmost, but its path as seen from outside: a missing directory is skipped.
func cgroupMemory(read func(string) ([]byte, error)) (lowest int64) {
	own := map[string]string{} // by controller; version 2 is under the empty one
	if b, err := read("/proc/self/cgroup"); err == nil {
		for line := range strings.Lines(string(b)) {
			if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 {
				for controller := range strings.SplitSeq(parts[1], ",") {
					own[controller] = parts[2]
				}
			}
		}
	}
	for _, h := range []struct {
		root, controller string
		files            []string
	}{
		{"/sys/fs/cgroup", "", []string{"memory.max", "memory.high"}},
		{"/sys/fs/cgroup/unified", "", []string{"memory.max", "memory.high"}},
		{"/sys/fs/cgroup/memory", "memory", []string{"memory.limit_in_bytes"}},
	} {
		for at := path.Join("/", own[h.controller]); ; at = path.Dir(at) {
			for _, file := range h.files {
				b, err := read(path.Join(h.root, at, file))
				if err != nil {
					continue
				}
				// "max" is no limit, nor is a number near 2⁶³, which is more than any machine has.
				limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
				if err == nil && limit > 0 && (lowest == 0 || limit < lowest) {
					lowest = limit
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return lowest
}
