package rig

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Queued is how long the server's threads have been ready to run and were not let, in all: what others on the machine, the tests
// among them, took of its time. That goroutines wait for each other is not in it. 0 where the system does not tell.
func (p *Process) Queued() time.Duration { return queued(p.Cmd.Process.Pid) }

// Queued is the same for the test's own process.
func Queued() time.Duration { return queued(os.Getpid()) }

func queued(pid int) (sum time.Duration) {
	threads, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/schedstat")
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
