package rig

import (
	"bufio"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"sync"
)

// Matching returns the lines that match a pattern.
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

// Last returns the newest match of a pattern's first group, or "".
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

// String returns the whole log.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// Messages returns the log's messages with a level.
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
