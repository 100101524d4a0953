package ffmpeg

import (
	"bufio"
	"io"
	"strings"
)

// What is kept of a process's last log lines.
const (
	tailLines = 6
	tailWidth = 300 // bytes of each
)

// Tail reads r to its end and keeps the last lines.
func Tail(r io.Reader) []string {
	var lines []string
	b := bufio.NewReaderSize(r, 4096)
	for {
		line, isPrefix, err := b.ReadLine()
		if err != nil {
			return lines
		}
		text := strings.ToValidUTF8(string(line[:min(len(line), tailWidth)]), "?")
		for isPrefix && err == nil {
			_, isPrefix, err = b.ReadLine()
		}
		if text == "" {
			continue
		}
		if lines = append(lines, text); len(lines) > tailLines {
			lines = lines[1:]
		}
	}
}
