package browser

import (
	"bufio"
	"io"
	"strings"
	"sync"
)

// maxMessages is how many lines of the pages' output are kept: a player that repeats itself must not fill the memory.
const maxMessages = 2000

// messages are the first lines written to a pipe.
type messages struct {
	mu    sync.Mutex
	lines []string
}

// read reads to the pipe's end.
func (m *messages) read(r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		m.mu.Lock()
		if len(m.lines) < maxMessages {
			m.lines = append(m.lines, s.Text())
		}
		m.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r) // a line that was too long ends the scanner, not the pipe
}

func (m *messages) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.lines, "\n")
}
