package main

import (
	"os"
	"strconv"
	"strings"
)

// memoryBudget is what hls.memory says, or a quarter of what this process may use: its cgroup's limit, or the machine's
// memory where there is none. 0, no budget, where neither can be told.
func memoryBudget(configured int64) int64 {
	if configured > 0 {
		return configured
	}
	return usableMemory(os.ReadFile) / 4
}

// usableMemory reads the limit of the cgroup (version 2, then 1) and the machine's memory, in bytes.
func usableMemory(read func(string) ([]byte, error)) int64 {
	var total int64
	if b, err := read("/proc/meminfo"); err == nil {
		_, rest, _ := strings.Cut(string(b), "MemTotal:")
		if f := strings.Fields(rest); len(f) > 0 {
			if kib, err := strconv.ParseInt(f[0], 10, 64); err == nil {
				total = kib << 10
			}
		}
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := read(path)
		if err != nil {
			continue
		}
		// "max", or a number near 2⁶³, is no limit.
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && limit > 0 && (total == 0 || limit < total) {
			total = limit
		}
	}
	return total
}
