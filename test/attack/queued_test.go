package attack

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// queued is how long the server's threads have been ready to run and were not let, in all: what others on the machine, the
// attackers among them, took of its time. That goroutines wait for each other is not in it. 0 where the system does not tell.
func (f *fortress) queued() (sum time.Duration) {
	threads, _ := filepath.Glob("/proc/" + strconv.Itoa(f.Cmd.Process.Pid) + "/task/*/schedstat")
	for _, name := range threads {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if fields := strings.Fields(string(b)); len(fields) == 3 {
			n, _ := strconv.ParseInt(fields[1], 10, 64)
			sum += time.Duration(n)
		}
	}
	return sum
}
