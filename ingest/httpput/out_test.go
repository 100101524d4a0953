package httpput

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
)

// asking is a Publisher that has something to ask first, for some streams.
type asking struct {
	ingest.Publisher
	ask func(stream string) error
}

func (p *asking) Publish(ctx context.Context, a ingest.Announce) (ingest.Session, error) {
	if err := p.ask(a.Stream); err != nil {
		return nil, err
	}
	return p.Publisher.Publish(ctx, a)
}

// TestPublisherWaits: while it is not known whether a stream may be published, its sender is not made to wait, nor is another's stream; what
// comes meanwhile is held, and listed then.
func TestPublisherWaits(t *testing.T) {
	answer := make(chan struct{})
	h := newHouse(t, simple(), auth.App{Open: true}, func(o *Options) {
		o.PublishLimit, o.IdleTimeout = time.Millisecond, 24*time.Hour
		o.Publisher = &asking{o.Publisher, func(stream string) error {
			if stream == "slow" {
				<-answer
			}
			return nil
		}}
	})
	st := film(t, 12, 1)
	for i := range st.segments {
		h.put("/live/slow/"+numbered(i), string(st.segments[i]))
		h.put("/live/slow/index.m3u8", st.page(0, i, 5, numbered))
		h.send(st, i)
		h.pass(2 * time.Second)
	}
	until(t, func() bool { // the Publisher has answered for show, whenever the machine let it
		h.pass(500 * time.Millisecond)
		_, bodies := h.listed("show")
		return len(bodies) == len(st.segments)
	})
	if tl := h.reg.Timeline("live", "slow"); tl != nil {
		t.Error("it is published before that was answered")
	}
	close(answer)
	for _, stream := range []string{"slow", "show"} {
		var bodies [][]byte
		until(t, func() bool {
			h.pass(500 * time.Millisecond)
			_, bodies = h.listed(stream)
			return len(bodies) == len(st.segments)
		})
		equal(t, bodies, st.segments)
	}
}

// until waits for something that other goroutines do.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come about")
		}
	}
}

// TestSenderLeavesBeforeItIsPublished: the session that comes then is ended.
func TestSenderLeavesBeforeItIsPublished(t *testing.T) {
	answer := make(chan struct{})
	h := newHouse(t, simple(), auth.App{Open: true}, func(o *Options) {
		o.PublishLimit = time.Millisecond
		o.Publisher = &asking{o.Publisher, func(string) error { <-answer; return nil }}
	})
	st := film(t, 3, 1)
	for i := range st.segments {
		h.send(st, i)
		h.pass(2 * time.Second)
	}
	h.pass(time.Minute)
	if n := len(h.s.all()); n != 0 {
		t.Fatalf("%d streams", n)
	}
	close(answer)
	h.s.opening.Wait()
	if n := len(h.reg.Publishers()); n != 0 {
		t.Errorf("%d publishers", n)
	}
}

// TestRefusedForGood: a refusal that a moment does not mend is told to the sender, who may have another server to go to; nothing is taken from
// it meanwhile that would be lost.
func TestRefusedForGood(t *testing.T) {
	soon := ingest.Refuse(ingest.Overloaded, "the store does not answer")
	soon.Soon = true
	for name, c := range map[string]struct {
		err  error
		code int
	}{
		"drained": {ingest.Refuse(ingest.Overloaded, "this server is being drained"), http.StatusServiceUnavailable},
		"soon":    {soon, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			var err error = c.err
			h := newHouse(t, simple(), auth.App{Open: true}, func(o *Options) {
				o.Publisher = &asking{o.Publisher, func(string) error { return err }}
			})
			st := film(t, 6, 1)
			worst := http.StatusOK
			for i := range st.segments {
				for file, body := range map[string]string{numbered(i): string(st.segments[i]), "index.m3u8": st.page(0, i, 6, numbered)} {
					w := h.from("127.0.0.1:5000", http.MethodPut, "/live/show/"+file, body)
					if worst = max(worst, w.Code); w.Code != http.StatusOK && !strings.Contains(w.Body.String(), c.err.Error()) {
						t.Errorf("%d %s", w.Code, w.Body)
					}
				}
				h.pass(2 * time.Second)
			}
			if worst != c.code {
				t.Errorf("answered with %d, want %d", worst, c.code)
			}
			if c.code != http.StatusOK {
				return
			}
			err = nil
			h.pass(4 * time.Second)
			_, bodies := h.listed("show")
			if equal(t, bodies, st.segments); !bytes.Equal(bodies[0], st.segments[0]) {
				t.Error("what was held is lost")
			}
		})
	}
}
