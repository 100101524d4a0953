// Package budget divides the memory that the server may use into shares, one for each thing that can grow by what others send or request.
// It determines how much there is, from the cgroup or the machine. It refuses to count anything: each owner keeps to its share.
package budget

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strings"
)

// Share is a part of the memory budget.
type Share int

// The shares. Everything that can grow by what others send or request draws from one of them.
const (
	Window     Share = iota // segments of live windows, including those being written and those that slow viewers are still reading
	Archive                 // segments waiting for disk or bucket
	Readback                // objects read back from the bucket, and pieces of those in transit
	Pages                   // playlists rendered for one view or read from the archive, and missing names
	Fragments               // segments rendered as CMAF, and those that are being rendered
	Viewers                 // viewers' connections, half-received requests, requests in progress and held
	Publishers              // publishers' connections, half-received messages, waiting frames
	NumShares
)

func (s Share) String() string {
	return [...]string{"window", "archive", "readback", "pages", "fragments", "viewers", "publishers"}[s]
}

// parts returns each share's percentage of the budget, and the most it can use, in bytes. The rest is for the program itself, its stacks,
// the collector's garbage and what the kernel keeps for the process.
func parts() [NumShares]struct{ of100, most int64 } {
	return [NumShares]struct{ of100, most int64 }{
		Window:     {25, math.MaxInt64},
		Archive:    {8, 256 << 20},
		Readback:   {8, 512 << 20},
		Pages:      {4, 128 << 20},
		Fragments:  {4, 256 << 20},
		Viewers:    {16, 1 << 30},
		Publishers: {16, 1 << 30},
	}
}

// If the system does not say how much memory there is, the window has no limit and the others have these.
func unknownShares() [NumShares]int64 {
	return [NumShares]int64{Archive: 256 << 20, Readback: 128 << 20, Pages: 64 << 20, Fragments: 64 << 20, Viewers: 512 << 20, Publishers: 512 << 20}
}

// Budget is the memory that the server may use, divided.
type Budget struct {
	Total  int64            // bytes; 0: unknown
	Source string           // where that comes from
	Shares [NumShares]int64 // bytes; 0: no bound
}

// Settings are an operator's settings in bytes; 0: not set.
type Settings struct{ Total, Window, Archive int64 }

// New divides what the settings say, or what the system has; read is os.ReadFile. Shares that are set are subtracted first. The error says
// that they leave too little.
func New(set Settings, read func(string) ([]byte, error)) (Budget, error) {
	b := Budget{Total: set.Total, Source: "memory in the configuration"}
	if b.Total == 0 {
		b.Total, b.Source = usable(read)
	}
	fixed := [NumShares]int64{Window: set.Window, Archive: set.Archive}
	if b.Total == 0 {
		b.Shares = unknownShares()
		for i, n := range fixed {
			if n > 0 {
				b.Shares[i] = n
			}
		}
		return b, nil
	}
	left, of100 := b.Total, int64(100)
	for i, p := range parts() {
		if fixed[i] > 0 {
			left, of100 = left-fixed[i], of100-p.of100
		}
	}
	if left < b.Total/4 {
		return b, fmt.Errorf("hls.memory (%s) and spool.memory (%s) leave too little of %s, which is %s: lower them, set them to 0, or set memory",
			mebibytes(set.Window), mebibytes(set.Archive), mebibytes(b.Total), b.Source)
	}
	for i, p := range parts() {
		if b.Shares[i] = fixed[i]; fixed[i] == 0 {
			b.Shares[i] = min(left/of100*p.of100, p.most)
		}
	}
	return b, nil
}

// Heap returns the size in bytes that the garbage collector should stay below: without segments, which are outside its heap, and without
// the kernel's part. 0: unknown.
func (b *Budget) Heap() int64 {
	if b.Total == 0 {
		return 0
	}
	return b.Total - b.Shares[Window] - b.Shares[Archive] - b.Total/20
}

// Govern sets the runtime's memory limit, unless the operator did with GOMEMLIMIT, and logs how the budget is divided.
func (b *Budget) Govern(log *slog.Logger) {
	args := []any{"total", mebibytes(b.Total), "from", b.Source}
	for i, n := range b.Shares {
		args = append(args, Share(i).String(), mebibytes(n))
	}
	switch {
	case os.Getenv("GOMEMLIMIT") != "":
		args = append(args, "collector", "as GOMEMLIMIT says")
	case b.Heap() > 0:
		debug.SetMemoryLimit(b.Heap())
		args = append(args, "collector", mebibytes(b.Heap()))
	}
	log.Info("memory", args...)
}

// String returns the budget as shown by `hlsorigin check`, as YAML comments.
func (b *Budget) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "# memory on this machine: %s (%s)\n", mebibytes(b.Total), b.Source)
	for i, n := range b.Shares {
		fmt.Fprintf(&s, "#   %-10s %s\n", Share(i), mebibytes(n))
	}
	return s.String()
}

// mebibytes formats a size for people.
func mebibytes(n int64) string {
	if n == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// The cost of a connection before anything is held for it, in bytes: its structs, buffers and stacks, measured.
const (
	ViewerCost       = 4 << 10
	SecureViewerCost = 42 << 10 // over TLS, with the goroutine that each keeps
	PublisherCost    = 20 << 10

	SecurePublisherCost = 36 << 10 // over TLS, which keeps a record of what it reads, and keys
)

// ViewerConnections returns how many viewers may be connected at once: the configured number, if there is memory for that. secure means
// that they may all come over TLS.
func (b *Budget) ViewerConnections(configured int, secure bool) int {
	if secure {
		return fit(configured, b.Shares[Viewers], SecureViewerCost)
	}
	return fit(configured, b.Shares[Viewers], ViewerCost)
}

// PublisherConnections is the same for each of several ingest listeners; secure is one of TLS. They have half of their share, messages the
// other.
func (b *Budget) PublisherConnections(configured, listeners int, secure bool) int {
	cost := int64(PublisherCost)
	if secure {
		cost = SecurePublisherCost
	}
	return fit(configured, b.Shares[Publishers]/2/int64(max(1, listeners)), cost)
}

// plenty is a budget in which a thousand viewers who take nothing cost little, in bytes.
const plenty = 4 << 30

// Unsent is what the kernel may keep for a viewer's connection that it has not sent, in bytes; 0: as much as it likes. By itself it takes
// about 3 MB for each who reads slowly, and a cgroup is charged for it.
func (b *Budget) Unsent() int {
	if b.Total == 0 || b.Total >= plenty {
		return 0
	}
	return 128 << 10
}

// HeldCost is the cost of a request while it is held for a first playlist, in bytes.
const HeldCost = 24 << 10

// HeldRequests returns how many requests may be held at once.
func (b *Budget) HeldRequests() int { return fit(4096, b.Shares[Viewers]/2, HeldCost) }

// Heads returns how many bytes half-received request heads may take together.
func (b *Budget) Heads() int64 { return min(32<<20, b.Shares[Viewers]/8) }

// Playlist returns the size in bytes of the longest playlist that is read from the archive. For a day of four-second segments it is 3 MB.
func (b *Budget) Playlist() int64 { return max(8<<20, min(32<<20, b.Shares[Pages]/2)) }

// Segments returns how many bytes all segments may take together; 0: no bound.
func (b *Budget) Segments() int64 {
	if b.Total == 0 {
		return 0
	}
	return b.Shares[Window] + b.Shares[Archive]
}

// Messages returns how many bytes publishers' messages and waiting frames may take.
func (b *Budget) Messages() int64 { return b.Shares[Publishers] / 2 }

// fit lowers a number of things that cost each bytes to what fits into room.
func fit(configured int, room, each int64) int {
	return int(min(int64(configured), max(16, room/each)))
}
