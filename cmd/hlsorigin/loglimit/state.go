package loglimit

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// state is shared by all handlers derived from one.
type state struct {
	mu       sync.Mutex
	root     slog.Handler
	messages map[string]*message
	looked   time.Time
}

// message holds all records with one message.
type message struct {
	key    string
	pace   pace
	things map[string]*episode
}

// episode is the records of a message about one thing, some of which were omitted.
type episode struct {
	pace  pace
	text  string
	level slog.Level

	left        int // omitted since the last log line
	first, last time.Time
}

// pace is a token bucket, represented by the time at which it is full again.
type pace struct{ full time.Time }

// take reports whether there is a token, and takes it.
func (p *pace) take(now time.Time, burst int, every time.Duration) bool {
	if p.full.Sub(now) > time.Duration(burst-1)*every {
		return false
	}
	if p.full.Before(now) {
		p.full = now
	}
	p.full = p.full.Add(every)
	return true
}

func (s *state) take(thing string, r slog.Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.message(r.Message)
	e := m.thing(thing)
	if e.pace.take(r.Time, burstOne, everyOne) && m.pace.take(r.Time, burstAll, everyAll) {
		return true
	}
	if e.left == 0 {
		e.first, e.text, e.level = r.Time, r.Message, r.Level
	}
	e.left++
	e.last = r.Time
	return false
}

// message returns the entry for records with this text. Texts of libraries contain numbers and addresses.
func (s *state) message(text string) *message {
	key := text
	if i := strings.IndexAny(text, "0123456789[\"'"); i > 0 {
		key = text[:i]
	}
	m := s.messages[key]
	if m == nil && len(s.messages) >= maxMessages {
		key = ""
		m = s.messages[key]
	}
	if m == nil {
		m = &message{key: strings.Clone(key), things: map[string]*episode{}}
		s.messages[m.key] = m
	}
	return m
}

func (m *message) thing(thing string) *episode {
	e := m.things[thing]
	if e == nil && len(m.things) >= maxThings {
		thing = ""
		e = m.things[thing]
	}
	if e == nil {
		e = &episode{}
		m.things[thing] = e
	}
	return e
}

func (s *state) expire(now time.Time, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.looked) < time.Second && !all {
		return
	}
	s.looked = now
	for key, m := range s.messages {
		for thing, e := range m.things {
			over := all || now.Sub(e.last) >= quiet
			if e.left > 0 && (over || now.Sub(e.first) >= again) {
				s.say(m, thing, e, over, now)
			}
			if e.left == 0 && !e.pace.full.After(now) {
				delete(m.things, thing)
			}
		}
		if len(m.things) == 0 && !m.pace.full.After(now) {
			delete(s.messages, key)
		}
	}
}

// say logs the number of omitted records, or adds it to the number for all others if too many would be logged.
func (s *state) say(m *message, thing string, e *episode, over bool, now time.Time) {
	if thing != "" && !m.pace.take(now, burstAll, everyAll) {
		all := m.things[""]
		if all == nil {
			all = &episode{}
			m.things[""] = all
		}
		if all.left == 0 {
			all.first, all.text, all.level = now, e.text, e.level
		}
		all.left += e.left
		all.last = now
		e.left = 0
		return
	}
	who := thing
	if who == "" {
		who = "several"
	}
	r := slog.NewRecord(now, min(e.level, slog.LevelInfo), "so far, and left out here: "+e.text, 0)
	r.AddAttrs(slog.String("about", who), slog.Int("times", e.left), slog.String("since", e.first.UTC().Format(time.RFC3339)), slog.Bool("over", over))
	_ = s.root.Handle(context.Background(), shortened(r))
	e.left, e.first = 0, now
}
