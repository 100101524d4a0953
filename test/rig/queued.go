package rig

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Queued returns how long the server's threads were ready to run and had to wait, in total: the time that others on the machine took,
// including the tests. It does not include goroutines waiting for each other. It is 0 if the system does not say.
func (p *Process) Queued() time.Duration { return queued(p.Cmd.Process.Pid) }

// Queued returns the same for the test's own process.
func Queued() time.Duration { return queued(os.Getpid()) }

// Took returns how long ago the server was started. What others took of its time does not count if it is more than it may be.
func (p *Process) Took(began time.Time, limit time.Duration) time.Duration {
	took := time.Since(began)
	if took > limit {
		took = max(limit/2, took-p.Queued())
	}
	return took
}

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
