package main

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strings"

	"github.com/hlsorigin/hlsorigin/configs"
)

// shareOf is a part of the memory budget.
type shareOf int

// The shares. Whatever can grow by what others send or ask for draws from one of them.
const (
	windowShare     shareOf = iota // segments of live windows, those being written and those that slow viewers still read
	archiveShare                   // segments that wait for disk or bucket
	readbackShare                  // objects read back from the bucket, and pieces of those on their way
	pagesShare                     // playlists that were rendered for one view or read from the archive, and missing names
	viewersShare                   // viewers' connections, what they have sent half, requests under way and held
	publishersShare                // publishers' connections, half-received messages, frames that wait
	numShares
)

func (s shareOf) String() string {
	return [...]string{"window", "archive", "readback", "pages", "viewers", "publishers"}[s]
}

// parts are each share's hundredths of the budget, and the most that it is of use, in bytes. What is left over is for the
// program itself, its stacks, the collector's garbage and what the kernel keeps for the process.
func parts() [numShares]struct{ of100, most int64 } {
	return [numShares]struct{ of100, most int64 }{
		windowShare:     {25, math.MaxInt64},
		archiveShare:    {8, 256 << 20},
		readbackShare:   {8, 512 << 20},
		pagesShare:      {4, 128 << 20},
		viewersShare:    {16, 1 << 30},
		publishersShare: {16, 1 << 30},
	}
}

// Where the system does not say what there is, the window has no limit and the others have these.
func unknownShares() [numShares]int64 {
	return [numShares]int64{archiveShare: 256 << 20, readbackShare: 128 << 20, pagesShare: 64 << 20, viewersShare: 512 << 20, publishersShare: 512 << 20}
}

// budget is the memory that the server may use, divided.
type budget struct {
	total  int64  // bytes; 0: not known
	source string // who says so
	share  [numShares]int64
}

// newBudget divides what the configuration says, or what the system has. Shares that the configuration sets come off first.
func newBudget(cfg configs.Config, read func(string) ([]byte, error)) (budget, error) {
	b := budget{total: cfg.Memory.Bytes(), source: "memory in the configuration"}
	if b.total == 0 {
		b.total, b.source = usable(read)
	}
	set := [numShares]int64{windowShare: cfg.HLS.Memory.Bytes(), archiveShare: cfg.Spool.Memory.Bytes()}
	if b.total == 0 {
		b.share = unknownShares()
		for i, n := range set {
			if n > 0 {
				b.share[i] = n
			}
		}
		return b, nil
	}
	left, of100 := b.total, int64(100)
	for i, p := range parts() {
		if set[i] > 0 {
			left, of100 = left-set[i], of100-p.of100
		}
	}
	if left < b.total/4 {
		return b, fmt.Errorf("hls.memory (%s) and spool.memory (%s) leave too little of %s, which is %s: lower them, set them to 0, or set memory",
			cfg.HLS.Memory, cfg.Spool.Memory, mebibytes(b.total), b.source)
	}
	for i, p := range parts() {
		if b.share[i] = set[i]; set[i] == 0 {
			b.share[i] = min(left/of100*p.of100, p.most)
		}
	}
	return b, nil
}

// heap is what the garbage collector should stay under, in bytes: what is not segments, which lie outside its heap, and not the
// kernel's. 0: not known.
func (b *budget) heap() int64 {
	if b.total == 0 {
		return 0
	}
	return b.total - b.share[windowShare] - b.share[archiveShare] - b.total/20
}

// govern tells the runtime its limit, unless the operator did by GOMEMLIMIT, and logs how the budget is divided.
func (b *budget) govern(log *slog.Logger) {
	args := []any{"total", mebibytes(b.total), "from", b.source}
	for i, n := range b.share {
		args = append(args, shareOf(i).String(), mebibytes(n))
	}
	switch {
	case os.Getenv("GOMEMLIMIT") != "":
		args = append(args, "collector", "as GOMEMLIMIT says")
	case b.heap() > 0:
		debug.SetMemoryLimit(b.heap())
		args = append(args, "collector", mebibytes(b.heap()))
	}
	log.Info("memory", args...)
}

// String is the budget as `hlsorigin check` shows it, in comments of YAML.
func (b *budget) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "# memory on this machine: %s (%s)\n", mebibytes(b.total), b.source)
	for i, n := range b.share {
		fmt.Fprintf(&s, "#   %-10s %s\n", shareOf(i), mebibytes(n))
	}
	return s.String()
}

// mebibytes is a size for people.
func mebibytes(n int64) string {
	if n == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// What a connection costs before anything is held for it, in bytes: its structs, buffers and stacks, measured.
const (
	viewerCost    = 4 << 10
	publisherCost = 20 << 10
)

// viewerConnections is how many viewers may be connected at once: so many as are configured, as far as there is memory.
func (b *budget) viewerConnections(configured int) int {
	return fit(configured, b.share[viewersShare], viewerCost)
}

// publisherConnections is the same for each of several ingest listeners. They have half of their share, messages the other.
func (b *budget) publisherConnections(configured, listeners int) int {
	return fit(configured, b.share[publishersShare]/2/int64(max(1, listeners)), publisherCost)
}

// heldCost is what a request costs while it is held for a first playlist, in bytes.
const heldCost = 24 << 10

// heldRequests is how many requests may be held at once.
func (b *budget) heldRequests() int { return fit(4096, b.share[viewersShare]/2, heldCost) }

// playlist is the longest playlist that is read from the archive, in bytes. That of a day of four-second segments has 3 MB.
func (b *budget) playlist() int64 { return max(8<<20, min(32<<20, b.share[pagesShare]/2)) }

// segments is what all segments may take together, in bytes; 0: no bound.
func (b *budget) segments() int64 {
	if b.total == 0 {
		return 0
	}
	return b.share[windowShare] + b.share[archiveShare]
}

// messages is what publishers' messages and waiting frames may take, in bytes.
func (b *budget) messages() int64 { return b.share[publishersShare] / 2 }

// fit lowers a number of things that cost each bytes to what room has place for.
func fit(configured int, room, each int64) int {
	return int(min(int64(configured), max(16, room/each)))
}
