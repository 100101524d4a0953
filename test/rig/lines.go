package rig

import (
	"bufio"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"sync"
)

// Matching are the lines that a pattern finds something in.
func (l *Lines) Matching(pattern *regexp.Regexp) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		if pattern.MatchString(line) {
			out = append(out, line)
		}
	}
	return out
}

// Last is the newest thing that a pattern's first group found; empty where it found nothing.
func (l *Lines) Last(pattern *regexp.Regexp) string {
	all := l.Matching(pattern)
	if len(all) == 0 {
		return ""
	}
	return pattern.FindStringSubmatch(all[len(all)-1])[1]
}

// Lines collects a log.
type Lines struct {
	mu  sync.Mutex
	all []string
}

func (l *Lines) read(r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		l.mu.Lock()
		l.all = append(l.all, s.Text())
		l.mu.Unlock()
	}
}

// String is the whole log.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// Messages are the log's messages with a level.
func (l *Lines) Messages(level string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all {
		var m struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &m) == nil && m.Level == level {
			out = append(out, m.Msg)
		}
	}
	return out
}
