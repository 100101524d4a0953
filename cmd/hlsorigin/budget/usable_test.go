package budget

import (
	"errors"
	"testing"
)

func TestUsable(t *testing.T) {
	const info = "MemTotal:       24576 kB\nMemFree: 1 kB\n"
	for _, tc := range []struct {
		files map[string]string
		want  int64
	}{
		{map[string]string{"/proc/meminfo": info}, 18432 << 10},
		{map[string]string{"/proc/meminfo": info, "/sys/fs/cgroup/memory.max": "max\n"}, 18432 << 10},
		{map[string]string{"/proc/meminfo": info, "/sys/fs/cgroup/memory.max": "1048576\n"}, 1 << 20},
		{map[string]string{"/proc/meminfo": info, "/sys/fs/cgroup/memory.max": "max\n", "/sys/fs/cgroup/memory.high": "1048576\n"}, 1 << 20},
		{map[string]string{"/proc/meminfo": info, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 18432 << 10},
		{map[string]string{"/proc/meminfo": info, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "2097152\n"}, 2 << 20},
		{map[string]string{"/sys/fs/cgroup/memory.max": "1048576\n"}, 1 << 20},
		// Its own cgroup and those above it: the lowest limit counts.
		{map[string]string{"/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "3145728", "/sys/fs/cgroup/a/memory.max": "max"}, 3 << 20},
		{map[string]string{"/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "3145728", "/sys/fs/cgroup/a/memory.max": "2097152"}, 2 << 20},
		{map[string]string{"/proc/self/cgroup": "9:cpu,memory:/c\n0::/\n", "/sys/fs/cgroup/memory/c/memory.limit_in_bytes": "3145728"}, 3 << 20},
		{map[string]string{"/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/unified/a/memory.max": "3145728"}, 3 << 20},
		// A container without a cgroup namespace: the path is that of the host.
		{map[string]string{"/proc/self/cgroup": "4:memory:/docker/1\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "3145728"}, 3 << 20},
		{map[string]string{"/proc/self/cgroup": "0::/../../x\nnonsense\n", "/sys/fs/cgroup/x/memory.max": "3145728"}, 3 << 20},
		{map[string]string{"/proc/meminfo": "nonsense"}, 0},
		{map[string]string{"/proc/meminfo": "MemTotal: many"}, 0},
		{nil, 0},
	} {
		got, source := usable(func(path string) ([]byte, error) {
			if s, ok := tc.files[path]; ok {
				return []byte(s), nil
			}
			return nil, errors.New("not there")
		})
		if got != tc.want || source == "" {
			t.Errorf("%v: %d (%s), want %d", tc.files, got, source, tc.want)
		}
	}
}
