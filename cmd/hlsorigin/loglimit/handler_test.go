package loglimit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// diary is a log on the test's own clock.
type diary struct {
	*Handler
	out bytes.Buffer
	now time.Time
}

func newDiary() *diary {
	d := &diary{now: time.Unix(1_700_000_000, 0)}
	d.Handler = New(slog.NewTextHandler(&d.out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return d
}

func (d *diary) note(h slog.Handler, level slog.Level, msg string, attrs ...slog.Attr) {
	r := slog.NewRecord(d.now, level, msg, 0)
	r.AddAttrs(attrs...)
	_ = h.Handle(context.Background(), r)
}

func (d *diary) lines() int { return strings.Count(d.out.String(), "\n") }

// wait lets time pass and calls Expire.
func (d *diary) wait(t time.Duration) {
	for end := d.now.Add(t); d.now.Before(end); {
		d.now = d.now.Add(time.Second)
		d.Expire(d.now)
	}
}

// TestEpisode checks that the first lines come as they are, the rest as a number, and that then lines come again.
func TestEpisode(t *testing.T) {
	d := newDiary()
	for range 1000 {
		d.note(d, slog.LevelWarn, "publisher refused", slog.String("stream", "live/cam"))
		d.now = d.now.Add(10 * time.Millisecond)
	}
	if n := d.lines(); n != burstOne {
		t.Fatalf("%d lines:\n%s", n, &d.out)
	}
	d.note(d, slog.LevelWarn, "publisher refused", slog.String("stream", "live/other"))
	d.note(d, slog.LevelWarn, "something else", slog.String("stream", "live/cam"))
	if n := d.lines(); n != burstOne+2 {
		t.Fatalf("another stream, or another message, is held back:\n%s", &d.out)
	}
	d.out.Reset()
	d.wait(2 * time.Minute)
	if s := d.out.String(); d.lines() != 1 || !strings.Contains(s, "times=992") || !strings.Contains(s, "over=true") ||
		!strings.Contains(s, `about=live/cam`) || !strings.Contains(s, "level=INFO") {
		t.Fatalf("the end is\n%s", s)
	}
	d.wait(time.Hour)
	d.out.Reset()
	for range burstOne + 1 {
		d.note(d, slog.LevelWarn, "publisher refused", slog.String("stream", "live/cam"))
	}
	if n := d.lines(); n != burstOne {
		t.Errorf("%d lines an hour later", n)
	}
	d.wait(time.Hour)
	if len(d.state.messages) != 0 {
		t.Errorf("%d messages are kept", len(d.state.messages))
	}
}

// TestGoesOn checks that an endless episode is logged every ten minutes.
func TestGoesOn(t *testing.T) {
	d := newDiary()
	for range 3600 {
		d.note(d, slog.LevelDebug, "packet lost")
		d.wait(time.Second)
	}
	said := strings.Count(d.out.String(), "over=false")
	if lines := d.lines(); said < 5 || said > 30 || lines > 60 || strings.Contains(d.out.String(), "level=INFO") {
		t.Errorf("%d lines, %d of them counts:\n%s", lines, said, &d.out)
	}
}

// TestAnHourIsBounded provokes fifteen messages a thousand times a second each, in ever new names, from libraries with ever new numbers in
// their texts, with values of any length, and in bursts.
func TestAnHourIsBounded(t *testing.T) {
	for name, pulse := range map[string]bool{"steady": false, "in pulses": true} {
		t.Run(name, func(t *testing.T) {
			d := newDiary()
			long := strings.Repeat("ä", 50_000)
			for i := range 3600 {
				if pulse && i%75 > 5 {
					d.wait(time.Second)
					continue
				}
				for j := range 15 {
					for k := range 3 {
						text := fmt.Sprintf("message %c", 'a'+j)
						if j > 10 {
							text = fmt.Sprintf("http: error %c from 203.0.113.%d:%d", 'a'+j, k, i)
						}
						value := "x"
						if k == 0 && i%100 == 0 {
							value = long
						}
						d.note(d, slog.LevelDebug, text, slog.String("stream", fmt.Sprint("live/cam", i, k)), slog.String("reason", value))
					}
				}
				d.now = d.now.Add(time.Second)
				d.Expire(d.now)
			}
			if n := d.out.Len(); n > 1_500_000 {
				t.Errorf("%d bytes in an hour", n)
			}
			if n := len(d.state.messages); n > 20 {
				t.Errorf("%d messages are kept", n)
			}
		})
	}
}

// TestManyMessages checks that only a limited number of different texts are distinguished.
func TestManyMessages(t *testing.T) {
	d := newDiary()
	for i := range 100_000 {
		text := "x"
		for n := i; n > 0; n /= 26 {
			text += string(rune('a' + n%26))
		}
		d.note(d, slog.LevelInfo, text)
	}
	if n := len(d.state.messages); n > maxMessages+1 {
		t.Errorf("%d messages are kept", n)
	}
	if n := d.lines(); n > maxMessages+burstOne {
		t.Errorf("%d lines", n)
	}
}

// TestAbout checks that what a record is about is found in its logger's attributes, without a port, and not in groups.
func TestAbout(t *testing.T) {
	d := newDiary()
	for i := range 100 {
		h := d.WithAttrs([]slog.Attr{slog.String("part", "rtmp"), slog.String("remote", fmt.Sprint("203.0.113.9:", i))})
		d.note(h, slog.LevelInfo, "publisher connected")
	}
	if n := d.lines(); n != burstOne {
		t.Errorf("%d lines of one address", n)
	}
	d.out.Reset()
	for i := range 100 {
		d.note(d.WithGroup("g"), slog.LevelInfo, "grouped", slog.String("stream", fmt.Sprint(i)))
	}
	if n := d.lines(); n != burstOne || !strings.Contains(d.out.String(), "g.stream=7") {
		t.Errorf("%d lines of a group:\n%s", n, &d.out)
	}
}

// TestValuesAreCut checks that values are cut, except a panic's stack.
func TestValuesAreCut(t *testing.T) {
	d := newDiary()
	long := strings.Repeat("ü", 5000)
	d.note(d.WithAttrs([]slog.Attr{slog.String("a", long)}), slog.LevelInfo, long, slog.Any("error", errors.New(long)), slog.Int("n", 1), slog.Any("nil", error(nil)))
	if n := d.out.Len(); n > 4*maxValue || strings.Contains(d.out.String(), "\uFFFD") || !strings.Contains(d.out.String(), "n=1") {
		t.Errorf("%d bytes: %s", n, &d.out)
	}
	d.out.Reset()
	d.note(d, slog.LevelError, "panic", slog.String("stack", long))
	if d.out.Len() < len(long) {
		t.Error("the stack is cut")
	}
}

// TestFlush checks that what goes on is logged at the end.
func TestFlush(t *testing.T) {
	d := newDiary()
	for range 100 {
		d.note(d, slog.LevelInfo, "y", slog.String("stream", "x"))
	}
	d.Expire(d.now)
	d.Flush(d.now)
	d.Flush(d.now)
	if s := d.out.String(); strings.Count(s, "times=92") != 1 {
		t.Errorf("the end is\n%s", s)
	}
}

func TestConcurrentUse(t *testing.T) {
	log := slog.New(New(slog.DiscardHandler))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				log.With("stream", "x").Info("y", "z", 1)
				log.Handler().(*Handler).Expire(time.Now())
			}
		})
	}
	all.Wait()
}
