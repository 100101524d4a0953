package main

import (
	"errors"
	"testing"
)

func TestUsableMemory(t *testing.T) {
	const info = "MemTotal:       24576 kB\nMemFree: 1 kB\n"
	for _, tc := range []struct {
		files map[string]string
		want  int64
	}{
		{map[string]string{"/proc/meminfo": info}, 24576 << 10},
		{map[string]string{"/proc/meminfo": info, "/sys/fs/cgroup/memory.max": "max\n"}, 24576 << 10},
		{map[string]string{"/proc/meminfo": info, "/sys/fs/cgroup/memory.max": "1048576\n"}, 1 << 20},
		{map[string]string{"/proc/meminfo": info, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 24576 << 10},
		{map[string]string{"/sys/fs/cgroup/memory.max": "1048576\n"}, 1 << 20},
		{map[string]string{"/proc/meminfo": "nonsense"}, 0},
		{nil, 0},
	} {
		got := usableMemory(func(path string) ([]byte, error) {
			if s, ok := tc.files[path]; ok {
				return []byte(s), nil
			}
			return nil, errors.New("not there")
		})
		if got != tc.want {
			t.Errorf("%v: %d, want %d", tc.files, got, tc.want)
		}
	}
}
