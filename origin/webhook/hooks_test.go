package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

// Every event reaches every target that wants it, signed, each stream's in order.
func TestDelivery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t}
		some := to("some")
		some.Events = []string{"stream.*"}
		g := begin(t, r, nil, Options{}, to("all"), some)
		for i := range 50 {
			g.emit("one", i)
			g.emit("two", i)
		}
		g.Emit(StreamStarted, Stream{Of: Of{"live", "one", "r"}})
		g.Emit(DiskLow, Disk{Reason: "full"})
		synctest.Wait()
		for _, s := range []string{"one", "two"} {
			got := r.sequences("all", s)
			if s == "one" {
				got = got[:50] // stream.started comes after them
			}
			wantSequences(t, got, 0, 49)
		}
		if got := r.types("some"); len(got) != 1 || got[0] != StreamStarted {
			t.Errorf("some got %v", got)
		}
		for _, e := range r.all() {
			verify(t, &e)
		}
		s := g.Stats()
		if s.Targets[0].Sent != 102 || s.Targets[0].Pending != 0 || s.Targets[1].Sent != 1 {
			t.Errorf("%+v", s)
		}
		g.stop()
	})
}

// Without a list of events, a target gets all but segment.uploaded.
func TestOptionalEventsAreAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t}
		plain, star := to("plain"), to("star")
		plain.Events, star.Events = nil, []string{"segment.*"}
		g := begin(t, r, nil, Options{}, plain, star)
		g.emit("one", 1)
		g.Emit(UploadFailing, Upload{Target: "bucket"})
		synctest.Wait()
		if got := r.types("plain"); len(got) != 1 || got[0] != UploadFailing {
			t.Errorf("%v", got)
		}
		if got := r.types("star"); len(got) != 0 {
			t.Errorf("a group names no optional type: %v", got)
		}
		g.stop()
	})
}

// A target that is away for five minutes gets everything afterwards, in order, and is not overloaded with attempts meanwhile.
func TestTargetIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t, answer: down}
		g := begin(t, r, nil, Options{}, to("a"))
		const streams = 40
		for i := range 10 {
			for s := range streams {
				g.emit(fmt.Sprint("s", s), i)
			}
			time.Sleep(30 * time.Second)
		}
		if n := r.attempts(); n > 150 {
			t.Errorf("%d attempts in five minutes at a target that is down", n)
		}
		if s := g.Stats().Targets[0]; s.Pending != streams*10 || time.Since(s.Oldest) != 5*time.Minute {
			t.Errorf("%+v", s)
		}
		r.set(nil)
		time.Sleep(retryMost)
		for s := range streams {
			wantSequences(t, r.sequences("a", fmt.Sprint("s", s)), 0, 9)
		}
		for _, e := range r.all() {
			verify(t, &e)
		}
		for text, want := range map[string]int{"does not take an event": 1, "takes events again": 1, "topsecret": 0, secret[6:]: 0} {
			if n := g.lines.count(text); n != want {
				t.Errorf("%d lines with %q, want %d:\n%s", n, text, want, g.lines)
			}
		}
		g.stop()
	})
}

// If one stream's event is refused again and again, only this stream is held up, and only at that target.
func TestOneEventIsRefused(t *testing.T) {
	for name, status := range map[string]int{"400": 400, "500": 500, "a redirect": 302} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := &receiver{t: t, answer: func(host string, e *received) (int, error) {
					if host == "a" && e.stream == "bad" && e.seq == 1 {
						return status, nil
					}
					return 200, nil
				}}
				g := begin(t, r, nil, Options{}, to("a"), to("b"))
				for i := range 100 {
					g.emit("bad", i)
					g.emit("good", i)
					time.Sleep(time.Second)
				}
				wantSequences(t, r.sequences("a", "good"), 0, 99)
				wantSequences(t, r.sequences("a", "bad"), 0, 0)
				wantSequences(t, r.sequences("b", "bad"), 0, 99)
				r.set(nil)
				time.Sleep(retryMost)
				wantSequences(t, r.sequences("a", "bad"), 0, 99)
				g.stop()
			})
		})
	}
}

// A target that accepts nothing, and then refuses single events, is spared as before.
func TestAwayThenRefusing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t, answer: down}
		g := begin(t, r, nil, Options{}, to("a"))
		for s := range 10 {
			g.emit(fmt.Sprint("s", s), 0)
		}
		time.Sleep(time.Minute)
		before := r.attempts()
		r.set(func(string, *received) (int, error) {
			if len(r.tried) > before+1000 {
				return 0, errDown // or the clock would not advance
			}
			return 400, nil
		})
		time.Sleep(time.Hour)
		if n := r.attempts() - before; n > 200 {
			t.Errorf("%d attempts in an hour at a target that refuses everything", n)
		}
		r.set(nil)
		time.Sleep(retryMost)
		for s := range 10 {
			wantSequences(t, r.sequences("a", fmt.Sprint("s", s)), 0, 0)
		}
		g.stop()
	})
}

// A target that refuses now and then is logged once in a while, not each time.
func TestShakyTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		r := &receiver{t: t, answer: func(string, *received) (int, error) {
			if n++; n%3 == 0 {
				return 500, nil
			}
			return 200, nil
		}}
		g := begin(t, r, nil, Options{}, to("a"))
		for i := range 600 {
			g.emit("one", i)
			time.Sleep(3 * time.Second)
		}
		synctest.Wait()
		if n := g.lines.count("does not take"); n < 2 || n > 4 {
			t.Errorf("%d lines in half an hour:\n%s", n, g.lines)
		}
		wantSequences(t, r.sequences("a", "one"), 0, 599)
		g.stop()
	})
}

// A target that asks for a pause gets it, but not a longer one than any other pause.
func TestRetryAfter(t *testing.T) {
	for asked, want := range map[string]time.Duration{"30": 30 * time.Second, "86400": retryMost, "": time.Second, "soon": time.Second, "-5": time.Second} {
		bubble(t, func(t *testing.T) {
			r := &receiver{t: t, header: http.Header{"Retry-After": {asked}}, answer: func(string, *received) (int, error) { return 503, nil }}
			g := begin(t, r, nil, Options{}, to("a"))
			g.emit("one", 0)
			time.Sleep(retryMost + time.Second)
			g.stop()
			if d := r.tried[1].Sub(r.tried[0]); d > want || d < want*8/10 {
				t.Errorf("Retry-After %q: again after %v", asked, d)
			}
		})
	}
}

// Events of several streams are sent at once to a slow target, but each stream stays in order.
func TestSlowTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t, hold: time.Second}
		g := begin(t, r, nil, Options{}, to("a"))
		for i := range 10 {
			for s := range maxBusy {
				g.emit(fmt.Sprint("s", s), i)
			}
		}
		time.Sleep(10*time.Second + time.Millisecond)
		for s := range maxBusy {
			wantSequences(t, r.sequences("a", fmt.Sprint("s", s)), 0, 9)
		}
		g.stop()
	})
}

// A request without an answer is given up after Timeout and retried; nobody waits for it.
func TestHangingTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t, hold: time.Hour}
		g := begin(t, r, nil, Options{Linger: time.Second}, to("a"))
		g.emit("one", 1)
		time.Sleep(12 * time.Second)
		if s := g.Stats().Targets[0]; s.Failed != 1 || s.Pending != 1 {
			t.Errorf("%+v", s)
		}
		began := time.Now()
		g.stop()
		if took := time.Since(began); took > 1100*time.Millisecond {
			t.Errorf("the stop took %v", took)
		}
	})
}

// What was emitted before the stop is still sent.
func TestStopSendsTheRest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t, hold: 100 * time.Millisecond}
		g := begin(t, r, nil, Options{}, to("a"))
		for i := range 5 {
			g.emit("one", i)
		}
		g.stop()
		wantSequences(t, r.sequences("a", "one"), 0, 4)
	})
}

// An event is dropped when it is older than Keep, and the next ones are sent.
func TestKeep(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t, answer: down}
		short := to("a")
		short.Keep = 70 * time.Minute
		log := &memoryLog{}
		g := begin(t, r, log, Options{}, short, to("b"))
		for i := range 5 {
			g.emit("one", i)
			time.Sleep(20 * time.Minute)
		}
		r.set(nil)
		time.Sleep(retryMost)
		wantSequences(t, r.sequences("a", "one"), 2, 4)
		wantSequences(t, r.sequences("b", "one"), 0, 4)
		if s := g.Stats().Targets[0]; s.Dropped != 2 || s.Pending != 0 {
			t.Errorf("%+v", s)
		}
		if n := g.lines.count("events are given up"); n != 1 {
			t.Errorf("%d lines:\n%s", n, g.lines)
		}
		g.stop()
		r.forget()
		g = begin(t, r, log, Options{}, short, to("b"))
		time.Sleep(time.Minute)
		if len(r.all()) != 0 {
			t.Errorf("%d events were sent again after the restart", len(r.all()))
		}
		g.stop()
	})
}

// No more than MaxPending is kept: segment.uploaded goes first, then the oldest.
func TestMaxPending(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t, answer: down}
		g := begin(t, r, &memoryLog{}, Options{MaxPending: 100 << 10}, to("a"))
		for i := range 20 {
			g.Emit(StreamStarted, Stream{Of: Of{"live", fmt.Sprint("s", i), "r"}})
		}
		for i := range 2000 {
			g.emit("one", i)
		}
		synctest.Wait()
		g.mu.Lock()
		pending := g.pending
		g.mu.Unlock()
		if s := g.Stats().Targets[0]; pending > 100<<10 || pending < 50<<10 || s.Dropped == 0 {
			t.Errorf("%d bytes wait, %+v", pending, s)
		}
		r.set(nil)
		time.Sleep(retryMost)
		started, newest := 0, 0
		for _, e := range r.all() {
			if e.typ == StreamStarted {
				started++
			} else {
				newest = e.seq
			}
		}
		if started != 20 || newest != 1999 {
			t.Errorf("%d of 20 streams started, newest %d", started, newest)
		}
		if n := g.lines.count("events are given up"); n != 1 {
			t.Errorf("%d lines:\n%s", n, g.lines)
		}
		g.mu.Lock()
		if g.pending != 0 {
			t.Errorf("%d bytes wait where nothing does", g.pending)
		}
		g.mu.Unlock()
		g.stop()
	})
}

// An emitter never waits; an event that finds the inbox full is counted and logged.
func TestInbox(t *testing.T) {
	lines := &logLines{}
	h := New(Options{Now: time.Now, Inbox: 10, Transport: &receiver{t: t}, Log: slog.New(slog.NewTextHandler(lines, nil))}) // it is not running
	commit, err := h.Prepare([]Target{to("a")})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	for i := range 25 {
		h.Emit(SegmentUploaded, Segment{Sequence: uint64(i)})
	}
	if s := h.Stats(); s.Lost != 15 {
		t.Errorf("%+v", s)
	}
	h.writeOnce()
	if lines.count("events=15") != 1 {
		t.Errorf("%s", lines)
	}
}

// An emitter does not wait while the queue is being processed.
func TestEmitWhileTheQueueIsBusy(t *testing.T) {
	h := New(Options{Now: time.Now, Transport: &receiver{t: t}})
	commit, err := h.Prepare([]Target{to("a")})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	h.mu.Lock()
	defer h.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Emit(SegmentUploaded, Segment{})
		h.Emit(StreamStarted, Stream{})
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits")
	}
}

// A process that dies before a target accepted its events finds them at the next start, in order, and sends none that was accepted.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t}
		log := &memoryLog{}
		g := begin(t, r, log, Options{}, to("a"), to("b"))
		for i := range 10 {
			g.emit("one", i)
		}
		synctest.Wait()
		r.set(func(host string, _ *received) (int, error) {
			if host == "b" {
				return 0, errDown
			}
			return 200, nil
		})
		for i := 10; i < 20; i++ {
			g.emit("one", i)
		}
		synctest.Wait()
		killed := &memoryLog{records: log.all()} // what the disk has at this moment
		g.stop()
		ids := map[string]int{}
		for _, e := range r.all() {
			ids[e.host+e.id]++
		}

		r.set(nil)
		g = begin(t, r, killed, Options{}, to("a"), to("b"))
		g.emit("one", 20)
		synctest.Wait()
		wantSequences(t, r.sequences("a", "one"), 0, 20)
		wantSequences(t, r.sequences("b", "one"), 0, 20)
		for _, e := range r.all() {
			verify(t, &e)
			ids[e.host+e.id]++
		}
		if len(ids) != 42 {
			t.Errorf("%d ids of 42", len(ids))
		}
		g.stop()
		if n := len(killed.all()); n > 50 {
			t.Errorf("%d records are left of what is done", n)
		}
	})
}

// What waits for a target that is no longer configured is dropped, at a reload and at a start. A new target receives events from then on.
// One that stays keeps its queue, even with another secret.
func TestTargetsChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t, answer: down}
		log := &memoryLog{}
		g := begin(t, r, log, Options{}, to("old"), to("stays"))
		g.emit("one", 0)
		time.Sleep(time.Second)
		stays := to("stays")
		stays.Secret = "whsec_" + strings.Repeat("QUJD", 8)
		r.set(nil)
		g.targets(to("new"), stays)
		g.emit("one", 1)
		time.Sleep(retryMost)
		wantSequences(t, r.sequences("stays", "one"), 0, 1)
		wantSequences(t, r.sequences("new", "one"), 1, 1)
		wantSequences(t, r.sequences("old", "one"), 1, 0)
		if s := g.Stats(); len(s.Targets) != 2 || s.Targets[0].Host != "new" || s.Targets[1].Index != 1 || s.Targets[1].Sent != 2 {
			t.Errorf("%+v", s)
		}
		r.set(down)
		g.emit("one", 2)
		synctest.Wait()
		g.stop()
		r.set(nil)
		g = begin(t, r, log, Options{}, to("new"))
		synctest.Wait()
		wantSequences(t, r.sequences("new", "one"), 1, 2)
		wantSequences(t, r.sequences("stays", "one"), 0, 1)
		g.stop()
	})
}

// A failing disk is logged once, and costs nothing except that the queue would not outlive the process.
func TestDiskFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t}
		log := &memoryLog{}
		log.fail(errDown)
		g := begin(t, r, log, Options{}, to("a"))
		for i := range 100 {
			g.emit("one", i)
			time.Sleep(time.Second)
		}
		wantSequences(t, r.sequences("a", "one"), 0, 99)
		log.mu.Lock()
		writes := log.writes
		log.mu.Unlock()
		if writes > 25 {
			t.Errorf("%d writes at a disk that fails, in 100 s", writes)
		}
		r.set(down)
		g.emit("one", 100)
		log.fail(nil)
		time.Sleep(6 * time.Second)
		if n := len(log.all()); n != 1 {
			t.Errorf("%d records, one event waits", n)
		}
		for text, want := range map[string]int{"cannot be written": 1, "is written again": 1} {
			if n := g.lines.count(text); n != want {
				t.Errorf("%d lines with %q, want %d", n, text, want)
			}
		}
		g.stop()
	})
}

// The log does not grow with finished events.
func TestLogStaysSmall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t}
		log := &memoryLog{}
		g := begin(t, r, log, Options{}, to("a"))
		for i := range 5000 {
			g.emit("one", i)
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		size := 0
		for _, b := range log.all() {
			size += len(b)
		}
		if size > 2*compactAbove {
			t.Errorf("%d bytes of log where nothing waits", size)
		}
		g.stop()
	})
}

// Retry tries at once what waits.
func TestRetry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t, answer: down}
		g := begin(t, r, nil, Options{}, to("a"))
		for i := range 5 {
			g.emit(fmt.Sprint("s", i), i)
		}
		time.Sleep(20 * time.Minute)
		r.set(nil)
		g.Retry()
		synctest.Wait()
		if len(r.all()) != 5 {
			t.Errorf("%d of 5", len(r.all()))
		}
		g.stop()
	})
}

func TestTry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := &receiver{t: t}
		ams := to("b")
		ams.Format, ams.Secret = AMS, ""
		g := begin(t, r, nil, Options{}, to("a"), ams)
		for i, host := range []string{"a", "b"} {
			got, err := g.Try(t.Context(), i)
			if err != nil || got.Err != nil || got.Host != host {
				t.Errorf("%+v, %v", got, err)
			}
		}
		verify(t, &r.all()[0])
		if !strings.Contains(string(r.all()[1].body), `"action":"webhook.test"`) {
			t.Errorf("%s", r.all()[1].body)
		}
		r.set(func(string, *received) (int, error) { return 301, nil })
		if got, _ := g.Try(t.Context(), 0); got.Err == nil || !strings.Contains(got.Err.Error(), "redirects are not followed") {
			t.Errorf("%v", got.Err)
		}
		r.set(down)
		if got, _ := g.Try(t.Context(), 0); got.Err == nil || strings.Contains(got.Err.Error(), "topsecret") {
			t.Errorf("%v", got.Err)
		}
		for _, i := range []int{-1, 2} {
			if _, err := g.Try(t.Context(), i); err == nil {
				t.Errorf("there is no target %d", i)
			}
		}
		g.stop()
	})
}
